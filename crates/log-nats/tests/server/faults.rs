//! What happens to the server harms nobody's messages.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Consumer, DeadLetter, Message, MessageKind, Sequence};
use verbatim_log_nats::{Config, NatsLog};
use verbatim_testkit::NatsServer;
use verbatim_testkit::capture_log::message;

use crate::support::{
    PATIENCE, api, append, append_at_last, config, connect, end, limit, pull, sequences, stranger, texts,
    until,
};

/// Appends messages one after the other until it is told to stop, each again until it was taken.
async fn append_on(log: Arc<NatsLog>, writer: usize, rounds: usize) -> BTreeMap<Sequence, Message> {
    let mut taken = BTreeMap::new();
    for round in 0..rounds {
        let mut rest: Vec<_> = (0..8).map(|n| end(&format!("{writer}/{round}/{n}"))).collect();
        while !rest.is_empty() {
            let results = log.append(rest.clone()).await;
            let mut failed = Vec::new();
            for (message, result) in rest.into_iter().zip(results) {
                match result {
                    Ok(sequence) => {
                        assert_eq!(taken.insert(sequence, message), None, "a sequence was used twice");
                    }
                    Err(error) => {
                        assert!(error.is_transient(), "{error}");
                        failed.push(message);
                    }
                }
            }
            rest = failed;
        }
    }
    taken
}

