//! A server that plays Meilisearch as far as the index needs it, and misbehaves on demand. It stores documents and keeps
//! tasks, but looks at no words: a search finds every document.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use verbatim_search_meilisearch::{Config, MeilisearchIndex};

type Answer = Result<(StatusCode, Json<Value>), (StatusCode, Json<Value>)>;

/// Tells what becomes of documents that come together; an error is that of their task.
pub(crate) type Verdict = Box<dyn Fn(&[Value]) -> Result<(), Value> + Send>;

#[derive(Default)]
pub(crate) struct Index {
    pub(crate) settings: Option<Value>,
    pub(crate) documents: BTreeMap<String, Value>,
}

struct Task {
    status: &'static str,
    error: Value,
    /// What its documents are written to, when it is let go.
    work: Option<(String, Vec<Value>)>,
}

pub(crate) struct Play {
    pub(crate) version: String,
    /// Answers everything with this instead, if set.
    pub(crate) refuse: Option<(u16, Value)>,
    pub(crate) verdict: Verdict,
    /// Tasks of documents stay enqueued.
    pub(crate) hold: bool,
    pub(crate) indexes: BTreeMap<String, Index>,
    pub(crate) primary_key: Value,
    pub(crate) settings_changes: usize,
    pub(crate) contains: bool,
    pub(crate) cancelled: BTreeSet<u64>,
    /// The numbers of documents of the tasks, as they came.
    pub(crate) batches: Vec<usize>,
    tasks: Vec<Task>,
    /// The most tasks of documents that were not done at the same time.
    pub(crate) most_in_flight: usize,
    /// How many documents each search asked for, as they came.
    pub(crate) pages: Vec<u64>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    play: Arc<Mutex<Play>>,
    changed: watch::Sender<()>,
    address: SocketAddr,
    /// Ends with the last clone.
    _server: Arc<JoinSet<()>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::start_at("http://127.0.0.1:0").await
    }

    /// Starts one where another was.
    pub(crate) async fn start_at(url: &str) -> Self {
        let play = Play {
            version: "1.50.0".to_owned(),
            refuse: None,
            verdict: Box::new(|_| Ok(())),
            hold: false,
            indexes: BTreeMap::new(),
            primary_key: Value::Null,
            settings_changes: 0,
            contains: false,
            cancelled: BTreeSet::new(),
            batches: Vec::new(),
            tasks: Vec::new(),
            most_in_flight: 0,
            pages: Vec::new(),
        };
        let listener = TcpListener::bind(url.trim_start_matches("http://")).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (changed, _) = watch::channel(());
        let mut fake = Self { play: Arc::new(Mutex::new(play)), changed, address, _server: Arc::default() };
        let mut server = JoinSet::new();
        let state = Self { _server: Arc::default(), ..fake.clone() };
        let app = router(state);
        server.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        fake._server = Arc::new(server);
        fake
    }

    pub(crate) fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().expect("nobody panicked")
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(&format!("http://{}", self.address), "test-key".to_owned()).expect("a configuration")
    }

    pub(crate) fn index(&self) -> MeilisearchIndex {
        MeilisearchIndex::new(self.config()).expect("a client is made")
    }

    /// Waits until this holds.
    pub(crate) async fn until(&self, holds: impl Fn(&Play) -> bool) {
        let mut changes = self.changed.subscribe();
        while !holds(&self.play()) {
            changes.changed().await.expect("the server runs");
        }
    }

    /// Lets the tasks go that are held.
    pub(crate) fn let_go(&self) {
        let mut play = self.play();
        play.hold = false;
        for number in 0..play.tasks.len() {
            play.work(number);
        }
    }

    fn changed(&self) {
        self.changed.send_replace(());
    }
}

impl Play {
    fn take(&mut self, work: Option<(String, Vec<Value>)>) -> Answer {
        let waits = work.is_some() && self.hold;
        let number = self.tasks.len();
        self.tasks.push(Task { status: "enqueued", error: Value::Null, work });
        let in_flight =
            self.tasks.iter().filter(|task| task.status == "enqueued" && task.work.is_some()).count();
        self.most_in_flight = self.most_in_flight.max(in_flight);
        if !waits {
            self.work(number);
        }
        let taken = json!({
            "taskUid": number, "indexUid": null, "status": "enqueued", "type": "documentAdditionOrUpdate",
            "enqueuedAt": "2026-11-27T08:00:00Z",
        });
        Ok((StatusCode::ACCEPTED, Json(taken)))
    }

    fn work(&mut self, number: usize) {
        if self.tasks[number].status != "enqueued" {
            return;
        }
        let (mut status, mut reason) = ("succeeded", Value::Null);
        if let Some((index, documents)) = self.tasks[number].work.take() {
            match (self.verdict)(&documents) {
                Ok(()) => {
                    let stored = &mut self.indexes.entry(index).or_default().documents;
                    let id = |document: &Value| document["id"].as_str().expect("an id").to_owned();
                    stored.extend(documents.into_iter().map(|document| (id(&document), document)));
                }
                Err(error) => (status, reason) = ("failed", error),
            }
        }
        self.tasks[number] = Task { status, error: reason, work: None };
    }

    /// The ids in an index.
    pub(crate) fn ids(&self, index: &str) -> Vec<String> {
        self.indexes.get(index).map(|index| index.documents.keys().cloned().collect()).unwrap_or_default()
    }
}

