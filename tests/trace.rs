//! One recorded trace: the demo shop's story and a seeded crowd around it, at least 200 inputs.
//! Here it runs natively; `tests/replay/` runs the same bytes in workerd and in Chromium and
//! compares.
//!
//! `UPDATE=1 cargo test --features compile,replay --test trace` records it anew.

mod world;

use selvedge::consent::Purpose;
use selvedge::engine::Input;
use selvedge::ids::hex;
use selvedge::replay::{self, Trace};
use selvedge::rule::Value;
use selvedge::wire::ChangeBody;
use sha2::{Digest, Sha256};
use world::{Browser, HOUR, World, request};

const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/story.trace");
const OUTCOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/story.outcome.sha256");

/// A linear congruential generator (Knuth's MMIX constants): the crowd is the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

fn read(world: &mut World, browser: &Browser) {
    use selvedge::engine::{Circumstances, Input, Placements};
    use selvedge::workspace::Where;
    let home = world.home(browser);
    let speaker = world.speaker(browser);
    let placements = Placements::Every(Where::Edge);
    world.send(
        &home,
        Input::Decide {
            speaker: speaker.clone(),
            placements: placements.clone(),
            request: request(),
            trace: true,
        },
    );
    world.send(&home, Input::Slice { speaker: speaker.clone(), request: request() });
    let question = Input::Decide {
        speaker: speaker.clone(),
        placements: placements.clone(),
        request: request(),
        trace: true,
    };
    let circumstances =
        Circumstances { spent: vec![0], shown: vec!["welcome".into()], ..Circumstances::default() };
    world.send(&home, Input::Under { circumstances, question: Box::new(question) });
    world.send(&home, Input::Explain { speaker, placements, request: request() });
}

fn story(world: &mut World) {
    let mut browser = world.browser("DE");
    read(world, &browser);
    world.agree(&browser);
    world.track(&browser, "Product Viewed", &[("price", Value::Double(49.0))]);
    world.login(&mut browser, "C-0006");
    let person = world.person("C-0006");
    world.crm(&person, "first_name", Value::String("Mira".into()));
    world.crm(&person, "tier", Value::String("gold".into()));
    world.crm(&person, "cancel_intent", Value::Bool(true));
    world.wait(2 * HOUR);
    read(world, &browser);
    world.track(&browser, "Product Added", &[("value", Value::Double(49.0))]);
    read(world, &browser);
    world.wait(HOUR);
    world.choose(&browser, &[(Purpose::Personalise, false)]);
    read(world, &browser);
    world.crm(&person, "cancel_intent", Value::Bool(true));
    let time = world.now;
    world.change(&person, ChangeBody::Erase { time });
    world.track(&browser, "Product Viewed", &[]);
    read(world, &browser);
}

fn crowd(world: &mut World) {
    let mut dice = Dice(7);
    let mut browsers: Vec<Browser> =
        ["DE", "US", "FR", "BR", "US", ""].map(|country| world.browser(country)).into();
    let offers = ["extension", "basket", "welcome", "tip_loyal"];
    for _ in 0..240 {
        world.wait(i64::try_from(dice.roll(3)).unwrap() * HOUR / 2);
        let at = dice.roll(browsers.len());
        let mut browser = browsers[at].clone();
        match dice.roll(9) {
            0 => {
                let yes = dice.roll(3) > 0;
                let purpose = Purpose::ALL[dice.roll(5)];
                world.choose(&browser, &[(purpose, yes)]);
            }
            1 => {
                world.agree(&browser);
            }
            2 => {
                let customer = ["C-0001", "C-0002", "C-0003"][dice.roll(3)];
                world.login(&mut browser, customer);
            }
            3 if dice.roll(3) == 0 => world.logout(&mut browser),
            4 => {
                let person = world.person("C-0001");
                let tier = ["gold", "silver"][dice.roll(2)];
                world.crm(&person, "tier", Value::String(tier.into()));
            }
            5 => {
                let offer = Value::String(offers[dice.roll(offers.len())].into());
                let name = ["Promotion Viewed", "Promotion Clicked", "Promotion Dismissed"];
                world.track(&browser, name[dice.roll(3)], &[("promotion_id", offer)]);
            }
            6 => {
                let total =
                    Value::Double(f64::from(u32::try_from(dice.roll(9_999)).unwrap()) / 100.0);
                world.track(&browser, "Order Completed", &[("total", total)]);
            }
            7 => {
                let event = world.event("Product Viewed", &[]);
                world.send_events(&browser, vec![event.clone(), event]);
            }
            _ => read(world, &browser),
        }
        browsers[at] = browser;
    }
}

fn recorded() -> Vec<u8> {
    let mut world = World::of_the_shop();
    story(&mut world);
    crowd(&mut world);
    let image = world.workspace.to_bytes().unwrap();
    let trace = Trace { image, steps: world.steps };
    let outcome = replay::run(&trace).unwrap();
    for (name, object) in &world.objects {
        assert_eq!(outcome.states.get(name.as_str()), Some(&object.state), "{name}");
    }
    assert!(trace.steps.len() >= 200, "{}", trace.steps.len());
    assert!(trace.steps.iter().any(|step| step.input == Input::Wake), "time alone did something");
    postcard::to_allocvec(&trace).unwrap()
}

#[test]
fn the_recorded_trace_comes_to_the_recorded_outcome() {
    if std::env::var_os("UPDATE").is_some() {
        let trace = recorded();
        let digest = hex(&Sha256::digest(replay::run_bytes(&trace).unwrap()));
        std::fs::write(TRACE, trace).unwrap();
        std::fs::write(OUTCOME, digest + "\n").unwrap();
    }
    let trace = std::fs::read(TRACE).unwrap();
    let first = replay::run_bytes(&trace).unwrap();
    assert_eq!(first, replay::run_bytes(&trace).unwrap());
    let expected = std::fs::read_to_string(OUTCOME).unwrap();
    assert_eq!(hex(&Sha256::digest(&first)), expected.trim());
    assert_eq!(recorded(), trace, "the trace is stale: record it anew with UPDATE=1");
}

#[test]
fn a_damaged_trace_is_refused() {
    assert_eq!(replay::run_bytes(b"\xff\xff\xff").unwrap_err().code(), "bad_trace");
}
