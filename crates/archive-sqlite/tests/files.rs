//! What only files can suffer: damage, crashes between two of them, growth, and other versions of this program.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::model::{ExchangeId, ExchangeRecord, Leg};
use verbatim_core::ports::{
    Archive, Clock, Commit, Committed, ListRequest, PortError, Retention, SystemClock,
};
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::traffic::{Words, conversation};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn open(directory: &Path) -> Result<SqliteArchive, PortError> {
    SqliteArchive::open(directory, Arc::new(SystemClock))
}

async fn commit(archive: &SqliteArchive, records: &[ExchangeRecord]) -> Vec<Committed> {
    let batch = records.iter().cloned().map(|record| Commit { record }).collect();
    archive.commit(batch).await.unwrap()
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn files(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(prefix) && name.ends_with(".db")
        })
        .collect();
    files.sort();
    files
}

fn bytes(directory: &Path) -> u64 {
    fs::read_dir(directory).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn blocks(directory: &Path) -> Connection {
    Connection::open(&files(directory, "blocks-")[0]).unwrap()
}

#[tokio::test]
async fn a_damaged_body_is_a_permanent_error_that_names_leg_and_exchange_and_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path()).unwrap();
    let records = [1, 2, 3]
        .map(|seed| ExchangeBuilder::minted().request(noise(seed, 40_000)).response("whole").build());
    for record in &records {
        commit(&archive, std::slice::from_ref(record)).await;
    }
    archive.close().await;
    let damage = blocks(directory.path());
    let first: i64 = damage.query_row("SELECT min(number) FROM block", [], |row| row.get(0)).unwrap();
    // A flipped byte that decompression may not notice, and a block that is gone.
    let sql = "UPDATE block SET data = substr(data, 1, 99) || x'00' || substr(data, 101) WHERE number = ?1";
    damage.execute(sql, [first]).unwrap();
    let last: i64 = damage.query_row("SELECT max(number) FROM block", [], |row| row.get(0)).unwrap();
    damage.execute("DELETE FROM block WHERE number = ?1", [last]).unwrap();
    drop(damage);
    let archive = open(directory.path()).unwrap();
    for (record, leg) in [(&records[0], Leg::ClientRequest), (&records[2], Leg::ClientResponse)] {
        let error = archive.body(record.exchange.id, leg).await.unwrap_err();
        let PortError::Permanent(why) = error else { panic!("{error:?}") };
        assert!(why.contains(&record.exchange.id.to_string()) && why.contains(leg.as_str()), "{why}");
        assert!(archive.get(record.exchange.id).await.unwrap().is_some());
    }
    assert_eq!(
        archive.body(records[1].exchange.id, Leg::ClientRequest).await.unwrap().unwrap(),
        records[1].bodies[0]
    );
    archive.close().await;
    fs::remove_file(&files(directory.path(), "blocks-")[0]).unwrap();
    let archive = open(directory.path()).unwrap();
    let error = archive.body(records[1].exchange.id, Leg::ClientRequest).await.unwrap_err();
    assert!(matches!(error, PortError::Permanent(why) if why.contains("is missing")));
    archive.close().await;
}

#[tokio::test]
async fn damaged_heads_are_an_error_and_not_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path()).unwrap();
    let record = ExchangeBuilder::minted().request("x").build();
    commit(&archive, std::slice::from_ref(&record)).await;
    archive.close().await;
    let damage = Connection::open(directory.path().join("records.db")).unwrap();
    for heads in [&b""[..], b"\x02", b"\xff\xff\xff\xff\x00", b"\x01\x01\x00"] {
        damage.execute("UPDATE exchange_detail SET heads = ?1", [heads]).unwrap();
        let archive = open(directory.path()).unwrap();
        assert!(matches!(archive.get(record.exchange.id).await, Err(PortError::Permanent(_))));
        assert!(matches!(
            archive.body(record.exchange.id, Leg::ClientRequest).await,
            Err(PortError::Permanent(_))
        ));
        assert_eq!(
            archive.list(ListRequest { limit: 5, ..ListRequest::default() }).await.unwrap().exchanges.len(),
            1
        );
        archive.close().await;
    }
}

