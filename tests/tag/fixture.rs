//! Writes what the tag's tests in the browser need, as JSON: the shop's workspace image for pages,
//! the slices of two visitors as hexadecimal, and what the edge's engine decides for them. It must
//! never decide by anything but the engine.

#[path = "../world/mod.rs"]
mod world;

use selvedge::decide::{Decision, Request};
use selvedge::engine::{Input, Placements, Reply};
use selvedge::ids::hex;
use selvedge::rule::Value;
use serde_json::json;
use world::{Browser, World};

const PLACEMENT: &str = "tip";

fn main() {
    let mut world = World::of_the_shop();
    let nobody = world.browser("DE");
    let mut ada = world.browser("DE");
    world.agree(&ada);
    world.login(&mut ada, "c-1");
    let person = world.person("c-1");
    for (name, value) in [("first_name", "Ada"), ("tier", "gold"), ("contract", "none")] {
        world.crm(&person, name, Value::String(value.into()));
    }
    for _ in 0..3 {
        world.track(&ada, "Order Completed", &[("total", Value::Double(10.0))]);
    }
    let image = world.workspace.for_page().to_bytes().expect("the image is small");
    let visitors = [visitor(&mut world, &nobody), visitor(&mut world, &ada)];
    let now = world.now.0;
    let version = &world.workspace.version;
    let fixture = json!({
        "version": version, "now": now, "image": hex(&image), "visitors": visitors,
    });
    println!("{fixture}");
}

/// The visitor's slice, and the edge's own decisions in two languages.
fn visitor(world: &mut World, browser: &Browser) -> serde_json::Value {
    let (speaker, home) = (world.speaker(browser), world.home(browser));
    let input = Input::Slice { speaker, request: request("en") };
    let Reply::Slice(slice) = world.send(&home, input) else { panic!("no slice") };
    let decisions: Vec<Decision> =
        ["en", "de"].map(|language| decide(world, browser, language)).into();
    let bytes = slice.to_bytes();
    json!({ "slice": hex(&bytes), "decisions": decisions })
}

fn decide(world: &mut World, browser: &Browser, language: &str) -> Decision {
    let (speaker, home) = (world.speaker(browser), world.home(browser));
    let placements = Placements::Named(vec![PLACEMENT.to_owned()]);
    let input = Input::Decide { speaker, placements, request: request(language), trace: false };
    let Reply::Decisions(page) = world.send(&home, input) else { panic!("no decision") };
    page.decisions.into_iter().next().expect("one was asked for")
}

fn request(language: &str) -> Request {
    let fields = [("path", "/"), ("language", language), ("country", "DE")];
    Request(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}
