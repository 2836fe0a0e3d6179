//! Conditions as their writers see them: what compiles, what is refused with which words, and what
//! a condition comes to over facts.
#![cfg(feature = "compile")]

use std::ops::ControlFlow;

use selvedge::compile::cel::{CelError, Compiler, History, Schema};
use selvedge::rule::{Code, Facts, Fail, Kind, RuleId, Rules, Scratch, Slot, Truth, Value};

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 1_764_000_000_000;

fn schema() -> Schema {
    let mut schema = Schema::new();
    for (path, kind) in [
        ("profile.tier", Kind::String),
        ("profile.age", Kind::Int),
        ("profile.score", Kind::Double),
        ("profile.vip", Kind::Bool),
        ("profile.segments", Kind::Strings),
        ("profile.sizes", Kind::Ints),
        ("profile.app_version", Kind::String),
        ("profile.last_seen", Kind::Timestamp),
        ("profile.address.state", Kind::String),
        ("profile.first name", Kind::String),
        ("request.country", Kind::String),
        ("request.path", Kind::String),
    ] {
        schema.field(path, kind);
    }
    schema.property("Order Completed", "total", Kind::Double);
    schema.property("Order Completed", "category", Kind::String);
    schema
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn texts(list: &[&str]) -> Value {
    Value::List(list.iter().map(|entry| text(entry)).collect())
}

fn person() -> Vec<(&'static str, Value)> {
    vec![
        ("profile.tier", text("gold")),
        ("profile.age", Value::Int(41)),
        ("profile.score", Value::Double(0.5)),
        ("profile.vip", Value::Bool(true)),
        ("profile.segments", texts(&["runner", "sale"])),
        ("profile.sizes", Value::List(vec![Value::Int(38), Value::Int(39)])),
        ("profile.app_version", text("2.10.0")),
        ("profile.last_seen", Value::Timestamp(NOW_MS - 3 * DAY_MS)),
        ("profile.address.state", text("BY")),
        ("profile.first name", text("Ada")),
        ("request.country", text("DE")),
        ("request.path", text("/shop/shoes")),
    ]
}

fn facts(rules: &Rules, values: &[(&str, Value)]) -> Facts {
    let mut facts = Facts::new(rules);
    facts.set_now(rules, NOW_MS);
    for (path, value) in values {
        facts.set(rules, rules.slot(path).unwrap_or(Slot(u16::MAX)), value);
    }
    facts
}

/// What a condition comes to, asked by itself and through the index, which have to agree; from the
/// image as it is stored.
fn truth(source: &str, values: &[(&str, Value)]) -> Truth {
    let mut compiler = Compiler::new(schema());
    let rule = match compiler.condition(source) {
        Ok(rule) => rule,
        Err(errors) => panic!("{source}: {errors:?}"),
    };
    let group = compiler.group(vec![(rule, 1)]);
    let bytes = compiler.finish().0.to_bytes();
    let rules = Rules::from_bytes(&bytes).unwrap();
    let facts = facts(&rules, values);
    let mut scratch = Scratch::default();
    scratch.begin();
    let truth = rules.truth(rule, &facts, &mut scratch);
    let mut found = false;
    rules.matching(group, &facts, &mut scratch, |_| {
        found = true;
        ControlFlow::Continue(())
    });
    assert_eq!(found, truth == Truth::Match, "{source}");
    truth
}

fn errors(source: &str) -> Vec<CelError> {
    Compiler::new(schema()).condition(source).err().unwrap_or_default()
}

#[test]
fn conditions_over_a_full_profile() {
    for (source, expected) in [
        ("profile.tier == 'gold'", true),
        ("profile.tier != 'gold'", false),
        ("profile.tier in ['silver', 'gold']", true),
        ("profile.tier in ['silver', 'none']", false),
        ("!(profile.tier in ['silver', 'none'])", true),
        ("profile['tier'] == \"gold\"", true),
        ("profile.address.state == 'BY'", true),
        ("profile['first name'] == 'Ada'", true),
        ("trait('first name') == 'Ada'", true),
        ("trait('tier', 'none') == 'gold'", true),
        ("profile.tier < 'silver'", true),
        ("profile.vip", true),
        ("!profile.vip", false),
        ("profile.vip == true && profile.age >= 41", true),
        ("profile.age > 41", false),
        ("41 <= profile.age", true),
        ("profile.age < 41.5", true),
        ("profile.age == 41.5", false),
        ("profile.age >= 18 && profile.age < 65", true),
        ("profile.age < 18 || profile.age > 40", true),
        ("profile.age % 2 == 1", true),
        ("profile.score > 0", true),
        ("profile.score * 2.0 == 1.0", true),
        ("double(profile.age) / 2.0 > 20.0", true),
        ("'sale' in profile.segments", true),
        ("'walker' in profile.segments", false),
        ("'sale' in profile.segments && 'runner' in profile.segments", true),
        ("profile.segments.exists(s, s == 'sale')", true),
        ("profile.segments.exists(s, s.startsWith('sa'))", true),
        ("profile.segments.all(s, s.size() > 4)", false),
        ("profile.segments.exists_one(s, s in ['sale', 'walker'])", true),
        ("profile.segments.filter(s, s != 'sale') == ['runner']", true),
        ("profile.sizes.map(s, s + 1) == [39, 40]", true),
        ("profile.sizes.exists(s, profile.segments.exists(t, t == 'sale' && s == 39))", true),
        ("size(profile.segments) == 2 && profile.segments[0] == 'runner'", true),
        ("sets.intersects(profile.segments, ['x', 'sale'])", true),
        ("sets.contains(profile.segments, ['sale', 'runner'])", true),
        ("sets.contains(profile.segments, ['sale', 'walker'])", false),
        ("sets.equivalent(profile.sizes, [39, 38, 38])", true),
        ("request.path.contains('shop')", true),
        ("request.path.startsWith('/shop/') && request.path.endsWith('shoes')", true),
        ("request.path.matches('^/shop/(shoes|boots)$')", true),
        ("semver(profile.app_version) >= semver('2.9.1')", true),
        ("semver(profile.app_version) < semver('2.10.0')", false),
        ("semver(profile.app_version) > semver('2.10.0-rc.1')", true),
        ("now - profile.last_seen < days(4)", true),
        ("profile.last_seen > now() - days(2)", false),
        ("profile.last_seen > timestamp('2025-01-01T00:00:00Z')", true),
        ("now.getFullYear() == 2025 && now.getHours('+01:00') == 17", true),
        ("profile.vip ? profile.age > 40 : profile.age > 50", true),
        ("has(profile.tier) && !has(request.country)", false),
        ("trait('age', 0) == 41", true),
    ] {
        let expected = if expected { Truth::Match } else { Truth::NoMatch };
        assert_eq!(truth(source, &person()), expected, "{source}");
    }
}

#[test]
fn what_is_missing_does_not_match_and_says_so() {
    for (source, expected) in [
        ("profile.tier == 'gold'", None),
        ("profile.tier != 'gold'", None),
        ("!(profile.tier == 'gold')", None),
        ("profile.age in [1, 2]", None),
        ("'sale' in profile.segments", None),
        ("profile.segments.exists(s, s == 'sale')", None),
        ("semver(profile.app_version) >= semver('2.9.1')", None),
        ("profile.tier.contains('old')", None),
        ("profile.vip", None),
        ("now - profile.last_seen < days(4)", None),
        ("profile.tier == 'gold' || true", Some(true)),
        ("profile.tier == 'gold' || now > timestamp(0)", Some(true)),
        ("now < timestamp(0) && profile.tier == 'gold'", Some(false)),
        ("has(profile.tier)", Some(false)),
        ("has(profile.segments)", Some(false)),
        ("!has(profile.tier) || profile.tier == 'gold'", Some(true)),
        ("has(profile.age) && profile.age > 3", Some(false)),
        ("trait('tier', 'none') == 'none'", Some(true)),
        ("trait('tier', 'none') != 'none'", Some(false)),
        ("trait('age', 0) < 18", Some(true)),
        ("trait('score', 0) + 1.0 == 1.0", Some(true)),
    ] {
        let found = truth(source, &[]);
        match expected {
            Some(true) => assert_eq!(found, Truth::Match, "{source}"),
            Some(false) => assert_eq!(found, Truth::NoMatch, "{source}"),
            None => assert!(matches!(found, Truth::Missing(_)), "{source}: {found:?}"),
        }
    }
}

#[test]
fn the_missing_slot_is_named() {
    let mut compiler = Compiler::new(schema());
    let rule = compiler.condition("profile.tier == 'gold' && request.country == 'DE'").unwrap();
    let (rules, _) = compiler.finish();
    let facts = facts(&rules, &[("profile.tier", text("gold"))]);
    let mut scratch = Scratch::default();
    scratch.begin();
    let failed = rules.failed(rule, &facts, &mut scratch).unwrap();
    let span = failed.span.unwrap();
    assert_eq!((span.offset, span.len), (26, 23));
    let read: Vec<_> = failed.reads.iter().map(|slot| rules.path(*slot)).collect();
    assert_eq!(read, [Some("request.country")]);
    match failed.truth {
        Truth::Missing(slot) => assert_eq!(rules.path(slot), Some("request.country")),
        other => panic!("{other:?}"),
    }
    assert_eq!(rules.without_spans().failed(rule, &facts, &mut scratch).unwrap().span, None);
}

#[test]
fn what_goes_wrong_at_run_time_does_not_match_and_says_so() {
    let values = [
        ("profile.age", Value::Int(i64::MAX)),
        ("profile.app_version", text("latest")),
        ("profile.sizes", Value::List(vec![])),
    ];
    for (source, code) in [
        ("profile.age + 1 > 0", Code::Overflow),
        ("10 / (profile.age - profile.age) == 1", Code::DivideByZero),
        ("semver(profile.app_version) >= semver('1.0.0')", Code::BadText),
        ("semver(profile.app_version) != semver('1.0.0')", Code::BadText),
        ("semver(profile.app_version) >= semver('1.0.0-rc.1')", Code::BadText),
        ("profile.sizes[0] == 1", Code::NoSuchEntry),
        ("int(profile.app_version) == 1", Code::BadText),
    ] {
        assert_eq!(truth(source, &values), Truth::Error(code), "{source}");
        assert_eq!(truth(&format!("{source} || profile.age > 0"), &values), Truth::Match);
        assert_eq!(truth(&format!("profile.age > 0 || {source}"), &values), Truth::Match);
        assert_eq!(truth(&format!("profile.age < 0 && {source}"), &values), Truth::NoMatch);
        assert_eq!(truth(&format!("{source} && profile.age < 0"), &values), Truth::NoMatch);
    }
}

#[test]
fn values_of_another_type_are_missing_or_mean_the_same() {
    for (source, path, value, matches) in [
        ("profile.age == 3", "profile.age", Value::Double(3.0), true),
        ("profile.age == 3", "profile.age", Value::Double(3.5), false),
        ("profile.age == 3", "profile.age", text("3"), false),
        ("profile.score == 3.0", "profile.score", Value::Int(3), true),
        ("profile.score >= 0.0", "profile.score", Value::Double(f64::NAN), false),
        ("profile.score != 0.0", "profile.score", Value::Double(f64::NAN), true),
        ("profile.score == 0.0", "profile.score", Value::Double(-0.0), true),
        ("profile.score > 1e300", "profile.score", Value::Double(f64::INFINITY), true),
        (
            "profile.last_seen == timestamp(0)",
            "profile.last_seen",
            text("1970-01-01T00:00:00Z"),
            true,
        ),
        ("profile.last_seen < now", "profile.last_seen", text("yesterday"), false),
        ("has(profile.segments)", "profile.segments", text("sale"), false),
        (
            "size(profile.sizes) == 1",
            "profile.sizes",
            Value::List(vec![text("a"), Value::Int(1)]),
            true,
        ),
    ] {
        let found = truth(source, &[(path, value.clone())]);
        assert_eq!(found == Truth::Match, matches, "{source} {value:?} {found:?}");
    }
}

#[test]
fn a_slip_is_told_at_its_place_with_what_was_meant() {
    for (source, code, at, message) in [
        (
            "profile.tierr == 'gold'",
            "unknown_trait",
            "tierr",
            "unknown trait `profile.tierr`, did you mean `tier`?",
        ),
        (
            "profile['tierr'] == 'gold'",
            "unknown_trait",
            "'tierr'",
            "unknown trait `profile.tierr`, did you mean `tier`?",
        ),
        (
            "trait('tierr') == 'gold'",
            "unknown_trait",
            "'tierr'",
            "unknown trait `profile.tierr`, did you mean `tier`?",
        ),
        (
            "profile.nothing_like_it == 1",
            "unknown_trait",
            "nothing_like_it",
            "unknown trait `profile.nothing_like_it`",
        ),
        (
            "request.contry == 'DE'",
            "unknown_field",
            "contry",
            "unknown field `request.contry`, did you mean `country`?",
        ),
        (
            "profil.tier == 'gold'",
            "unknown_name",
            "profil",
            "unknown name `profil`, did you mean `profile`?",
        ),
        ("profile.tier.name == 'gold'", "wrong_type", "name", "`profile.tier` has no fields"),
        (
            "profile.tier = 'gold'",
            "unexpected_token",
            "=",
            "`=` assigns nothing here, equality is `==`",
        ),
        (
            "profile.tier == 3",
            "wrong_type",
            "profile.tier == 3",
            "`==` does not take string and int",
        ),
        (
            "profile.score * 2 > 1.0",
            "wrong_type",
            "profile.score * 2",
            "`*` does not take double and int, write `2.0`",
        ),
        (
            "profile.tier && true",
            "wrong_type",
            "profile.tier",
            "a condition takes a bool, this is string",
        ),
        ("profile.age", "wrong_type", "profile.age", "a condition takes a bool, this is int"),
        (
            "profile.tier.startWith('g')",
            "unknown_function",
            "startWith",
            "unknown function `startWith`, did you mean `startsWith`?",
        ),
        ("profile.tier.matches('(a')", "bad_pattern", "'", "bad pattern: a group has no end"),
        (
            "count('Order Complete') > 1",
            "unknown_event",
            "'Order Complete'",
            "unknown event `Order Complete`, did you mean `Order Completed`?",
        ),
        (
            "sum('Order Completed', 'totl') > 1.0",
            "unknown_property",
            "'totl'",
            "unknown property `totl` of event `Order Completed`, did you mean `total`?",
        ),
        (
            "sum('Order Completed', 'category') > 1",
            "wrong_type",
            "'category'",
            "`sum` takes a number, `category` is string",
        ),
        (
            "count('Order Completed', days(0)) > 1",
            "wrong_arguments",
            "days(0)",
            "a window is longer than nothing",
        ),
        ("inAudience('x')", "unknown_audience", "'x'", "unknown audience `x`"),
        (
            "profile.age / 0 > 1 && 1 / 0 > 1",
            "always_fails",
            "profile.age / 0",
            "this always fails: it divides by zero",
        ),
        (
            "profile.age > 9223372036854775807 + 1",
            "always_fails",
            "9223372036854775807 + 1",
            "this always fails: a number, time or length leaves its range",
        ),
        (
            "profile.last_seen > timestamp('soon')",
            "always_fails",
            "timestamp('soon')",
            "this always fails: the text cannot be read as what it should be",
        ),
        (
            "profile.age > 99999999999999999999",
            "bad_literal",
            "99999999999999999999",
            "`99999999999999999999` is not a number that fits in 64 bits",
        ),
        (
            "profile.tier == null",
            "unsupported",
            "null",
            "conditions have no `null`, see the subset of CEL in the reference",
        ),
        ("profile.tier == 'gold", "bad_literal", "'gold", "a text has no end"),
        ("profile.tier ==", "unexpected_token", "", "expected an expression, found the end"),
        ("", "unexpected_token", "", "expected an expression, found the end"),
    ] {
        let errors = errors(source);
        let first = errors.first().unwrap_or_else(|| panic!("{source} compiles"));
        let found = source.get(first.offset..first.offset + first.len).unwrap_or("outside");
        assert_eq!((first.code, found, first.message.as_str()), (code, at, message), "{source}");
    }
}

#[test]
fn several_slips_are_told_together() {
    let errors = errors("profile.tierr == 'gold' && profile.age > 'x' || count('Ordr') > 1");
    let codes: Vec<&str> = errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, ["unknown_trait", "wrong_type", "unknown_event"]);
}

