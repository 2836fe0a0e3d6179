//! Experiments as they went: how many profiles saw which variant, and whether that fits the shares
//! that were declared. It must never say which profile saw what.
//!
//! A sample-ratio mismatch says that something beside chance decided who was counted, so that no
//! result of the experiment can be trusted (A. Fabijan et al., "Diagnosing Sample Ratio Mismatch in
//! Online Controlled Experiments", KDD 2019). The test is Pearson's chi-squared test of goodness of
//! fit over profiles, which are what is assigned; sessions of one profile are not independent.

use std::collections::BTreeMap;

use selvedge::json::time_text;
use selvedge::wire::Shares;
use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::app::App;
use crate::budgets::{self, Declared};
use crate::failure::Failure;
use crate::storage::ExposedRow;

/// Below this p-value the flag is raised: GrowthBook's default (`DEFAULT_SRM_THRESHOLD`), so strict
/// since the check is looked at again and again, and since a broken split soon lies far below it.
const MISMATCH: f64 = 0.001;
/// Profiles that each variant must be expected to have, or the distribution is not near enough to
/// the test's (W. G. Cochran, "Some Methods for Strengthening the Common Chi-Squared Tests",
/// Biometrics 10, 1954).
const EXPECTED_LEAST: f64 = 5.0;

/// The answer of `GET /v1/experiments`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// The workspace that declared them; None before any was published.
    workspace: Option<String>,
    experiments: Vec<Experiment>,
}

/// An experiment and what is to be thought of its split.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Experiment {
    experiment: String,
    /// Since when it has these shares; who came before is not counted.
    since: String,
    /// Profiles that saw one variant.
    profiles: u64,
    /// Profiles that saw more than one: they are counted for none.
    several: u64,
    variants: Vec<Variant>,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Variant {
    variant: String,
    /// Its declared weight.
    weight: f64,
    profiles: u64,
    /// How many were to be expected.
    expected: f64,
}

/// What the test says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    /// The statistic; None where the test cannot be made.
    chi_squared: Option<f64>,
    /// How likely a split at least as far off is, if only chance is at work.
    p_value: Option<f64>,
    /// Whether the split must not be trusted.
    sample_ratio_mismatch: bool,
}

/// How every declared experiment went.
pub(crate) async fn view(app: &App) -> Result<Answer, Failure> {
    let mut snapshot = app.storage.read().await?;
    let Some(known) = budgets::declared(snapshot.as_mut()).await? else {
        return Ok(Answer { workspace: None, experiments: Vec::new() });
    };
    let mut rows: BTreeMap<String, Vec<ExposedRow>> = BTreeMap::new();
    for row in snapshot.exposed(&known.since).await? {
        rows.entry(row.experiment.clone()).or_default().push(row);
    }
    let of = |shares: &Shares| {
        let rows = rows.get(&shares.experiment).map_or(&[][..], Vec::as_slice);
        experiment(shares, rows, &known)
    };
    let experiments = known.declare.experiments.iter().map(of).collect();
    Ok(Answer { workspace: Some(known.declare.workspace.clone()), experiments })
}

fn experiment(shares: &Shares, rows: &[ExposedRow], known: &Declared) -> Experiment {
    let profiles_of = |variant: Option<&str>| {
        let found = rows.iter().find(|row| row.variant.as_deref() == variant);
        found.map_or(0, |row| row.profiles)
    };
    let counts: Vec<u64> =
        shares.variants.iter().map(|variant| profiles_of(Some(variant))).collect();
    let profiles: u64 = counts.iter().sum();
    let variants = shares.variants.iter().zip(&shares.weights).zip(&counts);
    Experiment {
        experiment: shares.experiment.clone(),
        since: known.since.get(&shares.experiment).copied().map(time_text).unwrap_or_default(),
        profiles,
        several: profiles_of(None),
        variants: variants
            .map(|((variant, weight), count)| Variant {
                variant: variant.clone(),
                weight: *weight,
                profiles: *count,
                expected: number(profiles) * weight,
            })
            .collect(),
        verdict: judge(&counts, &shares.weights),
    }
}

/// Pearson's test of counts against weights. A variant without weight that somebody saw is a
/// mismatch by itself; one that nobody saw takes no part.
fn judge(counts: &[u64], weights: &[f64]) -> Verdict {
    let nothing = Verdict { chi_squared: None, p_value: None, sample_ratio_mismatch: false };
    let total = number(counts.iter().sum());
    let mut chi_squared = 0.0;
    let mut classes = 0_u32;
    for (count, weight) in counts.iter().zip(weights) {
        if *weight <= 0.0 {
            if *count > 0 {
                return Verdict { sample_ratio_mismatch: true, ..nothing };
            }
            continue;
        }
        let expected = total * weight;
        if expected < EXPECTED_LEAST {
            return nothing;
        }
        chi_squared += (number(*count) - expected).powi(2) / expected;
        classes = classes.saturating_add(1);
    }
    let freedom = f64::from(classes.saturating_sub(1));
    let Ok(distribution) = ChiSquared::new(freedom) else { return nothing };
    let p_value = distribution.sf(chi_squared);
    Verdict {
        chi_squared: Some(chi_squared),
        p_value: Some(p_value),
        sample_ratio_mismatch: p_value < MISMATCH,
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 profiles")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(counts: &[u64], weights: &[f64]) -> f64 {
        judge(counts, weights).p_value.unwrap()
    }

    #[test]
    fn p_values_are_those_of_the_tables() {
        // One degree of freedom: twice the upper tail of a normal distribution; two: exp(-x/2).
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(p(&[500, 500], &[0.5, 0.5]), 1.0);
        // (540-500)^2/500 + (460-500)^2/500 = 6.4.
        near(p(&[540, 460], &[0.5, 0.5]), 0.011_412_036);
        // 821,588 against 815,482 of 1,637,070: Fabijan et al., section 1: p < 0.0001.
        assert!(p(&[821_588, 815_482], &[0.5, 0.5]) < 1e-4);
        // (330-300)^2/300 + (270-300)^2/300 + 0 = 6: exp(-3).
        near(p(&[330, 270, 300], &[1.0 / 3.0; 3]), 0.049_787_068);
        // The weights count: a split of 9 to 1 that is one is none to wonder at.
        near(p(&[900, 100], &[0.9, 0.1]), 1.0);
        assert!(judge(&[500, 500], &[0.9, 0.1]).sample_ratio_mismatch);
    }

    #[test]
    fn the_flag_is_raised_below_one_in_a_thousand() {
        // The critical value of one degree of freedom is 10.828: (x-5000)^2/2500.
        let of = |more: u64| judge(&[5_000 + more, 5_000 - more], &[0.5, 0.5]);
        assert!(!of(164).sample_ratio_mismatch, "chi-squared 10.76");
        assert!(of(165).sample_ratio_mismatch, "chi-squared 10.89");
    }

    #[test]
    fn too_few_profiles_say_nothing_and_a_variant_without_weight_says_it_all() {
        assert_eq!(judge(&[9, 0], &[0.5, 0.5]).p_value, None);
        assert!(p(&[10, 0], &[0.5, 0.5]) < 0.01);
        assert!(!judge(&[0, 0], &[0.5, 0.5]).sample_ratio_mismatch);
        assert!(judge(&[100, 1], &[1.0, 0.0]).sample_ratio_mismatch);
        let one = judge(&[100, 0], &[1.0, 0.0]);
        assert!(!one.sample_ratio_mismatch && one.p_value.is_none(), "{one:?}");
    }
}
