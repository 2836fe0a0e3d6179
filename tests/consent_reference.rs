//! The tables of docs/reference/consent.md are those of the code.
//!
//! `UPDATE=1 cargo test --test consent_reference` writes them anew.

use std::fs;

use selvedge::consent::mapping::{Fields, GoogleKey, MAPPING, google_consent, spoken_of_by};
use selvedge::consent::region::BUILT_IN;
use selvedge::consent::{Purpose, PurposeSet, Regime};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/consent.md");

fn fields(fields: Fields) -> String {
    let quoted = |word: &str| format!("`{word}`");
    let list: Vec<String> = match fields {
        Fields::Tcf(ids) | Fields::Canada(ids) => ids.iter().map(u8::to_string).collect(),
        Fields::Us(rights) => rights.iter().map(|right| quoted(right.name())).collect(),
        Fields::Google(keys) => keys.iter().map(|key| quoted(key.word())).collect(),
    };
    list.join(", ")
}

fn mapping() -> String {
    let mut table =
        "| purpose | framework | fields | why | source |\n|---|---|---|---|---|\n".to_owned();
    for row in MAPPING {
        table += &format!(
            "| `{}` | {} | {} | {} | {} |\n",
            row.purpose.word(),
            row.fields.framework(),
            fields(row.fields),
            row.reading,
            row.source
        );
    }
    table
}

fn google() -> String {
    let mut table = "| key | granted where allowed |\n|---|---|\n".to_owned();
    for (key, _) in google_consent(PurposeSet::NONE) {
        table += &format!("| `{}` | {} |\n", key.word(), needed(key));
    }
    table
}

fn needed(key: GoogleKey) -> String {
    let of = spoken_of_by(key);
    let words: Vec<String> = Purpose::ALL
        .into_iter()
        .filter(|purpose| of.has(*purpose))
        .map(|purpose| format!("`{}`", purpose.word()))
        .collect();
    match words.is_empty() {
        true => "always".to_owned(),
        false => words.join(" and "),
    }
}

fn regions() -> String {
    let mut table = "| where | codes | silence is | source |\n|---|---|---|---|\n".to_owned();
    for line in BUILT_IN {
        let regime = match line.regime {
            Regime::OptIn => "no",
            Regime::OptOut => "yes, until somebody objects",
        };
        table += &format!(
            "| {} | {} | {regime} | {} |\n",
            line.name,
            line.regions.join(" "),
            line.source
        );
    }
    table
}

/// The page with what stands between the two marks of `name` replaced.
fn with(page: &str, name: &str, table: &str) -> String {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&start).expect("the table's first mark");
    let (_, after) = rest.split_once(&end).expect("the table's last mark");
    format!("{before}{start}{table}{end}{after}")
}

#[test]
fn the_tables_of_the_page_are_those_of_the_code() {
    let page = fs::read_to_string(PAGE).unwrap();
    let fresh = with(&page, "mapping", &mapping());
    let fresh = with(&fresh, "google", &google());
    let fresh = with(&fresh, "regions", &regions());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(PAGE, &fresh).unwrap();
    }
    assert!(page == fresh || fs::read_to_string(PAGE).unwrap() == fresh, "run it with UPDATE=1");
}

#[test]
fn the_page_says_what_it_is_and_what_counsel_must_read() {
    let page = fs::read_to_string(PAGE).unwrap();
    assert!(page.contains("engineering reading"));
    assert!(page.contains("## What needs legal review"));
}
