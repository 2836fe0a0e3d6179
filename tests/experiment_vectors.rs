//! GrowthBook's public cases for bucketing: every one of them.

use selvedge::experiment::{Namespace, bucket_ranges, choose, equal_weights, hash};
use serde_json::Value as Json;

fn cases(name: &str) -> Vec<Vec<Json>> {
    let all: Json =
        serde_json::from_str(include_str!("vectors/growthbook_bucketing.json")).unwrap();
    let cases = all[name].as_array().unwrap();
    assert!(!cases.is_empty());
    cases.iter().map(|case| case.as_array().unwrap().clone()).collect()
}

fn ranges(json: &Json) -> Vec<(f64, f64)> {
    let pair = |pair: &Json| (pair[0].as_f64().unwrap(), pair[1].as_f64().unwrap());
    json.as_array().unwrap().iter().map(pair).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn hashes_agree() {
    for case in cases("hash") {
        let version = u8::try_from(case[2].as_u64().unwrap()).unwrap();
        let got = hash(case[0].as_str().unwrap(), case[1].as_str().unwrap(), version);
        assert_eq!(got, case[3].as_f64(), "{case:?}");
    }
}

#[test]
fn bucket_ranges_agree() {
    for case in cases("getBucketRange") {
        let count = usize::try_from(case[1][0].as_u64().unwrap()).unwrap();
        let weights: Option<Vec<f64>> = case[1][2]
            .as_array()
            .map(|weights| weights.iter().map(|weight| weight.as_f64().unwrap()).collect());
        let got = bucket_ranges(count, case[1][1].as_f64().unwrap(), weights.as_deref());
        let want = ranges(&case[2]);
        assert_eq!(got.len(), want.len(), "{case:?}");
        for (got, want) in got.iter().zip(want) {
            assert!(near(got.0, want.0) && near(got.1, want.1), "{case:?}: {got:?}");
        }
    }
}

#[test]
fn variations_are_chosen_alike() {
    for case in cases("chooseVariation") {
        let got = choose(case[1].as_f64().unwrap(), &ranges(&case[2]));
        let want = usize::try_from(case[3].as_i64().unwrap()).ok();
        assert_eq!(got, want, "{case:?}");
    }
}

#[test]
fn namespaces_agree() {
    for case in cases("inNamespace") {
        let namespace = Namespace {
            name: case[2][0].as_str().unwrap().into(),
            range: (case[2][1].as_f64().unwrap(), case[2][2].as_f64().unwrap()),
        };
        let got = namespace.holds(case[1].as_str().unwrap());
        assert_eq!(Some(got), case[3].as_bool(), "{case:?}");
    }
}

#[test]
fn equal_weights_agree() {
    for case in cases("getEqualWeights") {
        let count = usize::try_from(case[0].as_i64().unwrap()).unwrap_or(0);
        let want = case[1].as_array().unwrap();
        let got = equal_weights(count);
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!(near(*got, want.as_f64().unwrap()), "{case:?}");
        }
    }
}
