//! What the tests of this crate share.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use verbatim_core::ports::{CaptureLog, Consumer, Delivery, Message, MessageKind, PullLimit, Sequence};
use verbatim_log_nats::{Config, NatsLog};
use verbatim_testkit::NatsServer;
use verbatim_testkit::capture_log::message;

/// What a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A log on this server; it fails within seconds.
pub(crate) fn config(server: &NatsServer) -> Config {
    Config { max_bytes: 1 << 30, connect_within: PATIENCE, ..Config::new([server.url()]) }
}

pub(crate) async fn connect(server: &NatsServer) -> NatsLog {
    NatsLog::connect(config(server)).await.unwrap()
}

pub(crate) fn end(text: &str) -> Message {
    message(MessageKind::End, "gateway-1", text.to_owned())
}

pub(crate) fn start(text: &str) -> Message {
    message(MessageKind::Start, "gateway-1", text.to_owned())
}

pub(crate) async fn append(log: &NatsLog, messages: Vec<Message>) -> Vec<Sequence> {
    log.append(messages).await.into_iter().map(Result::unwrap).collect()
}

/// Appends, again and again, until all of it was taken.
pub(crate) async fn append_at_last(log: &NatsLog, message: Message) -> Sequence {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match log.append(vec![message.clone()]).await.remove(0) {
            Ok(sequence) => return sequence,
            Err(error) => assert!(error.is_transient() && Instant::now() < give_up, "{error}"),
        }
    }
}

pub(crate) fn limit(messages: usize, wait: Duration) -> PullLimit {
    PullLimit { messages, bytes: usize::MAX, wait }
}

/// Pulls until so many came, whatever happens to the server meanwhile.
pub(crate) async fn pull(log: &NatsLog, consumer: Consumer, count: usize) -> Vec<Delivery> {
    let (mut all, give_up) = (Vec::new(), Instant::now() + PATIENCE);
    while all.len() < count {
        assert!(Instant::now() < give_up, "{count} were to come, {} did", all.len());
        match log.next(consumer, limit(count - all.len(), Duration::from_millis(500))).await {
            Ok(more) => all.extend(more),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    all
}

pub(crate) fn sequences(deliveries: &[Delivery]) -> Vec<Sequence> {
    deliveries.iter().map(|delivery| delivery.sequence).collect()
}

pub(crate) fn texts(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| std::str::from_utf8(&delivery.message.payload).unwrap()).collect()
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let give_up = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < give_up, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A client of somebody else's.
pub(crate) async fn stranger(server: &NatsServer) -> async_nats::Client {
    async_nats::connect(server.url()).await.unwrap()
}

/// Asks JetStream's API.
pub(crate) async fn api(client: &async_nats::Client, name: &str, question: &Value) -> Value {
    let answer = client.request(format!("$JS.API.{name}"), question.to_string().into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

/// The last dead letter of a kind: its headers and its payload.
pub(crate) async fn last_letter(client: &async_nats::Client, kind: &str) -> (String, Vec<u8>) {
    let answer = api(client, "STREAM.MSG.GET.DLQ", &json!({ "last_by_subj": format!("dlq.{kind}") })).await;
    let text = |key: &str| STANDARD.decode(answer["message"][key].as_str().unwrap_or_default()).unwrap();
    (String::from_utf8(text("hdrs")).unwrap(), text("data"))
}