/// Reads ends, as a recorder does, and acknowledges them, until it is told that this was all.
async fn read_on(log: Arc<NatsLog>, read: watch::Sender<HashSet<ExchangeId>>, enough: CancellationToken) {
    while !enough.is_cancelled() {
        let came = match log.next(Consumer::Recorder, limit(64, Duration::from_millis(100))).await {
            Ok(came) => came,
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                tokio::task::yield_now().await;
                continue;
            }
        };
        match log.acknowledge(Consumer::Recorder, &sequences(&came)).await {
            Ok(()) => {
                read.send_modify(|read| read.extend(came.iter().map(|delivery| delivery.message.exchange)));
            }
            // It comes again.
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_and_read_however_often_the_server_is_killed() {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 200;
    /// What was on its way to the reader when the server died comes again only then; all else must not wait for that.
    const WAIT: Duration = Duration::from_secs(20);
    let server = NatsServer::start("").await;
    let log =
        Arc::new(NatsLog::connect(Config { acknowledgement_wait: WAIT, ..config(&server) }).await.unwrap());
    let (mut writers, mut reader) = (JoinSet::new(), JoinSet::new());
    for writer in 0..WRITERS {
        writers.spawn(append_on(Arc::clone(&log), writer, ROUNDS));
    }
    let (sender, mut read) = watch::channel(HashSet::new());
    let enough = CancellationToken::new();
    reader.spawn(read_on(Arc::clone(&log), sender, enough.clone()));
    for kills in 1..=3 {
        let before = read.borrow().len();
        let more = read.wait_for(|read| read.len() > before + 50);
        timeout(PATIENCE, more).await.expect("messages come in").unwrap();
        server.kill();
        server.restart().await;
        let before = read.borrow().len();
        let more = read.wait_for(|read| read.len() > before);
        timeout(WAIT, more).await.expect("reading goes on").unwrap();
        assert!(!writers.is_empty(), "all was written before kill {kills}");
    }
    let taken: BTreeMap<_, _> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken.len(), WRITERS * ROUNDS * 8);
    let state = api(&stranger(&server).await, "STREAM.INFO.CAP", &json!({})).await["state"].clone();
    assert!(state["first_seq"] == 1 && state["messages"] == state["last_seq"], "there are holes: {state}");
    let places: Vec<_> = taken.keys().copied().collect();
    let there = log.read(&places).await.unwrap();
    assert!(there.into_iter().flatten().eq(taken.values().cloned()), "what was acknowledged is not there");
    // What was written twice because its answer got lost is of the same exchange, and counts once.
    let exchanges: HashSet<_> = taken.values().map(|message| message.exchange).collect();
    let all = read.wait_for(|read| exchanges.is_subset(read));
    timeout(PATIENCE, all).await.expect("all is read").unwrap();
    until("all is acknowledged", async || {
        log.floors().await.is_ok_and(|floors| floors.recorder == floors.last)
    })
    .await;
    enough.cancel();
    reader.join_all().await;
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_to_a_paused_server_fail_in_time_and_work_again_when_it_goes_on() {
    let server = NatsServer::start("").await;
    let answer_within = Duration::from_millis(500);
    let log = NatsLog::connect(Config { answer_within, ..config(&server) }).await.unwrap();
    let before = append(&log, vec![end("before")]).await[0];
    server.pause();
    let began = Instant::now();
    let results = log.append((0..100).map(|n| end(&format!("paused {n}"))).collect()).await;
    assert!(began.elapsed() >= answer_within && began.elapsed() < Duration::from_secs(30));
    assert!(
        results.iter().all(|result| result.as_ref().is_err_and(|error| error.is_transient())),
        "{results:?}"
    );
    // Calls that nobody waits for keep no room.
    let large = |count| vec![message(MessageKind::Part, "gateway-1", vec![0; 512 << 10]); count];
    for _ in 0..20 {
        assert!(timeout(Duration::from_millis(20), log.append(large(8))).await.is_err());
    }
    // Far more than there is room for on the way: whoever sends is not held up by that for longer.
    for _ in 0..4 {
        let results = timeout(PATIENCE, log.append(large(200))).await.expect("it fails in time");
        assert!(results.iter().all(|result| result.as_ref().is_err_and(|error| error.is_transient())));
    }
    server.resume();
    let after = append_at_last(&log, end("after")).await;
    let read = log.read(&[before, after]).await.unwrap();
    assert_eq!(
        read.iter().flatten().map(|message| &message.payload[..]).collect::<Vec<_>>(),
        [&b"before"[..], b"after"]
    );
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_large_is_refused_for_good_and_its_neighbours_are_not() {
    let server = NatsServer::start("").await;
    let log = connect(&server).await;
    let large = message(MessageKind::Part, "gateway-1", vec![0; 2 << 20]);
    let nameless = message(MessageKind::Part, &"x".repeat(5000), "part");
    let results = log.append(vec![end("one"), large, nameless, end("two")]).await;
    let outcomes: Vec<_> =
        results.iter().map(|result| result.as_ref().map_err(|error| error.is_transient())).collect();
    assert!(matches!(outcomes[..], [Ok(_), Err(false), Err(false), Ok(_)]), "{results:?}");
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_goes_on_when_the_server_was_killed_while_it_waited() {
    let server = NatsServer::start("").await;
    let log = Arc::new(connect(&server).await);
    let mut reading = JoinSet::new();
    let reader = Arc::clone(&log);
    reading.spawn(async move { pull(&reader, Consumer::Recorder, 1).await });
    for _ in 0..2 {
        server.kill();
        server.restart().await;
    }
    append_at_last(&log, end("after")).await;
    let read = reading.join_next().await.unwrap().unwrap();
    assert_eq!(texts(&read), ["after"]);
    log.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_consumers_that_got_lost_are_made_again() {
    let server = NatsServer::start("").await;
    let (log, client) = (connect(&server).await, stranger(&server).await);
    append(&log, vec![end("before")]).await;
    for name in ["STREAM.DELETE.CAP", "CONSUMER.DELETE.CAP.recorder", "STREAM.DELETE.DLQ"] {
        assert_eq!(api(&client, name, &json!({})).await["success"], true);
        let sequence = append_at_last(&log, end("after")).await;
        let read = pull(&log, Consumer::Recorder, 1).await;
        assert_eq!(texts(&read), ["after"]);
        log.acknowledge(Consumer::Recorder, &sequences(&read)).await.unwrap();
        let letter = |message| DeadLetter { sequence, message, reason: "none".to_owned() };
        until("a letter is stored", async || log.dead_letter(vec![letter(end("letter"))]).await.is_ok())
            .await;
    }
    // Where it had to be read again from the beginning, too.
    append_at_last(&log, end("last")).await;
    until("the last is read", async || {
        let Ok(read) = log.next(Consumer::Recorder, limit(9, Duration::from_millis(100))).await else {
            return false;
        };
        log.acknowledge(Consumer::Recorder, &sequences(&read)).await.unwrap();
        texts(&read).contains(&"last")
    })
    .await;
    log.shutdown().await;
}

/// Copies a directory and all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_after_a_crash_took_the_streams_end_is_read() {
    let server = NatsServer::start("").await;
    let log = connect(&server).await;
    let read = async |log: &NatsLog, count| {
        let read = pull(log, Consumer::Recorder, count).await;
        log.acknowledge(Consumer::Recorder, &sequences(&read)).await.unwrap();
        texts(&read).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    append(&log, vec![end("kept")]).await;
    read(&log, 1).await;
    log.shutdown().await;
    server.stop();
    // All that had reached the disk.
    let messages = server.store().join("jetstream/$G/streams/CAP/msgs");
    let kept = TempDir::new().unwrap();
    copy(&messages, kept.path());
    server.restart().await;
    let log = connect(&server).await;
    append(&log, (0..9).map(|n| end(&format!("lost {n}"))).collect()).await;
    read(&log, 9).await;
    log.shutdown().await;
    server.stop();
    fs::remove_dir_all(&messages).unwrap();
    copy(kept.path(), &messages);
    server.restart().await;
    let log = connect(&server).await;
    assert_eq!(append(&log, vec![end("new 0"), end("new 1")]).await, [2, 3], "sequences are used again");
    assert_eq!(read(&log, 3).await, ["kept", "new 0", "new 1"]);
    log.shutdown().await;
}