#[tokio::test]
async fn a_row_that_the_database_refuses_is_refused_alone() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path()).unwrap();
    let trigger = Connection::open(directory.path().join("records.db")).unwrap();
    let sql = "CREATE TRIGGER poison BEFORE INSERT ON exchange WHEN new.session = 'poison'
               BEGIN SELECT raise(ABORT, 'poisoned'); END";
    trigger.execute_batch(sql).unwrap();
    let records: Vec<_> = (0..9)
        .map(|n| {
            let session = if n % 4 == 1 { "poison" } else { "fine" };
            ExchangeBuilder::minted()
                .with(|exchange| exchange.session = Some(session.to_owned()))
                .request("x")
                .build()
        })
        .collect();
    for (n, committed) in commit(&archive, &records).await.iter().enumerate() {
        match committed {
            Committed::Refused(why) => assert!(n % 4 == 1 && why.contains("poisoned"), "{n}: {why}"),
            Committed::Stored => assert!(n % 4 != 1),
            Committed::Superseded => panic!("{n} is new"),
        }
    }
    let health = archive.health().await.unwrap();
    assert_eq!((health.exchanges, health.outbox, health.captured_bytes), (7, 7, 7));
    archive.close().await;
}

#[tokio::test]
async fn a_conversation_of_an_agent_is_kept_in_a_twenty_fifth_of_its_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path()).unwrap();
    let records = conversation(60, 1);
    let captured: usize = records.iter().flat_map(|record| &record.bodies).map(|body| body.bytes.len()).sum();
    for record in &records {
        commit(&archive, std::slice::from_ref(record)).await;
    }
    archive.close().await;
    let kept = bytes(directory.path());
    assert!(kept * 25 <= captured as u64, "{captured} bytes are kept in {kept}");
}

#[tokio::test]
async fn tenants_share_no_block() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path()).unwrap();
    let of = |project: &str, credential: &str| {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let change = |exchange: &mut verbatim_core::model::Exchange| {
            (exchange.caller.project, exchange.caller.credential) = (some(project), some(credential));
        };
        ExchangeBuilder::minted().with(change).request(noise(1, 100_000)).build()
    };
    let tenants = [("one", "a"), ("two", "a"), ("", "a"), ("", "b"), ("", "")];
    let mut last = 0;
    for (project, credential) in tenants {
        commit(&archive, &[of(project, credential)]).await;
        let first = archive.health().await.unwrap().bytes;
        assert!(first >= last + 100_000, "{project} {credential}: {first}");
        // Again, and by another way to the same tenant.
        commit(&archive, &[of(project, credential), of(project, credential)]).await;
        last = archive.health().await.unwrap().bytes;
        assert!(last < first + 90_000, "{project} {credential}: {last}");
    }
    archive.close().await;
}

#[tokio::test]
async fn blocks_that_a_crash_left_without_records_harm_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (live, crashed) = (directory.path().join("live"), directory.path().join("crashed"));
    let archive = open(&live).unwrap();
    let before = ExchangeBuilder::minted().request(noise(1, 50_000)).build();
    commit(&archive, std::slice::from_ref(&before)).await;
    archive.close().await;
    // Records as of before the second commit, blocks as of after it.
    copy(&live, &crashed);
    let archive = open(&live).unwrap();
    let after = ExchangeBuilder::minted().request(noise(2, 50_000)).response("small").build();
    commit(&archive, std::slice::from_ref(&after)).await;
    archive.close().await;
    let name = files(&live, "blocks-")[0].file_name().unwrap().to_owned();
    fs::copy(live.join(&name), crashed.join(&name)).unwrap();
    let archive = open(&crashed).unwrap();
    assert!(archive.get(after.exchange.id).await.unwrap().is_none());
    // The log delivers it again.
    assert!(matches!(commit(&archive, std::slice::from_ref(&after)).await[..], [Committed::Stored]));
    for record in [&before, &after] {
        for body in &record.bodies {
            assert_eq!(archive.body(record.exchange.id, body.info.leg).await.unwrap().as_ref(), Some(body));
        }
    }
    archive.close().await;
}

#[tokio::test]
async fn files_that_a_crash_left_to_be_deleted_go_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    let archive = open(directory.path()).unwrap();
    let old = now.minus(DAY * 30);
    let record = ExchangeBuilder::new(ExchangeId::lowest_at(old)).request(noise(1, 5000)).build();
    commit(&archive, std::slice::from_ref(&record)).await;
    archive.close().await;
    let [file] = &files(directory.path(), "blocks-")[..] else { panic!("one file is expected") };
    let saved = fs::read(file).unwrap();
    let archive = open(directory.path()).unwrap();
    let erased = archive.enforce(Retention { bodies_days: 10, ..Retention::default() }, now).await.unwrap();
    assert_eq!(erased.bodies, 1);
    assert!(erased.bytes > 4000);
    archive.close().await;
    assert!(!file.exists());
    fs::write(file, saved).unwrap();
    let archive = open(directory.path()).unwrap();
    assert!(!file.exists());
    assert!(archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap().is_none());
    archive.close().await;
}

