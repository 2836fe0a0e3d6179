//! Holds what the engine answered against what the naive decision says. It must never repair a
//! difference: the first one is told.

use std::collections::BTreeMap;

use selvedge::decide::Decision;
use selvedge::replay::cases::Answered;

use super::declared::Declared;
use super::naive::{Decided, Naive};
use super::people::{Asked, Person};

/// How much was compared, so that a comparison of nothing is noticed.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub cases: usize,
    pub won: usize,
    /// Offers of each code.
    pub codes: BTreeMap<String, usize>,
    pub exposures: usize,
    pub variants: usize,
    /// Parts of workspaces that the compiler refused, so that they were left out.
    pub refused: usize,
}

/// Every reason that there is.
const CODES: [&str; 16] = [
    "assurance_too_low",
    "budget_spent",
    "capped",
    "condition_failed",
    "control_variant",
    "cooling_down",
    "excluded",
    "held_out",
    "missing_trait",
    "no_consent",
    "not_eligible",
    "not_rolled_out",
    "on_page_already",
    "out_of_schedule",
    "outranked",
    "won",
];

impl Tally {
    /// That what was made up is of use: every reason occurs, and little was refused.
    pub fn check(&self) {
        for code in CODES {
            let count = self.codes.get(code).copied().unwrap_or_default();
            assert!(count * 200 >= self.cases, "{code} occurs {count} times: {self:?}");
        }
        assert_eq!(self.codes.len(), CODES.len());
        assert!(self.won * 2 > self.cases && self.won < self.cases * 4, "{self:?}");
        assert!(self.exposures * 10 > self.cases && self.variants * 50 > self.cases, "{self:?}");
        assert!(self.refused * 20 < self.cases, "{self:?}");
    }

    /// The numbers in one line.
    pub fn line(&self) -> String {
        let codes = self.codes.iter().map(|(code, count)| format!("{code} {count}"));
        let codes = codes.collect::<Vec<_>>().join(", ");
        format!("{} cases agree with naive ones: {codes}", self.cases)
    }
}

/// The first difference, if there is one.
pub fn compare(
    declared: &Declared,
    person: &Person,
    asked: &Asked,
    answered: &Answered,
    tally: &mut Tally,
) -> Result<(), String> {
    let naive = Naive::new(declared, person, asked);
    let mut shown = asked.shown.clone();
    let edge = naive.page(false, &mut shown);
    let page = naive.page(true, &mut shown);
    tally.cases += 1;
    same("audiences", &naive.audiences(), &answered.explained.profile.audiences)?;
    all("edge", &edge, &answered.explained.decisions, tally)?;
    all("page", &page, &answered.page_explained, tally)?;
    plain("edge", &answered.explained.decisions, &answered.edge.decisions)?;
    plain("page", &answered.page_explained, &answered.page)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, naive: &T, found: &T) -> Result<(), String> {
    match naive == found {
        true => Ok(()),
        false => Err(format!("{what}: {naive:?} is right, {found:?} was answered")),
    }
}

fn all(
    place: &str,
    naive: &BTreeMap<&str, Decided>,
    found: &[Decision],
    tally: &mut Tally,
) -> Result<(), String> {
    same(&format!("{place}: how many"), &naive.len(), &found.len())?;
    for ((name, naive), found) in naive.iter().zip(found) {
        same("placement", &(*name).to_owned(), &found.placement)?;
        one(naive, found, tally).map_err(|why| format!("{place}, {name}: {why}"))?;
    }
    Ok(())
}

fn one(naive: &Decided, found: &Decision, tally: &mut Tally) -> Result<(), String> {
    // The trace first: it tells most about a difference.
    let keys: Vec<&String> = naive.trace.iter().map(|(key, _)| key).collect();
    same("order", &keys, &found.trace.iter().map(|one| &one.offer).collect())?;
    for ((key, codes), line) in naive.trace.iter().zip(&found.trace) {
        if !codes.contains(&line.code.as_str()) {
            return Err(format!("`{key}` is {codes:?}, `{}` was answered", line.code));
        }
        *tally.codes.entry(line.code.clone()).or_default() += 1;
    }
    same("offer", &naive.offer, &found.offer)?;
    same("variant", &naive.variant.map(str::to_owned), &found.variant)?;
    let reason = if naive.offer.is_some() { "won" } else { "no_offer" };
    same("reason", &reason, &found.reason.as_str())?;
    same("language", &naive.language, &found.language.as_str())?;
    let content = found.content.iter().map(|field| (field.name.as_str(), field.text.clone()));
    same("content", &naive.content, &content.collect())?;
    let exposures: BTreeMap<String, &str> =
        found.exposures.iter().map(|one| (one.experiment.clone(), one.variant.as_str())).collect();
    same("exposures", &naive.exposures, &exposures)?;
    tally.won += usize::from(naive.offer.is_some());
    tally.exposures += naive.exposures.len();
    tally.variants += usize::from(naive.variant.is_some());
    Ok(())
}

/// Without reasons the answer is the same.
fn plain(place: &str, explained: &[Decision], plain: &[Decision]) -> Result<(), String> {
    let without: Vec<Decision> =
        explained.iter().map(|one| Decision { trace: Vec::new(), ..one.clone() }).collect();
    same(&format!("{place}, without reasons"), &without, &plain.to_vec())
}