#[test]
fn input_made_to_hurt_gets_a_message() {
    let many = |part: &str, times: usize| part.repeat(times);
    for (source, code) in [
        (many("a", 1_000_000), "source_too_long"),
        (format!("{}true{}", many("(", 7_000), many(")", 7_000)), "too_deep"),
        (many("!", 10_000) + "true", "too_deep"),
        (many("-", 10_000) + "1", "too_deep"),
        (many("[", 10_000), "too_deep"),
        (many("1+", 8_000) + "1 > 0", "too_deep"),
        (many("true?true:", 1_500) + "true", "too_deep"),
        ("profile".to_owned() + &many(".a", 8_000), "too_deep"),
        ("size".to_owned() + &many("(size", 3_000), "too_deep"),
        ("profile.tier.matches('".to_owned() + &many("(a{100})", 1_000) + "')", "bad_pattern"),
        ("profile.tier.matches('((a{1000}){1000}){1000}')".to_owned(), "bad_pattern"),
        ("\u{0}".to_owned(), "unexpected_token"),
        ("'\\ud800' == ''".to_owned(), "bad_literal"),
    ] {
        let errors = errors(&source);
        assert_eq!(errors.first().map(|error| error.code), Some(code), "{source:.40}");
    }
    // Long, but flat.
    let wide = many("profile.age == 1 || ", 700) + "profile.vip";
    assert_eq!(errors(&wide), []);
}

