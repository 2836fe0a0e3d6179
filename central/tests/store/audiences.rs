//! Sizes of audiences: who is counted, by what, and how far an estimate may be off.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use selvedge::compile;
use selvedge::consent::{Basis, Choice, Consent, Purpose, Signals};
use selvedge::engine::{self, Effect, Input, Login, Placements, Reply, Speaker, State};
use selvedge::event::{Event, EventKind};
use selvedge::ids::Entropy;
use selvedge::limits;
use selvedge::rule::Value;
use selvedge::time::Timestamp;
use selvedge::wire::FactRow;
use serde_json::json;

use crate::harness::{Answer, Store, choice, device, identify, link, object, order, person};

const DAY: i64 = 86_400_000;
const MEDIA: &str = "application/json";
const WORKSPACE: &str = r#"{
  "format": 1, "languages": ["en"],
  "consent": { "banner": "b" },
  "traits": { "tier": { "type": "string" }, "score": { "type": "int" } },
  "computed": {
    "orders": { "count": "Order Completed" },
    "spent": { "sum": "Order Completed", "property": "total" },
    "pages": { "count": "Page Viewed", "window": "30d" },
    "views": { "count": "Product Viewed" },
    "left": { "sequence": [
      { "event": "Product Viewed" }, { "absent": "Order Completed", "within": "30m" }
    ] }
  },
  "audiences": {
    "everybody": { "when": "true" },
    "gold": { "when": "profile.tier == 'gold'" },
    "buyers": { "when": "profile.orders >= 2" },
    "big": { "when": "inAudience('gold') && profile.spent > 50.0" },
    "browsers": { "when": "profile.pages >= 1 || profile.views >= 1" },
    "hesitant": { "when": "profile.left" },
    "german": { "when": "inAudience('gold') && request.country == 'DE'" }
  },
  "placements": { "hero": { "where": "edge" } },
  "offers": {}
}"#;

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

async fn ask(store: &Store, query: &str) -> Answer {
    store.post(&format!("/v1/audiences{query}"), MEDIA, WORKSPACE).await
}

/// The sizes by name.
async fn sizes(store: &Store, query: &str) -> (BTreeMap<String, Option<u64>>, serde_json::Value) {
    let answer = ask(store, query).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    let of = |one: &serde_json::Value| {
        (one["audience"].as_str().unwrap().to_owned(), one["size"].as_u64())
    };
    (answer["audiences"].as_array().unwrap().iter().map(of).collect(), answer)
}

fn allows(customer_id: &str, word: &str) -> serde_json::Value {
    json!({ "type": "consent", "userId": customer_id, "timestamp": "2026-01-02T00:00:00Z",
            "purposes": { "store": "grant", "profile": word }, "basis": "consent",
            "evidence": "form 7" })
}

#[tokio::test]
async fn only_people_who_allow_profiling_are_counted_and_erased_ones_never() {
    let store = Store::start().await;
    let mut rows = Vec::new();
    for id in ["ada", "ben", "cyd", "dan", "eve"] {
        rows.push(identify(id, json!({ "tier": "gold" })));
        rows.push(order(id, &format!("{id}-1"), 30.0));
        rows.push(order(id, &format!("{id}-2"), 30.0));
    }
    rows.extend([allows("ada", "grant"), allows("ben", "grant"), allows("cyd", "deny")]);
    rows.push(allows("eve", "grant"));
    store.import("crm", &rows).await;
    store.post_json("/v1/erasures", &json!({ "customerId": "eve" })).await;
    let (found, answer) = sizes(&store, "").await;
    let wanted = |count: u64| {
        let of = ["big", "buyers", "everybody", "gold"].map(|name| (name.into(), Some(count)));
        let mut all = BTreeMap::from(of);
        all.extend([
            ("browsers".into(), Some(0)),
            ("hesitant".into(), Some(0)),
            ("german".into(), None),
        ]);
        all
    };
    assert_eq!(found, wanted(2), "{answer}");
    assert_eq!(answer["consent"], json!({ "allowed": 2, "denied": 1, "silent": 1 }));
    assert_eq!((&answer["people"], &answer["exact"]), (&json!(4), &json!(true)));
    let german = answer["audiences"].as_array().unwrap().iter();
    let german = german.clone().find(|one| one["audience"] == "german").unwrap();
    assert_eq!(german["reads"], json!(["request.country"]));
    // Where silence allows, who never chose counts too, and a no stays a no.
    assert_eq!(sizes(&store, "?region=US-NV").await.0, wanted(3));
    assert_eq!(sizes(&store, "?region=DE").await.0, wanted(2));
    // A withdrawal on one device of hers is hers.
    let ada = person("ada");
    let facts = vec![
        link(&ada, 1, 1, true, now()),
        choice(&object(1), 1, Purpose::Profile, Choice::Withdrawn, 1, now()),
    ];
    store.push(facts).await;
    let (found, answer) = sizes(&store, "?region=US-NV").await;
    assert_eq!((found, &answer["consent"]["denied"]), (wanted(2), &json!(2)));
}

