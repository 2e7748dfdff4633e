//! What callers and the dashboard's users do.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::PATIENCE;

/// A call and its answer, as the caller saw them.
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) request: String,
    pub(crate) response: Bytes,
    pub(crate) ended: Instant,
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Asks the relay something.
pub(crate) async fn call(relay: &str, question: &str) -> Call {
    let request =
        json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": question }] }).to_string();
    let asked = client()
        .post(format!("{relay}/v1/chat/completions"))
        .bearer_auth("sk-mine")
        .header("content-type", "application/json")
        .body(request.clone());
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-verbatim-id"].to_str().unwrap().to_owned();
    let response = answer.bytes().await.unwrap();
    Call { id, request, response, ended: Instant::now() }
}

/// What a URL answers.
pub(crate) async fn get(url: &str) -> (StatusCode, Bytes) {
    let answer = client().get(url).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap())
}

/// The same as JSON.
pub(crate) async fn get_json(url: &str) -> (StatusCode, Value) {
    let (status, body) = get(url).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Asks until what is answered will do.
pub(crate) async fn until(url: &str, what: &str, will_do: impl Fn(StatusCode, &Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let (status, body) = get_json(url).await;
        if will_do(status, &body) {
            return body;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {what}: {status} {body}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Begins a call whose answer goes on until somebody ends it, and waits for the answer's head; gives its id, too.
pub(crate) async fn begin_endless(relay: &str) -> (String, Response) {
    let request = json!({ "model": "gpt-4o-mini", "stream": true,
        "messages": [{ "role": "user", "content": "count to a million" }] });
    let asked = client().post(format!("{relay}/v1/chat/completions")).bearer_auth("sk-mine");
    let asked = asked.header("x-mock", "chunks=100000; chunk-delay=10ms").json(&request);
    let answer = asked.send().await.unwrap();
    (answer.headers()["x-verbatim-id"].to_str().unwrap().to_owned(), answer)
}

/// Waits until a call is listed as ended; gives how long after its end that was.
pub(crate) async fn listed(web: &str, call: &Call) -> Duration {
    listed_as(web, &call.id, "completed").await;
    call.ended.elapsed()
}

/// Waits until a call is listed with an outcome.
pub(crate) async fn listed_as(web: &str, id: &str, outcome: &str) {
    let is_it = |item: &Value| item["id"] == id && item["outcome"] == outcome;
    let url = format!("{web}/api/v1/exchanges?limit=50");
    until(&url, id, |_, page| page["items"].as_array().is_some_and(|items| items.iter().any(is_it))).await;
}

/// Both legs of a call are archived byte for byte.
pub(crate) async fn same_bytes(web: &str, call: &Call) {
    let leg = |leg: &str| format!("{web}/api/v1/exchanges/{}/legs/{leg}", call.id);
    assert_eq!(get(&leg("client_request")).await, (StatusCode::OK, call.request.clone().into()));
    assert_eq!(get(&leg("client_response")).await, (StatusCode::OK, call.response.clone()));
}

/// Waits until a word is found in a call.
pub(crate) async fn found(web: &str, word: &str, call: &Call) {
    let url = format!("{web}/api/v1/exchanges?q={word}");
    until(&url, word, |_, page| {
        page["answered_by"] == "search_index"
            && page["items"]
                .as_array()
                .is_some_and(|items| items.iter().any(|item| item["id"] == call.id.as_str()))
    })
    .await;
}

/// Gives the dashboard its password; the cookie that it answers with.
pub(crate) async fn log_in(web: &str, password: &str) -> String {
    let form = unredirected()
        .post(format!("{web}/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("password={password}"));
    let answer = form.send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Logs out the session of a cookie.
pub(crate) async fn log_out(web: &str, cookie: &str) {
    let answer = unredirected().post(format!("{web}/logout")).header("cookie", cookie).send().await.unwrap();
    assert_eq!(answer.headers()["location"], "/login");
}

/// How the dashboard answers whoever brings a cookie.
pub(crate) async fn status_with(web: &str, cookie: &str) -> u16 {
    let ask = client().get(format!("{web}/api/v1/exchanges")).header("cookie", cookie);
    ask.send().await.unwrap().status().as_u16()
}

fn unredirected() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