#[test]
fn audiences_nest_and_cycles_are_refused() {
    let mut compiler = Compiler::new(schema());
    compiler.declare_audience("loyal", "profile.tier == 'gold' && inAudience('grown')");
    compiler.declare_audience("grown", "profile.age >= 18");
    compiler.declare_audience("a", "inAudience('b')");
    compiler.declare_audience("b", "profile.vip && !inAudience('c')");
    compiler.declare_audience("c", "inAudience('a') || profile.vip");
    compiler.declare_audience("broken", "profile.tierr == 'gold'");
    let loyal = compiler.audience("loyal").unwrap();
    let others = compiler.condition("!inAudience('loyal')").unwrap();
    let cyclic = compiler.audience("a").unwrap_err();
    assert_eq!(cyclic[0].message, "audience `a` asks for itself: a -> b -> c -> a");
    assert_eq!(compiler.audience("broken").unwrap_err()[0].code, "unknown_trait");
    let asks = compiler.condition("inAudience('broken')").unwrap_err();
    assert_eq!(asks[0].message, "audience `broken` has mistakes of its own");
    let group = compiler.group(vec![(others, 1), (loyal, 2)]);
    let (rules, _) = compiler.finish();
    let mut scratch = Scratch::default();
    for (values, expected) in [
        (person(), loyal),
        (vec![("profile.age", Value::Int(3)), ("profile.tier", text("gold"))], others),
        // Whoever cannot be told to be in an audience is not in it.
        (vec![], others),
    ] {
        let facts = facts(&rules, &values);
        scratch.begin();
        let mut found = Vec::new();
        rules.matching(group, &facts, &mut scratch, |rule| {
            found.push(rule);
            ControlFlow::Continue(())
        });
        assert_eq!(found, [expected]);
    }
}

