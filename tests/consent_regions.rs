//! Which regime silence meets in every country of the world, and that the built-in table and the
//! gate say the same.

use std::collections::BTreeMap;

use selvedge::consent::region::BUILT_IN;
use selvedge::consent::{
    Consent, ConsentSettings, Effective, PurposeSet, Regime, Region, RegionRule, Signals,
};

/// ISO 3166-1 alpha-2, all officially assigned codes.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI \
    BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY \
    CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN \
    GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH \
    KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL \
    PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV \
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN \
    VU WF WS YE YT ZA ZM ZW";

const STATES: &str = "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO \
    MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC";

const PROVINCES: &str = "AB BC MB NB NL NS NT NU ON PE QC SK YT";

fn silence(country: &str, subdivision: &str, gpc: bool, rules: &[RegionRule]) -> PurposeSet {
    let region = Region::new(country, subdivision);
    let signals = Signals { region, gpc, ..Signals::default() };
    let settings = ConsentSettings { regions: rules.to_vec(), ..ConsentSettings::default() };
    Effective::of(None, Some(&Consent::default()), &signals, &settings).allowed()
}

#[test]
fn silence_is_no_in_every_country_but_one() {
    let countries: Vec<&str> = COUNTRIES.split_whitespace().collect();
    assert_eq!(countries.len(), 249);
    for country in countries {
        let allowed = silence(country, "", false, &[]);
        let expected = if country == "US" { PurposeSet::ALL } else { PurposeSet::NONE };
        assert_eq!(allowed, expected, "{country}");
    }
    for unknown in ["", "XX", "T1", "A1", "ZZ", "EU", "QM", "\u{0}\u{0}", "usa"] {
        assert_eq!(silence(unknown, "", false, &[]), PurposeSet::NONE, "{unknown}");
    }
}

#[test]
fn american_states_may_object_and_canadian_provinces_are_asked() {
    use selvedge::consent::Purpose::{Personalise, Share};
    for state in STATES.split_whitespace() {
        assert_eq!(silence("US", state, false, &[]), PurposeSet::ALL, "{state}");
        let with_control = silence("US", state, true, &[]);
        assert_eq!(with_control, PurposeSet::ALL.without(Share).without(Personalise), "{state}");
    }
    for province in PROVINCES.split_whitespace() {
        assert_eq!(silence("CA", province, false, &[]), PurposeSet::NONE, "{province}");
    }
}

#[test]
fn the_built_in_table_says_what_the_gate_does() {
    let mut listed = BTreeMap::new();
    for line in BUILT_IN {
        assert!(!line.source.is_empty() && !line.name.is_empty());
        for name in line.regions {
            assert!(listed.insert(*name, line.regime).is_none(), "{name} stands there twice");
            let (country, part) = name.split_once('-').unwrap_or((name, ""));
            assert_eq!(Region::new(country, part).regime(&[]), line.regime, "{name}");
        }
    }
    for country in COUNTRIES.split_whitespace() {
        let regime = listed.get(country).copied().unwrap_or(Regime::OptIn);
        assert_eq!(Region::new(country, "").regime(&[]), regime, "{country}");
    }
}

#[test]
fn the_workspace_s_line_counts_and_the_closer_one_first() {
    let rule = |region: &str, regime| RegionRule { region: region.to_owned(), regime };
    let rules =
        [rule("CA", Regime::OptOut), rule("CA-QC", Regime::OptIn), rule("US-CA", Regime::OptIn)];
    assert_eq!(silence("CA", "ON", false, &rules), PurposeSet::ALL);
    assert_eq!(silence("CA", "QC", false, &rules), PurposeSet::NONE);
    assert_eq!(silence("US", "CA", false, &rules), PurposeSet::NONE);
    assert_eq!(silence("US", "NY", false, &rules), PurposeSet::ALL);
    // A line for nowhere does not open the unknown.
    assert_eq!(silence("", "", false, &[rule("", Regime::OptOut)]), PurposeSet::NONE);
    assert_eq!(silence("", "", false, &[rule("-", Regime::OptOut)]), PurposeSet::NONE);
}