/// The edge of one person: the real engine, fed by the real central store.
struct Edge {
    workspace: selvedge::workspace::Workspace,
    state: State,
    speaker: Speaker,
    facts: Vec<FactRow>,
}

impl Edge {
    fn tell(&mut self, at: i64, input: Input) -> Reply {
        let entropy = Entropy::new([7; 32]);
        let output =
            engine::handle(&mut self.state, &self.workspace, Timestamp(at), entropy, input);
        self.facts.extend(output.effects.into_iter().filter_map(|effect| match effect {
            Effect::Queue(fact) => Some(fact),
            _ => None,
        }));
        output.reply
    }

    fn audiences(&mut self) -> Vec<String> {
        let speaker = self.speaker.clone();
        let placements = Placements::Named(Vec::new());
        match self.tell(now(), Input::Explain { speaker, placements, request: Default::default() })
        {
            Reply::Explained(explained) => explained.profile.audiences,
            other => panic!("{other:?}"),
        }
    }
}

/// What a person does on the site.
fn visits(number: u8) -> Vec<Event> {
    let event = |place: u8, kind, name: &str, days: i64| Event {
        id: format!("{number}-{place}"),
        kind,
        name: name.to_owned(),
        time: Timestamp(now() - days * DAY),
        user_id: None,
        properties: [("total".to_owned(), Value::Double(f64::from(number)))].into(),
        payload: "{}".to_owned(),
    };
    let all = [
        event(0, EventKind::Page, "Home", 1),
        event(1, EventKind::Track, "Product Viewed", 2),
        event(2, EventKind::Track, "Order Completed", 3),
        // Too old to count when it comes.
        event(3, EventKind::Track, "Product Viewed", 40),
        event(4, EventKind::Screen, "Page Viewed", 1),
    ];
    all.into_iter().zip(0..).filter(|(_, bit)| number >> bit & 1 == 1).map(|(e, _)| e).collect()
}

#[tokio::test]
async fn an_audience_has_as_many_people_as_the_edge_puts_into_it() {
    let store = Store::start().await;
    let grants = [Purpose::Store, Purpose::Profile, Purpose::Personalise];
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for number in 0..32_u8 {
        let id = format!("C-{number}");
        let mut rows = vec![identify(&id, json!({ "score": number }))];
        if number % 3 == 0 {
            rows.push(identify(&id, json!({ "tier": "gold" })));
        }
        rows.extend((0..number % 4).map(|n| order(&id, &format!("{id}-{n}"), f64::from(number))));
        store.import("crm", &rows).await;
        let person = person(&id);
        let speaker = Speaker {
            device: Some(device(number)),
            profile: Some(person.clone()),
            signals: Signals::default(),
        };
        let mut consent = Consent::default();
        for purpose in grants {
            consent.take(&consent.next_record(purpose, true, Basis::Consent, Timestamp(now())));
        }
        let workspace = compile::workspace(WORKSPACE).unwrap();
        let mut edge = Edge {
            workspace,
            state: State::default(),
            speaker: speaker.clone(),
            facts: Vec::new(),
        };
        let login = Login {
            speaker: speaker.clone(),
            from: object(number),
            history: None,
            consent,
            evidence: format!("token-{number}"),
            evidence_known: false,
            traits: BTreeMap::new(),
        };
        let reply = edge.tell(now(), Input::Login(login));
        assert!(matches!(reply, Reply::LoggedIn { refused: None, .. }), "{reply:?}");
        let metrics = [("Order Completed", ""), ("Order Completed", "total")];
        let changes = store.hydrate(&person, &metrics).await.changes;
        edge.tell(now(), Input::Apply { changes });
        let (events, known) = (visits(number), BTreeSet::new());
        let input = Input::Events { speaker, events, known };
        let reply = edge.tell(now(), input);
        assert!(matches!(reply, Reply::Events { .. }), "{reply:?}");
        for (purpose, seq) in grants.into_iter().zip(1..) {
            let time = now() - DAY;
            edge.facts.push(choice(&object(number), seq, purpose, Choice::Grant, 0, time));
        }
        store.push(edge.facts.clone()).await;
        for audience in edge.audiences().into_iter().filter(|name| name != "german") {
            *wanted.entry(audience).or_default() += 1;
        }
    }
    let (found, answer) = sizes(&store, "").await;
    let found: BTreeMap<String, u64> =
        found.into_iter().filter_map(|(name, size)| Some((name, size?))).collect();
    assert_eq!(found, wanted, "{answer}");
    assert!(wanted.len() == 6 && wanted.values().all(|size| *size > 0), "{wanted:?}");
    assert_eq!((wanted["everybody"], wanted["gold"]), (32, 11));
}