#[test]
fn an_audience_chain_too_deep_is_refused() {
    let mut compiler = Compiler::new(schema());
    compiler.declare_audience("0", "profile.vip || profile.tier.contains('x')");
    for place in 1..200 {
        compiler.declare_audience(&place.to_string(), &format!("!inAudience('{}')", place - 1));
    }
    let codes: Vec<_> = (0..200)
        .filter_map(|place| compiler.audience(&place.to_string()).err())
        .map(|errors| errors[0].code)
        .collect();
    assert_eq!(codes.first(), Some(&"too_deep"));
}

#[test]
fn history_becomes_slots_that_the_profile_fills() {
    let mut compiler = Compiler::new(schema());
    let often = compiler.condition("count('Order Completed', days(30)) >= 2").unwrap();
    let again = compiler.condition("count('Order Completed', hours(720)) > 5").unwrap();
    let dear = compiler.condition("sum('Order Completed', 'total', days(90)) > 100.0").unwrap();
    let last = compiler.condition("last('Order Completed', 'category') == 'shoes'").unwrap();
    let away = compiler.condition("recency('Order Completed') > days(30)").unwrap();
    let (rules, requests) = compiler.finish();
    let mut facts = facts(&rules, &[]);
    for request in &requests {
        let value = match request.kind {
            History::Count => Value::Int(3),
            History::Sum => Value::Double(99.5),
            History::Last => text("shoes"),
            History::Recency => Value::Duration(40 * DAY_MS),
            other => panic!("{other:?}"),
        };
        facts.set(&rules, request.slot, &value);
    }
    let windows: Vec<_> = requests.iter().map(|r| (r.kind, r.window_ms)).collect();
    assert_eq!(
        windows,
        [
            (History::Count, Some(30 * DAY_MS)),
            (History::Sum, Some(90 * DAY_MS)),
            (History::Last, None),
            (History::Recency, None),
        ]
    );
    let mut scratch = Scratch::default();
    scratch.begin();
    let mut holds = |rule: RuleId| rules.truth(rule, &facts, &mut scratch) == Truth::Match;
    assert_eq!([often, again, dear, last, away].map(&mut holds), [true, false, false, true, true]);
}

