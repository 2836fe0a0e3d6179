//! A real server on a real file, a real client, and a listener that stands as the edge.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use selvedge::budget::Spent;
use selvedge::consent::{Basis, Choice, Purpose, Record, Region};
use selvedge::event::{Event, EventKind};
use selvedge::identity::{Identifier, IdentifierKind, TenantKey};
use selvedge::ids::{DeviceId, ProfileName};
use selvedge::time::Timestamp;
use selvedge::wire::{
    Change, ChangeBody, Changes, Fact, FactRow, Hydrate, Push, Receipt, WIRE_VERSION,
};
use selvedge_central::Running;
use selvedge_central::config::{Asked, Config};
use serde_json::{Value, json};

pub const KEY: &str = "a key of the central store";
const TENANT_KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(10);

pub struct Store {
    running: Option<Running>,
    pub folder: tempfile::TempDir,
    pub url: String,
    edge_url: Option<String>,
    http: Client<HttpConnector, Full<Bytes>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Store {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    pub async fn start_with(edge: Option<&Edge>) -> Self {
        let mut store = Self {
            running: None,
            folder: tempfile::tempdir().unwrap(),
            url: String::new(),
            edge_url: edge.map(|edge| edge.url.clone()),
            http: Client::builder(TokioExecutor::new()).build_http(),
        };
        store.resume().await;
        store
    }

    /// Starts the server on the file that is there.
    pub async fn resume(&mut self) {
        let file = self.folder.path().join("central.sqlite").display().to_string();
        let edge_url = self.edge_url.clone();
        let environment = move |name: &str| match name {
            "SELVEDGE_CENTRAL_LISTEN" => Some("127.0.0.1:0".to_owned()),
            "SELVEDGE_CENTRAL_DATABASE" => Some(file.clone()),
            "SELVEDGE_CENTRAL_KEY" => Some(KEY.to_owned()),
            "SELVEDGE_EDGE_URL" => edge_url.clone(),
            "SELVEDGE_TENANT" => Some("shop".to_owned()),
            "SELVEDGE_TENANT_KEY" => Some(TENANT_KEY.to_owned()),
            _ => None,
        };
        let Ok(Asked::Serve(config)) = Config::from(std::iter::empty(), &environment) else {
            panic!("the configuration was refused")
        };
        let running = selvedge_central::start(*config).await.unwrap();
        self.url = format!("http://{}", running.address);
        self.running = Some(running);
    }

    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (parts, body) = self.http.request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Full::default()).unwrap()).await
    }

    pub async fn post(&self, path: &str, media: &str, body: impl Into<Bytes>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, media)
            .body(Full::new(body.into()))
            .unwrap();
        self.send(request).await
    }

    pub async fn post_json(&self, path: &str, body: &impl serde::Serialize) -> Answer {
        self.post(path, "application/json", serde_json::to_vec(body).unwrap()).await
    }

    /// Imports NDJSON rows; the report.
    pub async fn import(&self, source: &str, rows: &[Value]) -> Value {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        self.import_text(source, "application/x-ndjson", text).await
    }

    pub async fn import_text(&self, source: &str, media: &str, text: impl Into<Bytes>) -> Value {
        let answer = self.post(&format!("/v1/import/{source}"), media, text).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    pub async fn push(&self, facts: Vec<FactRow>) -> Value {
        let answer =
            self.post_json("/sync/v1/push", &Push { wire_version: WIRE_VERSION, facts }).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    pub async fn hydrate(&self, person: &ProfileName, metrics: &[(&str, &str)]) -> Changes {
        let metrics =
            metrics.iter().map(|(event, property)| ((*event).into(), (*property).into())).collect();
        let asked = Hydrate { wire_version: WIRE_VERSION, person: person.clone(), metrics };
        let answer = self.post_json("/sync/v1/hydrate", &asked).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    pub async fn changes(&self, cursor: u64, limit: usize) -> Changes {
        let answer = self.get(&format!("/sync/v1/changes?cursor={cursor}&limit={limit}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    pub async fn person(&self, customer_id: &str) -> Value {
        let answer = self.get(&format!("/v1/people/{customer_id}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    /// How many events of a name are held, over all sources.
    pub async fn count(&self, customer_id: &str, name: &str) -> u64 {
        let person = self.person(customer_id).await;
        let events = person["events"].as_array().unwrap().iter();
        events.filter(|event| event["name"] == name).map(|e| e["count"].as_u64().unwrap()).sum()
    }
}

/// What stands as the edge: takes changes, or refuses them.
pub struct Edge {
    pub url: String,
    state: Arc<EdgeState>,
}

#[derive(Default)]
struct EdgeState {
    taken: Mutex<Vec<(Instant, Change)>>,
    spent: Mutex<Vec<Spent>>,
    tries: Mutex<u64>,
    refusing: Mutex<bool>,
}

impl Edge {
    pub async fn start() -> Self {
        let state = Arc::new(EdgeState::default());
        let router = axum::Router::new()
            .route("/_selvedge/sync/v1/apply", post(apply))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    pub fn refuse(&self, refusing: bool) {
        *self.state.refusing.lock().unwrap() = refusing;
    }

    pub fn tries(&self) -> u64 {
        *self.state.tries.lock().unwrap()
    }

    pub fn taken(&self) -> Vec<Change> {
        self.state.taken.lock().unwrap().iter().map(|(_, change)| change.clone()).collect()
    }

    /// What it was told last of spent offers, by name.
    pub fn spent(&self) -> Option<Vec<String>> {
        let spent = self.state.spent.lock().unwrap();
        spent.last().map(|spent| spent.offers.keys().cloned().collect())
    }

    /// The first change that is wanted, and when it came.
    pub async fn meets(&self, wanted: impl Fn(&Change) -> bool) -> (Instant, Change) {
        eventually(|| async {
            let taken = self.state.taken.lock().unwrap();
            taken.iter().find(|(_, change)| wanted(change)).cloned()
        })
        .await
    }
}

async fn apply(
    State(state): State<Arc<EdgeState>>,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, Json<Value>) {
    *state.tries.lock().unwrap() += 1;
    assert_eq!(headers[header::AUTHORIZATION], format!("Bearer {KEY}"));
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    let bytes = body.collect().await.unwrap().to_bytes();
    if *state.refusing.lock().unwrap() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({})));
    }
    let changes: Changes = serde_json::from_slice(&bytes).unwrap();
    let now = Instant::now();
    let applied = changes.changes.len();
    state.spent.lock().unwrap().extend(changes.spent);
    state.taken.lock().unwrap().extend(changes.changes.into_iter().map(|change| (now, change)));
    (StatusCode::OK, Json(json!({ "applied": applied, "cursor": changes.cursor })))
}

/// Asks until there is an answer, or the deadline is past.
pub async fn eventually<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "it did not happen in {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub fn tenant() -> TenantKey {
    TenantKey::parse("shop", TENANT_KEY).unwrap()
}

pub fn person(customer_id: &str) -> ProfileName {
    tenant().person(&Identifier::parse(IdentifierKind::CustomerId, customer_id, &[]).unwrap())
}

pub fn device(number: u8) -> DeviceId {
    DeviceId([number; 16])
}

pub fn object(number: u8) -> ProfileName {
    tenant().device(device(number))
}

pub fn identify(customer_id: &str, traits: Value) -> Value {
    json!({ "type": "identify", "userId": customer_id, "traits": traits })
}

pub fn order(customer_id: &str, id: &str, total: f64) -> Value {
    json!({
        "type": "track", "messageId": id, "userId": customer_id, "event": "Order Completed",
        "timestamp": "2026-01-02T03:04:05Z", "properties": { "total": total },
    })
}

pub fn event(producer: &ProfileName, seq: u64, id: &str, time: i64) -> FactRow {
    event_claiming(producer, seq, id, time, None)
}

pub fn event_claiming(
    producer: &ProfileName,
    seq: u64,
    id: &str,
    time: i64,
    user: Option<&str>,
) -> FactRow {
    let event = Event {
        id: id.to_owned(),
        kind: EventKind::Track,
        name: "Product Viewed".to_owned(),
        time: Timestamp(time),
        user_id: user.map(str::to_owned),
        properties: [("sku".to_owned(), selvedge::rule::Value::Int(7))].into(),
        payload: json!({ "event": "Product Viewed", "userId": user }).to_string(),
    };
    let fact = Fact::Event { device: device(1), event };
    FactRow { producer: producer.clone(), seq, time: Timestamp(time), fact }
}

pub fn link(producer: &ProfileName, seq: u64, of: u8, attached: bool, time: i64) -> FactRow {
    let evidence = "token-1".to_owned();
    let fact = Fact::Link { device: device(of), from: object(of), attached, evidence };
    FactRow { producer: producer.clone(), seq, time: Timestamp(time), fact }
}

pub fn choice(
    producer: &ProfileName,
    seq: u64,
    purpose: Purpose,
    choice: Choice,
    epoch: u32,
    time: i64,
) -> FactRow {
    let record = Record { purpose, choice, epoch, time: Timestamp(time), basis: Basis::Consent };
    let receipt = Receipt {
        seq,
        previous: String::new(),
        records: vec![record],
        device: device(1),
        source: "banner".to_owned(),
        evidence: "banner-1".to_owned(),
        region: Region::default(),
        time: Timestamp(time),
        hash: format!("{seq:064x}"),
    };
    let fact = Fact::Consent(receipt);
    FactRow { producer: producer.clone(), seq, time: Timestamp(time), fact }
}

/// The trait's value in a list of changes, where any tells it.
pub fn told(changes: &[Change], name: &str) -> Option<selvedge::rule::Value> {
    changes.iter().rev().find_map(|change| match &change.body {
        ChangeBody::Traits(updates) => {
            updates.iter().find(|update| update.name == name).and_then(|u| u.value.clone())
        }
        _ => None,
    })
}