#[tokio::test]
async fn an_estimate_says_how_far_it_may_be_off() {
    const PEOPLE: u64 = 2_000;
    let store = Store::start().await;
    for part in 0..4 {
        let numbers = part * PEOPLE / 4..(part + 1) * PEOPLE / 4;
        let rows = numbers.flat_map(|number| {
            let id = format!("C-{number}");
            let tier = if number % 5 == 0 { "gold" } else { "basic" };
            [identify(&id, json!({ "tier": tier })), allows(&id, "grant")]
        });
        store.import("crm", &rows.collect::<Vec<_>>()).await;
    }
    for sample in [1, 50, 400, 1_999] {
        let (_, answer) = sizes(&store, &format!("?sample={sample}")).await;
        assert_eq!((&answer["people"], &answer["sampled"]), (&json!(PEOPLE), &json!(sample)));
        assert_eq!((&answer["exact"], &answer["confidence"]), (&json!(false), &json!(0.95)));
        let gold = answer["audiences"].as_array().unwrap().iter();
        let gold = gold.clone().find(|one| one["audience"] == "gold").unwrap();
        let of = |name: &str| gold[name].as_u64().unwrap();
        let (low, size, high) = (of("low"), of("size"), of("high"));
        // 400 people are gold; the names of these two thousand are always the same, so that this
        // sample holds them within its bounds today and tomorrow.
        assert!(low <= 400 && 400 <= high && low <= size && size <= high, "{sample}: {gold}");
        assert!(sample != 400 || high - low < 160, "{gold}");
        assert!(sample != 1_999 || high - low <= 1, "{gold}");
    }
    for sample in [PEOPLE, PEOPLE + 1, 100_000] {
        let (found, answer) = sizes(&store, &format!("?sample={sample}")).await;
        assert_eq!(found["gold"], Some(400));
        assert_eq!((&answer["exact"], &answer["sampled"]), (&json!(true), &json!(PEOPLE)));
        let everybody = &answer["audiences"][3];
        assert_eq!((&everybody["low"], &everybody["high"]), (&json!(PEOPLE), &json!(PEOPLE)));
    }
}

#[tokio::test]
async fn everything_that_somebody_did_counts_however_much_it_is() {
    // More than are read at a time, of two names and both origins, at equal times.
    const ORDERS: u64 = 1_100;
    let store = Store::start().await;
    let mut rows = vec![identify("ada", json!({})), allows("ada", "grant")];
    rows.extend((0..ORDERS).map(|n| order("ada", &format!("o-{n}"), 1.0)));
    store.import("shop", &rows).await;
    let ada = person("ada");
    let views = (1..=150).map(|n| crate::harness::event(&ada, n, &format!("v-{n}"), now()));
    store.push(views.collect()).await;
    let workspace = |orders: u64, views: u64| {
        let exactly = format!("profile.orders == {orders} && profile.views == {views}");
        WORKSPACE.replace("profile.orders >= 2", &exactly)
    };
    for (orders, views, size) in [(ORDERS, 150, 1), (ORDERS - 1, 150, 0), (ORDERS, 149, 0)] {
        let answer = store.post("/v1/audiences", MEDIA, workspace(orders, views)).await.json();
        let all = answer["audiences"].as_array().unwrap();
        let buyers = all.iter().find(|one| one["audience"] == "buyers").unwrap();
        assert_eq!(buyers["size"], size, "{orders} {views}: {answer}");
    }
}

#[tokio::test]
async fn what_cannot_be_counted_is_refused_with_a_code() {
    let store = Store::start().await;
    for (query, code) in [
        ("?sample=0", "bad_sample"),
        ("?sample=100001", "bad_sample"),
        ("?sample=-1", "bad_sample"),
        ("?sample", "bad_sample"),
        ("?region=Germany", "bad_region"),
        ("?people=5", "unknown_parameter"),
    ] {
        let answer = ask(&store, query).await;
        let got = (answer.status, answer.code());
        assert_eq!(got, (StatusCode::BAD_REQUEST, code.to_owned()), "{query}");
    }
    let wrong = WORKSPACE.replace("profile.tier ==", "profile.tierr ==");
    let answer = store.post("/v1/audiences", MEDIA, wrong).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "bad_workspace"));
    let mistake = &answer.json()["mistakes"][0];
    assert_eq!(
        (&mistake["code"], &mistake["suggestion"]),
        (&json!("unknown_trait"), &json!("tier"))
    );
    assert_eq!((&mistake["line"], &mistake["path"]), (&json!(16), &json!("audiences.gold.when")));
    let answer = store.post("/v1/audiences", "text/plain", WORKSPACE).await;
    assert_eq!(answer.code(), "bad_content_type");
    let answer = store.post("/v1/audiences", MEDIA, vec![b'{', 0xff]).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "not_utf8"));
    let large = vec![b' '; limits::WORKSPACE_BYTES + 1];
    let answer = store.post("/v1/audiences", MEDIA, large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let empty = sizes(&store, "").await.1;
    assert_eq!((&empty["people"], &empty["exact"]), (&json!(0), &json!(true)));
}