#[test]
fn formulas_come_to_finite_numbers() {
    let mut compiler = Compiler::new(schema());
    let sources = [
        "profile.score * 10.0 + (profile.vip ? 5.0 : 0.0)",
        "profile.age",
        "profile.score / 0.0",
        "trait('score', 0) + double(profile.age)",
        "profile.age * 9223372036854775807",
    ];
    let rules_of: Vec<RuleId> = sources.iter().map(|s| compiler.number(s).unwrap()).collect();
    for (source, code) in
        [("profile.tier", "wrong_type"), ("1 / 0", "always_fails"), ("1.0 / 0.0", "always_fails")]
    {
        assert_eq!(compiler.number(source).unwrap_err()[0].code, code, "{source}");
    }
    let (rules, _) = compiler.finish();
    let facts = facts(&rules, &person());
    let mut scratch = Scratch::default();
    scratch.begin();
    let found: Vec<_> = rules_of.iter().map(|r| rules.value(*r, &facts, &mut scratch)).collect();
    assert_eq!(
        found,
        [
            Ok(10.0),
            Ok(41.0),
            Err(Fail::Error(Code::NotFinite)),
            Ok(41.5),
            Err(Fail::Error(Code::Overflow)),
        ]
    );
}

#[test]
fn groups_are_visited_by_rank_until_the_visitor_breaks_off() {
    let mut compiler = Compiler::new(schema());
    let mut members = Vec::new();
    for place in 0..5_000_i64 {
        let source = format!("profile.age >= {} && 'sale' in profile.segments", place % 80);
        members.push((compiler.condition(&source).unwrap(), (place * 7_919) % 5_000));
    }
    let group = compiler.group(members.clone());
    let (rules, _) = compiler.finish();
    members.sort_by_key(|(_, rank)| *rank);
    let facts = facts(&rules, &person());
    let mut scratch = Scratch::default();
    scratch.begin();
    let mut expected: Vec<RuleId> = Vec::new();
    for (rule, _) in &members {
        if rules.truth(*rule, &facts, &mut scratch) == Truth::Match {
            expected.push(*rule);
        }
    }
    assert!(expected.len() > 2_000 && expected.len() < 3_000);
    let mut found = Vec::new();
    rules.matching(group, &facts, &mut scratch, |rule| {
        found.push(rule);
        ControlFlow::Continue(())
    });
    assert_eq!(found, expected);
    found.clear();
    rules.matching(group, &facts, &mut scratch, |rule| {
        found.push(rule);
        if found.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(found, expected[..3]);
}

#[test]
fn damaged_images_match_nothing_and_stop_nobody() {
    let mut compiler = Compiler::new(schema());
    let mut members = Vec::new();
    for source in [
        "profile.tier in ['a', 'gold'] && profile.segments.exists(s, s.matches('^sa'))",
        "profile.age + 3 > 2 || profile.tier.contains('x')",
        "semver(profile.app_version) >= semver('1.0.0') ? profile.vip : false",
    ] {
        members.push((compiler.condition(source).unwrap(), 1));
    }
    let group = compiler.group(members);
    let bytes = compiler.finish().0.to_bytes();
    let mut scratch = Scratch::default();
    let mut loaded = 0;
    for place in 0..bytes.len() {
        for change in [1, 0x7f, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] ^= change;
            let Some(rules) = Rules::from_bytes(&damaged) else { continue };
            loaded += 1;
            let facts = facts(&rules, &person());
            scratch.begin();
            rules.matching(group, &facts, &mut scratch, |_| ControlFlow::Continue(()));
            for rule in 0..3 {
                let _ = rules.truth(RuleId(rule), &facts, &mut scratch);
            }
        }
    }
    assert!(loaded > 100);
}

#[test]
fn a_rule_tells_the_slots_that_it_reads() {
    let mut compiler = Compiler::new(schema());
    compiler.declare_audience("loyal", "profile.tier == 'gold' || has(profile.sizes)");
    let rule = compiler
        .condition(
            "!inAudience('loyal') && semver(profile.app_version) > semver('1.0.0') \
             && now > timestamp(0)",
        )
        .unwrap();
    let (rules, _) = compiler.finish();
    let mut paths: Vec<_> = rules.slots_of(rule).filter_map(|slot| rules.path(slot)).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["now", "profile.app_version", "profile.sizes", "profile.tier"]);
}

#[test]
fn the_examples_of_the_reference_compile() {
    let reference = include_str!("../docs/reference/conditions.md");
    let (_, examples) = reference.split_once("```cel\n").expect("examples");
    let (examples, _) = examples.split_once("```").expect("their end");
    let mut compiler = Compiler::new(schema());
    compiler.declare_audience("loyal", "profile.tier == 'gold'");
    for example in examples.lines() {
        assert_eq!(compiler.condition(example).err(), None, "{example}");
    }
    assert!(examples.lines().count() >= 5);
}