/// An error as Meilisearch words it.
pub(crate) fn error(code: &str, kind: &str) -> Value {
    json!({"message": format!("because of {code}"), "code": code, "type": kind, "link": ""})
}

fn router(fake: Fake) -> Router {
    Router::new()
        .route("/version", get(version))
        .route("/experimental-features", get(features).patch(set_features))
        .route("/indexes/{index}", get(index).delete(delete_index))
        .route("/indexes/{index}/settings", get(settings).patch(set_settings))
        .route("/indexes/{index}/documents", post(documents))
        .route(
            "/indexes/{index}/documents/delete",
            post(async |State(fake): State<Fake>| fake.play().take(None)),
        )
        .route("/indexes/{index}/search", post(search))
        .route("/swap-indexes", post(swap))
        .route("/tasks", get(async || Json(json!({"results": []}))))
        .route("/tasks/{task}", get(task))
        .route("/tasks/cancel", post(cancel))
        .layer(from_fn_with_state(fake.clone(), refuse))
        .with_state(fake)
}

async fn refuse(State(fake): State<Fake>, request: Request, next: Next) -> Response {
    let refusal = fake.play().refuse.clone();
    let answer = match refusal {
        Some((status, body)) => (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response(),
        None => next.run(request).await,
    };
    fake.changed();
    answer
}

fn missing() -> (StatusCode, Json<Value>) {
    (StatusCode::NOT_FOUND, Json(error("index_not_found", "invalid_request")))
}

async fn version(State(fake): State<Fake>) -> Json<Value> {
    Json(json!({"commitSha": "", "commitDate": "", "pkgVersion": fake.play().version}))
}

async fn features(State(fake): State<Fake>) -> Json<Value> {
    Json(json!({"containsFilter": fake.play().contains}))
}

async fn set_features(State(fake): State<Fake>, Json(wanted): Json<Value>) -> Json<Value> {
    fake.play().contains = wanted["containsFilter"] == json!(true);
    Json(wanted)
}

async fn index(State(fake): State<Fake>, Path(index): Path<String>) -> Answer {
    let play = fake.play();
    play.indexes.get(&index).ok_or_else(missing)?;
    Ok((StatusCode::OK, Json(json!({"uid": index, "primaryKey": play.primary_key}))))
}

async fn delete_index(State(fake): State<Fake>, Path(index): Path<String>) -> Answer {
    let mut play = fake.play();
    play.indexes.remove(&index);
    play.take(None)
}

async fn settings(State(fake): State<Fake>, Path(index): Path<String>) -> Answer {
    let play = fake.play();
    let index = play.indexes.get(&index).ok_or_else(missing)?;
    let default = json!({"searchableAttributes": ["*"], "displayedAttributes": ["*"]});
    Ok((StatusCode::OK, Json(index.settings.clone().unwrap_or(default))))
}

async fn set_settings(
    State(fake): State<Fake>,
    Path(index): Path<String>,
    Json(settings): Json<Value>,
) -> Answer {
    let mut play = fake.play();
    play.settings_changes += 1;
    play.indexes.entry(index).or_default().settings = Some(settings);
    play.take(None)
}

async fn documents(State(fake): State<Fake>, Path(index): Path<String>, body: Bytes) -> Answer {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let documents: Vec<Value> = lines.map(|line| serde_json::from_slice(line).expect("a document")).collect();
    let mut play = fake.play();
    play.batches.push(documents.len());
    play.take(Some((index, documents)))
}

/// Finds all there are, whatever the words; of filters it knows the one on ids.
async fn search(State(fake): State<Fake>, Path(index): Path<String>, Json(asked): Json<Value>) -> Answer {
    let mut play = fake.play();
    let limit = asked["limit"].as_u64().expect("a limit");
    play.pages.push(limit);
    let index = play.indexes.get(&index).ok_or_else(missing)?;
    let filter = asked["filter"].as_str().unwrap_or_default();
    let before = filter.strip_prefix("id < \"").and_then(|id| id.strip_suffix('"')).unwrap_or("~");
    let before = before.to_owned();
    let found = || index.documents.range(..before.clone()).rev().map(|(_, document)| document);
    let hits: Vec<_> = found().take(limit as usize).collect();
    Ok((StatusCode::OK, Json(json!({"hits": hits, "estimatedTotalHits": found().count()}))))
}

async fn swap(State(fake): State<Fake>, Json(swaps): Json<Value>) -> Answer {
    let mut play = fake.play();
    let name = |at: usize| swaps[0]["indexes"][at].as_str().expect("a name").to_owned();
    let (one, other) = (play.indexes.remove(&name(0)), play.indexes.remove(&name(1)));
    play.indexes.extend(one.map(|one| (name(1), one)));
    play.indexes.extend(other.map(|other| (name(0), other)));
    play.take(None)
}

async fn task(State(fake): State<Fake>, Path(task): Path<usize>) -> Json<Value> {
    let play = fake.play();
    Json(json!({"uid": task, "status": play.tasks[task].status, "error": play.tasks[task].error}))
}

async fn cancel(State(fake): State<Fake>, Query(query): Query<BTreeMap<String, String>>) -> Json<Value> {
    let mut play = fake.play();
    for uid in query["uids"].split(',') {
        let uid: usize = uid.parse().expect("a number");
        play.tasks[uid].status = "canceled";
        play.cancelled.insert(uid as u64);
    }
    Json(json!({
        "taskUid": 0, "indexUid": null, "status": "enqueued", "type": "taskCancelation",
        "enqueuedAt": "2026-11-27T08:00:00Z",
    }))
}
