//! Replays the fuzzer's corpus: every input that was kept runs through every consent decoder.
#![cfg(feature = "json")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/checks/consent.rs"]
mod checks;

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<String> {
    let mut files: Vec<_> =
        fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // The targets take text; the fuzzer itself discards what is not UTF-8.
    files.iter().filter_map(|file| String::from_utf8(fs::read(file).unwrap()).ok()).collect()
}

#[test]
fn every_kept_input_passes_every_decoder() {
    let mut inputs = 0;
    for target in ["consent_tcf", "consent_gpp", "consent_usp", "consent_json"] {
        let corpus = corpus(target);
        assert!(corpus.len() >= 8, "`{target}` has lost its corpus");
        for input in corpus {
            checks::tcf(&input);
            checks::gpp(&input);
            checks::usp(&input);
            checks::json(&input);
            inputs += 1;
        }
    }
    assert!(inputs >= 160, "only {inputs} inputs");
}

#[test]
fn the_corpus_holds_every_public_string() {
    let kept: BTreeSet<String> =
        ["consent_tcf", "consent_gpp"].into_iter().flat_map(corpus).collect();
    let vectors = include_str!("vectors/consent_strings.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
    assert_eq!(vectors.len(), 130);
    for vector in vectors {
        assert!(kept.contains(vector["string"].as_str().unwrap()), "{}", vector["string"]);
    }
}
