//! `selvedge consent decode` and `explain`: what a consent string says, and what follows from it.
//! It must never judge by itself: every answer is the gate's.

use std::io::{self, BufRead, BufWriter, Write};

use selvedge::consent::json::{JsonOptions, decode_json};
use selvedge::consent::signals::{self, Reading, SignalSettings, Strings, Verdict};
use selvedge::consent::{
    Basis, Consent, ConsentSettings, Effective, Purpose, Reason, Regime, Region, Signals,
};
use selvedge::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::problem::Outcome;

/// Prints one line of JSON per string; true where every string could be read.
pub fn decode(string: &str, all_fields: bool) -> Outcome<bool> {
    let options = JsonOptions { all_fields, ..JsonOptions::default() };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut fine = true;
    let mut one = |string: &str, out: &mut dyn Write| -> Outcome<()> {
        let answer = decode_json(string, &options);
        fine &= answer.get("error").is_none_or(Value::is_null);
        Ok(writeln!(out, "{answer}")?)
    };
    if string == "-" {
        for line in io::stdin().lock().lines() {
            one(line?.trim(), &mut out)?;
        }
    } else {
        one(string, &mut out)?;
    }
    out.flush()?;
    Ok(fine)
}

/// What a string is explained for.
pub struct Case<'a> {
    /// `DE`, `US-CA`.
    pub region: &'a str,
    /// `Sec-GPC: 1` beside it.
    pub gpc: bool,
    /// The site's number in the Global Vendor List.
    pub vendor: Option<u16>,
}

/// Says in words what each purpose may do and why; true where the string could be read.
pub fn explain(string: &str, case: &Case<'_>, as_json: bool) -> Outcome<bool> {
    let settings = ConsentSettings {
        signals: SignalSettings { vendor: case.vendor, ..SignalSettings::default() },
        ..ConsentSettings::default()
    };
    let (country, part) = case.region.split_once('-').unwrap_or((case.region, ""));
    let region = Region::new(country, part);
    let regime = region.regime(&settings.regions);
    let reading = signals::read(&strings(string), &settings.signals);
    let mut consent = Consent::default();
    for chosen in signals::choices(&reading) {
        let now = Timestamp(1);
        consent.take(&consent.next_record(chosen.purpose, chosen.yes, Basis::Consent, now));
    }
    let gpc = case.gpc || reading.gpc;
    let live = Signals { region, gpc, denied: reading.denied };
    let effective = Effective::of(None, Some(&consent), &live, &settings);
    let mut purposes = Map::new();
    for (purpose, reason) in effective.reasons() {
        purposes.insert(purpose.word().to_owned(), one(purpose, reason, &reading, &effective));
    }
    if as_json {
        let answer = json!({
            "region": case.region, "regime": regime, "gpc": gpc, "purposes": purposes,
            "problems": reading.problems,
        });
        println!("{answer}");
    } else {
        say(case.region, regime, &purposes, &reading);
    }
    Ok(reading.problems.is_empty())
}

/// The string under its framework: GPP headers begin with `DB`, US Privacy strings are four letters
/// that begin with their version, and anything else is read as a TC string.
fn strings(string: &str) -> Strings {
    let text = Some(string.to_owned());
    if string.starts_with("DB") {
        Strings { gpp: text, ..Strings::default() }
    } else if string.len() == 4 && string.starts_with('1') {
        Strings { us_privacy: text, ..Strings::default() }
    } else {
        Strings { tcf: text, ..Strings::default() }
    }
}

fn one(purpose: Purpose, reason: Reason, reading: &Reading, effective: &Effective) -> Value {
    let allowed = effective.allowed().has(purpose);
    let finding = reading.why(purpose);
    let said = finding.map(|finding| {
        let verb = match finding.verdict {
            Verdict::Granted => "grants it",
            Verdict::NotOptedOut => "does not object",
            Verdict::NotAgreed => "tells of it without a yes",
            Verdict::Denied => "denies it",
        };
        format!("the {} string {verb} ({})", finding.source.word(), finding.code)
    });
    let sentence = match (&said, reason) {
        (Some(said), Reason::Granted | Reason::DeniedBySignal) => said.clone(),
        (Some(said), other) => format!("{}; {said}", words(other)),
        (None, other) => words(other).to_owned(),
    };
    json!({ "allowed": allowed, "reason": reason, "signal": finding, "sentence": sentence })
}

fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::Granted => "it was granted",
        Reason::AllowedByRegion => "this region allows it until somebody objects",
        Reason::NoConsent => "this region asks for a yes, and there is none",
        Reason::DeniedByPerson => "the person said no",
        Reason::DeniedByDevice => "this device said no",
        Reason::DeniedByGpc => "Global Privacy Control objects",
        Reason::DeniedBySignal => "a consent string denies it",
        Reason::DeniedByWorkspace => "the workspace never uses it",
        Reason::NeedsStore => "it needs `store`, which is not allowed",
        Reason::NeedsProfile => "it needs `profile`, which is not allowed",
    }
}

fn say(region: &str, regime: Regime, purposes: &Map<String, Value>, reading: &Reading) {
    let silence = match regime {
        Regime::OptIn => "silence is no",
        Regime::OptOut => "silence is yes, until somebody objects",
    };
    let region = if region.is_empty() { "an unknown region" } else { region };
    println!("in {region}, {silence}");
    for purpose in Purpose::ALL {
        let answer = &purposes[purpose.word()];
        let may = if answer["allowed"] == true { "yes" } else { "no" };
        let sentence = answer["sentence"].as_str().unwrap_or_default();
        println!("  {:<12} {may:<4} {sentence}", purpose.word());
    }
    for problem in &reading.problems {
        let source = problem.source.word();
        println!("the {source} string cannot be read: {} at byte {}", problem.code, problem.at);
    }
}