#[tokio::test]
async fn a_limit_on_bytes_deletes_the_oldest_bodies_first_then_records() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path()).unwrap();
    let limit = 8 << 20;
    let retention = Retention { max_bytes: limit, ..Retention::default() };
    let mut records: Vec<ExchangeRecord> = Vec::new();
    for round in 0..30 {
        let batch: Vec<_> = (0..10)
            .map(|n| ExchangeBuilder::minted().request(noise(round * 10 + n, 60_000)).build())
            .collect();
        commit(&archive, &batch).await;
        records.extend(batch);
        archive.enforce(retention, SystemClock.now()).await.unwrap();
        assert!(archive.health().await.unwrap().bytes <= limit);
    }
    let mut bodies = Vec::new();
    for record in &records {
        let body = archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap();
        bodies.push(body.is_some());
        assert!(archive.get(record.exchange.id).await.unwrap().is_some());
    }
    assert!(bodies.is_sorted(), "older bodies go before newer ones");
    assert!(bodies.iter().filter(|there| **there).count() >= 60, "no more goes than must");
    // Records alone may be too many as well.
    let mut words = Words::new(1);
    for _ in 0..6 {
        let with_text =
            |text: String| ExchangeBuilder::minted().with_heads(|heads| heads.notes.push(text)).build();
        let batch: Vec<_> = (0..500).map(|_| with_text(words.text(2000))).collect();
        commit(&archive, &batch).await;
    }
    let last = ExchangeBuilder::minted().request("last").build();
    commit(&archive, std::slice::from_ref(&last)).await;
    let retention = Retention { max_bytes: 2 << 20, ..Retention::default() };
    let erased = archive.enforce(retention, SystemClock.now()).await.unwrap();
    assert!(erased.exchanges > 0 && archive.deleted().await.unwrap().records_through.is_some());
    assert!(archive.health().await.unwrap().bytes <= 2 << 20);
    assert!(archive.get(last.exchange.id).await.unwrap().is_some());
    archive.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_a_message_that_says_so() {
    for file in ["records.db", "blocks"] {
        let directory = tempfile::tempdir().unwrap();
        let archive = open(directory.path()).unwrap();
        let record = ExchangeBuilder::minted().request(noise(1, 5000)).build();
        commit(&archive, std::slice::from_ref(&record)).await;
        archive.close().await;
        let newer = Connection::open(&files(directory.path(), file.trim_end_matches(".db"))[0]).unwrap();
        let sql = "INSERT INTO refinery_schema_history SELECT 999, name, applied_on, checksum FROM refinery_schema_history LIMIT 1";
        newer.execute_batch(sql).unwrap();
        let error = match open(directory.path()) {
            Err(error) => error,
            Ok(archive) => archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap_err(),
        };
        assert!(
            matches!(&error, PortError::Permanent(why) if why.contains("999") && why.contains("newer")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn weeks_have_a_file_each_and_few_are_open_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path()).unwrap();
    let now = SystemClock.now();
    let of_week = |week: u32| {
        let id = ExchangeId::lowest_at(now.minus(DAY * 7 * week));
        ExchangeBuilder::new(id).request(noise(week.into(), 5000)).build()
    };
    let records: Vec<_> = (0..12).map(of_week).collect();
    commit(&archive, &records).await;
    assert_eq!(files(directory.path(), "blocks-").len(), 12);
    for record in records.iter().chain(&records) {
        let body = archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap();
        assert_eq!(body.as_ref(), record.bodies.first());
    }
    // A file that is open has its write-ahead log beside it.
    let logs = fs::read_dir(directory.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().ends_with("-wal"));
    assert!(logs.count() <= 6);
    archive.close().await;
}

#[tokio::test]
async fn heads_that_nobody_could_read_again_are_refused_and_harm_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let archive = open(directory.path()).unwrap();
    let vast = vec![("x-vast".to_owned(), vec![b'x'; 25 << 20].into())];
    let vast = ExchangeBuilder::minted().with_heads(|heads| heads.request.headers.0 = vast).build();
    let good = ExchangeBuilder::minted().request("good").build();
    let id = good.exchange.id;
    let outcomes = commit(&archive, &[vast, good]).await;
    assert!(
        matches!(&outcomes[..], [Committed::Refused(why), Committed::Stored] if why.contains("at most")),
        "{outcomes:?}"
    );
    assert!(archive.get(id).await.unwrap().is_some());
    archive.close().await;
}
