//! A full stream refuses what it has no room for; full or purged, it keeps what it confirmed and nobody read.

use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::task::JoinSet;
use verbatim_core::ports::{CaptureLog, Message, MessageKind, Sequence};
use verbatim_log_nats::{Config, NatsLog};
use verbatim_testkit::NatsServer;
use verbatim_testkit::capture_log::message;

use crate::support::{append, append_at_last, config, stranger};

const ROOM: u64 = 1 << 20;

async fn small_log(server: &NatsServer) -> NatsLog {
    NatsLog::connect(Config { max_bytes: ROOM, ..config(server) }).await.unwrap()
}

fn part(bytes: usize) -> Message {
    message(MessageKind::Part, "gateway-1", vec![0; bytes])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_takes_messages_again_once_it_was_purged() {
    let server = NatsServer::start("").await;
    let log = small_log(&server).await;
    let results = log.append((0..20).map(|_| part(100 << 10)).collect()).await;
    let (taken, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert!((3..=10).contains(&taken.len()), "{} were taken", taken.len());
    let error = refused[0].as_ref().unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("full"), "{error}");
    let last = *taken.last().unwrap().as_ref().unwrap();
    log.purge(last).await.unwrap();
    assert!(append_at_last(&log, part(100 << 10)).await > last);
    log.shutdown().await;
}

/// A server counts a message without what storing it costs when it decides whether there is room (to 2.10), and then
/// lets go of the oldest: <https://github.com/nats-io/nats-server/issues/4775>.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_full_stream_confirmed_is_not_let_go_for_what_comes_later() {
    let server = NatsServer::start("").await;
    let mut writers = JoinSet::new();
    for writer in 0..4_usize {
        let log = Arc::new(small_log(&server).await);
        writers.spawn(async move {
            let mut taken: Vec<Sequence> = Vec::new();
            for round in 0..100_usize {
                let some = (0..8).map(|n| part(1 + (writer * 977 + round * 4241 + n * 389) % 6000)).collect();
                taken.extend(log.append(some).await.into_iter().flatten());
            }
            log.shutdown().await;
            taken
        });
    }
    let taken: Vec<Sequence> = writers.join_all().await.into_iter().flatten().collect();
    let log = small_log(&server).await;
    let bytes = log.health().await.unwrap().bytes;
    assert!(bytes > ROOM / 3, "it was not full: {bytes} bytes");
    let read = log.read(&taken).await.unwrap();
    let gone = read.iter().filter(|message| message.is_none()).count();
    assert_eq!(gone, 0, "of {} confirmed messages, so many are gone", taken.len());
    log.shutdown().await;
}

/// A server that is asked to purge what is behind its last message purges everything, and with it what it stores and
/// confirms meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_purge_reaches_behind_the_last_message() {
    let server = NatsServer::start("").await;
    let log = NatsLog::connect(config(&server)).await.unwrap();
    let last = append(&log, vec![part(10), part(10), part(10)]).await[2];
    let stranger = stranger(&server).await;
    let mut asked = stranger.subscribe("$JS.API.STREAM.PURGE.CAP").await.unwrap();
    stranger.flush().await.unwrap();
    log.purge(last + 1).await.unwrap();
    let question: Value = serde_json::from_slice(&asked.next().await.unwrap().payload).unwrap();
    assert_eq!(question["seq"], last);
    assert_eq!(log.health().await.unwrap().messages, 1);
    log.shutdown().await;
}
