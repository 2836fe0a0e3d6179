//! Writes what is declared as the JSON that people write. It must never know what it means.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Map, Value as Json, json};

use super::declared::*;
use crate::oracle::generate::Kind;
use crate::oracle::source;

/// The source of a workspace.
pub fn workspace(declared: &Declared) -> String {
    let mut root = json!({
        "format": 1,
        "languages": ["en", "de"],
        "events": {
            "Bought": { "total": "double", "category": "string" },
            "Visited": {},
        },
    });
    root["traits"] = map(TRAITS.map(|(name, kind)| {
        let kind = match kind {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Double => "double",
            Kind::Time => "timestamp",
            Kind::Texts => "strings",
            _ => "string",
        };
        (name, json!({ "type": kind, "public": declared.public.contains(name) }))
    }));
    root["computed"] = map(COMPUTED.map(|(name, metric, _)| {
        let mut one = json!({ metric.way: metric.event });
        one["public"] = declared.public.contains(name).into();
        put(&mut one, "property", metric.property);
        put(&mut one, "window", metric.days.map(|days| format!("{days}d")));
        (name, one)
    }));
    let audiences = declared.audiences.iter().enumerate();
    root["audiences"] = map(audiences.map(|(at, e)| (format!("a{at}"), when(e))));
    root["placements"] = map(declared
        .placements
        .iter()
        .map(|(name, page)| (*name, json!({ "where": if *page { "page" } else { "edge" } }))));
    root["experiments"] = map(declared.experiments.iter().map(|(k, v)| (*k, experiment(v))));
    root["holdouts"] = map(declared.holdouts.iter().map(|(name, holdout)| {
        let mut one = json!({ "share": holdout.share });
        put(&mut one, "offers", holdout.offers.clone());
        (*name, one)
    }));
    root["offers"] = map(declared.offers.iter().map(|(key, one)| (key.clone(), offer(one))));
    root.to_string()
}

fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Json)>) -> Json {
    let entries = entries.into_iter().map(|(key, value)| (key.into(), value));
    Json::Object(entries.collect::<Map<String, Json>>())
}

fn put(object: &mut Json, name: &str, value: Option<impl Into<Json>>) {
    if let Some(value) = value {
        object[name] = value.into();
    }
}

fn when(e: &crate::oracle::E) -> Json {
    json!({ "when": source(e) })
}

fn experiment(experiment: &Experiment) -> Json {
    let mut one = json!({ "variants": experiment.variants });
    put(&mut one, "weights", experiment.weights.clone());
    put(&mut one, "coverage", experiment.coverage);
    put(&mut one, "seed", experiment.seed);
    put(&mut one, "when", experiment.when.as_ref().map(source));
    put(
        &mut one,
        "namespace",
        experiment
            .namespace
            .map(|(name, from, until)| json!({ "name": name, "from": from, "until": until })),
    );
    let prerequisite = experiment.prerequisite;
    put(
        &mut one,
        "prerequisite",
        prerequisite.map(|(other, variant)| json!({ "experiment": other, "variant": variant })),
    );
    one
}

fn offer(offer: &Offer) -> Json {
    let mut one = json!({
        "placements": offer.placements,
        "purpose": offer.purpose,
        "priority": offer.priority,
        "repeats": offer.repeats,
        "content": content(&offer.content),
    });
    if offer.assurance > 0 {
        one["assurance"] = ASSURANCES[offer.assurance].into();
    }
    put(&mut one, "when", offer.when.as_ref().map(source));
    put(&mut one, "rank", offer.rank.as_ref().map(source));
    put(&mut one, "exclusion", offer.exclusion);
    put(&mut one, "fallback", offer.fallback.clone());
    put(&mut one, "coolDown", offer.cool_down_hours.map(|hours| format!("{hours}h")));
    put(
        &mut one,
        "rollout",
        offer.rollout.map(|(coverage, seed)| match seed {
            Some(seed) => json!({ "coverage": coverage, "seed": seed }),
            None => json!(coverage),
        }),
    );
    let budget = json!({ "max": 1000, "on": "impression", "per": "ever" });
    put(&mut one, "budget", offer.has_budget.then_some(budget));
    if !offer.caps.is_empty() {
        one["caps"] = offer.caps.iter().map(cap).collect();
    }
    put(&mut one, "schedule", offer.schedule.as_ref().map(schedule));
    if let Some((name, arms)) = &offer.experiment {
        one["experiment"] = (*name).into();
        let arms = arms.iter().map(|(variant, arm)| match arm {
            Arm::Nothing => (*variant, Json::Null),
            Arm::Content(other) => (*variant, content(other)),
        });
        let arms = map(arms);
        put(&mut one, "variants", Some(arms).filter(|arms| arms != &json!({})));
    }
    one
}

fn cap(cap: &Cap) -> Json {
    let per = if cap.per_device { "device" } else { "person" };
    json!({ "per": per, "window": cap.window, "on": CONTACTS[cap.on], "max": cap.max })
}

/// The zone of a schedule.
pub fn zone(schedule: &Schedule) -> TimeZone {
    let name = schedule.zone.unwrap_or("UTC");
    TimeZoneDatabase::bundled().get(name).expect("a known zone")
}

/// Half of the times are local.
fn schedule(schedule: &Schedule) -> Json {
    let time = |ms: i64| {
        let time = jiff::Timestamp::from_millisecond(ms).expect("in range");
        if ms % (2 * HOUR) == 0 {
            time.to_string()
        } else {
            time.to_zoned(zone(schedule)).datetime().to_string()
        }
    };
    let minute = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
    let mut one = json!({});
    put(&mut one, "from", schedule.from.map(time));
    put(&mut one, "until", schedule.until.map(time));
    put(&mut one, "zone", schedule.zone);
    if !schedule.weekly.is_empty() {
        let windows = schedule.weekly.iter().map(|(days, from, until)| {
            let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let days: Vec<&str> = days.iter().map(|day| names[*day as usize]).collect();
            json!({ "days": days, "from": minute(*from), "until": minute(*until) })
        });
        one["weekly"] = windows.collect();
    }
    one
}

fn content(content: &Content) -> Json {
    map(content.0.iter().map(|(language, pieces)| {
        let headline: String = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Value(name, "") => format!("{{{{profile.{name}}}}}"),
                Piece::Value(name, default) => format!("{{{{profile.{name}|{default}}}}}"),
            })
            .collect();
        (*language, json!({ "headline": headline, "href": format!("/{language}/") }))
    }))
}
