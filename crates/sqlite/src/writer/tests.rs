use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::*;
use crate::{Options, open};

fn writer(path: &Path) -> Writer {
    writer_resting(path, REST_AFTER)
}

fn writer_resting(path: &Path, rest_after: Duration) -> Writer {
    let connection = open(path, &Options::default()).unwrap();
    connection.execute_batch("CREATE TABLE IF NOT EXISTS t (x INTEGER UNIQUE CHECK (x < 1000))").unwrap();
    Writer::start_with("test", connection, 4, rest_after).unwrap()
}

fn insert(connection: &Connection, x: i64) -> PortResult<i64> {
    connection.execute("INSERT INTO t VALUES (?1)", [x]).doing("insert")?;
    Ok(x)
}

fn stored(path: &Path) -> Vec<i64> {
    let connection = open(path, &Options::default().reading()).unwrap();
    let mut statement = connection.prepare("SELECT x FROM t ORDER BY x").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Holds the thread until `go` is dropped, so that what is handed in meanwhile shares a transaction.
async fn hold(writer: &Arc<Writer>) -> (std::sync::mpsc::SyncSender<()>, tokio::task::JoinSet<()>) {
    let (go, held) = sync_channel::<()>(0);
    let (tell, told) = oneshot::channel();
    let mut tasks = tokio::task::JoinSet::new();
    let writer = Arc::clone(writer);
    tasks.spawn(async move {
        let work = move |_: &mut Connection| {
            let _ = tell.send(());
            let _ = held.recv();
            Ok(())
        };
        writer.between(work).await.unwrap();
    });
    told.await.unwrap();
    (go, tasks)
}

#[tokio::test]
async fn what_is_answered_is_there_for_others_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let writer = writer(&path);
    for x in 0..10 {
        assert_eq!(writer.run(move |connection| insert(connection, x)).await.unwrap(), x);
        assert_eq!(stored(&path).len(), usize::try_from(x).unwrap() + 1);
    }
}

#[tokio::test]
async fn a_job_that_fails_or_panics_leaves_its_neighbours_in_the_same_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let writer = Arc::new(writer(&path));
    let (go, _held) = hold(&writer).await;
    let (one, bad, panics, two, ()) = tokio::join!(
        writer.run(|connection| insert(connection, 1)),
        writer.run(|connection| {
            insert(connection, 2)?;
            insert(connection, 5000)
        }),
        writer.run(|connection| -> PortResult<()> {
            insert(connection, 3)?;
            panic!("on purpose")
        }),
        writer.run(|connection| insert(connection, 4)),
        async move { drop(go) },
    );
    assert!(one.is_ok() && two.is_ok());
    assert!(matches!(bad, Err(PortError::Permanent(_))));
    assert!(matches!(panics, Err(PortError::Permanent(why)) if why.contains("on purpose")));
    assert_eq!(stored(&path), [1, 4]);
}

#[tokio::test]
async fn when_the_transaction_is_lost_all_its_jobs_hear_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let writer = Arc::new(writer(&path));
    writer.run(|connection| insert(connection, 7)).await.unwrap();
    let (go, _held) = hold(&writer).await;
    let (one, lost, ()) = tokio::join!(
        writer.run(|connection| insert(connection, 1)),
        // A full disk makes SQLite roll back by itself; this does the same.
        writer.run(|connection| connection.execute_batch("ROLLBACK").doing("undo")),
        async move { drop(go) },
    );
    assert!(matches!(one, Err(PortError::Transient(_))));
    assert!(matches!(lost, Err(PortError::Transient(_))));
    assert_eq!(stored(&path), [7]);
    writer.run(|connection| insert(connection, 8)).await.unwrap();
}

#[tokio::test]
async fn closing_finishes_what_waits_and_refuses_what_comes_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let writer = Arc::new(writer(&path));
    let (go, _held) = hold(&writer).await;
    let (waited, (), ()) =
        tokio::join!(writer.run(|connection| insert(connection, 1)), writer.close(), async move {
            drop(go);
        });
    assert_eq!(waited.unwrap(), 1);
    assert!(writer.run(|connection| insert(connection, 2)).await.unwrap_err().is_transient());
    assert!(!directory.path().join("a.db-wal").exists());
    assert_eq!(stored(&path), [1]);
}

#[tokio::test]
async fn dropping_finishes_what_waits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let writer = writer(&path);
    let (job, answer) = Task::with_answer(|connection: &Connection| insert(connection, 1));
    writer.sender().unwrap().send(Message::Inside(job)).await.unwrap();
    tokio::task::spawn_blocking(move || drop(writer)).await.unwrap();
    assert_eq!(answer.await.unwrap().unwrap(), 1);
    assert_eq!(stored(&path), [1]);
}

async fn wait_until(condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "the condition holds within 30 s");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn while_nothing_is_written_the_write_ahead_log_goes_as_soon_as_no_reader_needs_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    let writer = writer_resting(&path, Duration::from_millis(5));
    let wal = directory.path().join("a.db-wal");
    let bytes = || wal.metadata().map_or(0, |file| file.len());
    let reader = open(&path, &Options::default().reading()).unwrap();
    for round in 1..=2 {
        reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
        let write = move |connection: &Connection| {
            let sql = "CREATE TABLE IF NOT EXISTS big (x BLOB)";
            connection
                .execute_batch(sql)
                .and_then(|()| connection.execute("INSERT INTO big VALUES (zeroblob(4000000))", []))
                .doing("write much")
        };
        writer.run(write).await.unwrap();
        assert!(bytes() > 4_000_000);
        assert_eq!(writer.run(move |connection| insert(connection, round)).await.unwrap(), round);
        assert!(bytes() > 4_000_000, "a reader needs it");
        reader.execute_batch("COMMIT").unwrap();
        wait_until(|| bytes() == 0).await;
    }
    assert_eq!(stored(&path), [1, 2]);
    writer.close().await;
}
