//! Two archives: one in a data directory, one in PostgreSQL; what is in the first, and whether the second has it all.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig, migrate};
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::model::{
    ChunkTime, ExchangeId, ExchangeRecord, Headers, Integrity, Leg, Outcome, Provenance, RecordMode,
    Timeline, Timestamp,
};
use verbatim_core::ports::{Archive, Clock, Commit, Committed, StatsRequest, SystemClock};
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::postgres::{PASSWORD, PostgresServer};
use verbatim_testkit::traffic::conversation;

use crate::support::{complaint, place, verbatim};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A data directory and a database.
pub(crate) struct Worlds {
    place: TempDir,
    pub(crate) server: Server,
    pub(crate) database: String,
}

/// A PostgreSQL that all tests share, or one of a test's own.
pub(crate) enum Server {
    Shared(&'static PostgresServer),
    Own(PostgresServer),
}

impl std::ops::Deref for Server {
    type Target = PostgresServer;

    fn deref(&self) -> &PostgresServer {
        match self {
            Self::Shared(server) => server,
            Self::Own(server) => server,
        }
    }
}

impl Worlds {
    pub(crate) async fn new() -> Self {
        let worlds = Self::unmigrated(Server::Shared(PostgresServer::shared()));
        migrate(&worlds.config()).await.unwrap();
        worlds
    }

    pub(crate) async fn with_server(server: PostgresServer) -> Self {
        let worlds = Self::unmigrated(Server::Own(server));
        migrate(&worlds.config()).await.unwrap();
        worlds
    }

    /// With an empty database.
    pub(crate) fn unmigrated(server: Server) -> Self {
        let database = server.create_database();
        Self { place: place(), server, database }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.place.path().join("old")
    }

    fn config(&self) -> PostgresConfig {
        PostgresConfig::new(self.server.url(&self.database))
    }

    /// The archive that is moved.
    pub(crate) fn from(&self) -> SqliteArchive {
        let directory = self.data_dir().join("archive");
        SqliteArchive::open(&directory, Arc::new(SystemClock)).unwrap()
    }

    /// The archive that it is moved to.
    pub(crate) async fn to(&self) -> PostgresArchive {
        PostgresArchive::connect(&self.config(), Arc::new(SystemClock)).await.unwrap()
    }

    /// Fills the archive that is moved.
    pub(crate) async fn fill(&self, records: &[ExchangeRecord]) {
        let archive = self.from();
        for batch in records.chunks(20) {
            let batch = batch.iter().map(|record| Commit { record: record.clone() }).collect();
            for committed in archive.commit(batch).await.unwrap() {
                assert!(matches!(committed, Committed::Stored), "{committed:?}");
            }
        }
        archive.close().await;
    }

    /// The command line that moves it.
    pub(crate) fn command(&self) -> Command {
        let mut command = verbatim(self.place.path(), &["import", "--from-data-dir", "old"]);
        command.env("VERBATIM_POSTGRES__URL", self.server.url(&self.database));
        command
    }

    /// Moves it; gives what was said at the end.
    pub(crate) async fn import(&self) -> String {
        let output = self.run().await;
        assert!(output.status.success(), "{}", complaint(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the command line to its end. The password is told nowhere.
    pub(crate) async fn run(&self) -> Output {
        let mut command = self.command();
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = format!("{}{}", complaint(&output), String::from_utf8_lossy(&output.stdout));
        assert!(!said.contains(PASSWORD), "{said}");
        output
    }

    /// What `verbatim export` writes of the data directory, or of the database.
    pub(crate) async fn export(&self, of_database: bool) -> Vec<u8> {
        let mut command = verbatim(self.place.path(), &["export", "--data-dir", "old"]);
        if of_database {
            command.env("VERBATIM_POSTGRES__URL", self.server.url(&self.database));
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{}", complaint(&output));
        output.stdout
    }

    /// Every record and each of its bodies is there, and nothing else; what sums and lists say, too.
    pub(crate) async fn assert_same(&self) {
        let (from, to) = (self.from(), self.to().await);
        let ids = from.ids(None, 1_000_000).await.unwrap();
        assert_eq!(to.ids(None, 1_000_000).await.unwrap(), ids);
        for id in ids {
            assert_eq!(read(&to, id).await, read(&from, id).await, "{id}");
        }
        assert_sums(&from, &to).await;
        from.close().await;
        to.close().await;
    }
}

/// A whole record.
pub(crate) async fn read(archive: &dyn Archive, id: ExchangeId) -> ExchangeRecord {
    archive.read_many(&[id], u64::MAX).await.unwrap().remove(0).unwrap().expect("it is there")
}

/// By day and by model, over all that there is.
pub(crate) async fn assert_sums(from: &SqliteArchive, to: &PostgresArchive) {
    let now = SystemClock.now();
    let minute = Timestamp::from_unix_us(now.as_unix_us().div_euclid(60_000_000) * 60_000_000);
    let range = minute.minus(DAY * 100)..minute.plus(DAY);
    let request = StatsRequest { range: range.clone(), step: DAY, model: None, provider: None };
    let here = from.stats(request.clone()).await.unwrap();
    assert!(here.totals.calls > 0 && here.totals.cost_micros > 0 && here.totals.lost_bytes > 0);
    assert_eq!(to.stats(request).await.unwrap(), here);
    let models = async |archive: &dyn Archive| {
        let mut models = archive.model_stats(range.clone()).await.unwrap();
        models.sort_by(|one, two| (&one.model, &one.provider).cmp(&(&two.model, &two.provider)));
        models
    };
    assert_eq!(models(to).await, models(from).await);
}

/// Bytes that nothing makes smaller, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// The `n`th exchange that began then.
pub(crate) fn begun_at(time: Timestamp, n: u32) -> ExchangeBuilder {
    let mut bytes = *ExchangeId::lowest_at(time).as_bytes();
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    ExchangeBuilder::new(ExchangeId::try_from(&bytes[..]).unwrap()).with(|exchange| exchange.began_at = time)
}

/// Exchanges of every kind, of several tenants, over ten weeks.
pub(crate) fn all_kinds() -> Vec<ExchangeRecord> {
    let now = SystemClock.now();
    let mut records = conversation(20, 5);
    for week in 0..10_u32 {
        let time = now.minus(DAY * 7 * week + Duration::from_secs(3_600));
        let of_week: [fn(ExchangeBuilder, u32) -> ExchangeRecord; 9] =
            [whole, streamed, failed, cut_off, hostile, damaged, unrecorded, all_legs, running];
        for (n, make) in (0..).zip(of_week) {
            let tenant = ["one", "two", ""][((week + n) % 3) as usize];
            let builder = begun_at(time, n).with(|exchange| match tenant {
                "" => exchange.caller.credential = Some("3f9a6c1d5e7b2a40".to_owned()),
                project => exchange.caller.project = Some(project.to_owned()),
            });
            records.push(make(builder, week));
        }
    }
    for (n, size) in [(100, 5 << 20), (101, 300_000), (102, 0)] {
        let large = begun_at(now, n).request(noise(n.into(), size)).response(vec![b'z'; size]);
        records.push(large.build());
    }
    // Ids that do not tell when they were made.
    records.push(begun_at(now.plus(DAY * 300), 1).request("future").build());
    let torn = begun_at(now, 2).with(|exchange| exchange.began_at = now.minus(DAY * 9));
    records.push(torn.response("torn").build());
    records
}

fn whole(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    builder
        .with(|exchange| {
            exchange.session = Some(format!("session-{week}"));
            exchange.tags = vec!["red".to_owned(), "two words".to_owned()];
            exchange.trace_id = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
            exchange.tools_called = vec!["read".to_owned(), "read".to_owned()];
            exchange.cost_micros = Some(1_234 + u64::from(week));
            exchange.price_version = Some("2026-11".to_owned());
            exchange.usage.cache_read_tokens = Some(7);
            exchange.usage.stated_cost_micros = Some(9);
            exchange.usage.provenance = Some(Provenance::Estimated);
        })
        .with_heads(|heads| {
            heads.facts.insert("close_code".to_owned(), "1000".to_owned());
        })
        .request(format!("week {week}: how is the 天气?"))
        .response(noise(week.into(), 40_000))
        .build()
}

fn streamed(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    let text: Vec<u8> =
        (0..200).flat_map(|n| format!("data: {{\"n\":{n},\"w\":{week}}}\n\n").into_bytes()).collect();
    let chunks = (0..200).map(|n| ChunkTime { offset: n * 17, at_us: n * n * 31 }).collect();
    builder
        .with(|exchange| {
            exchange.streamed = true;
            exchange.first_token_us = Some(250_000);
        })
        .request("{\"stream\":true}")
        .body(Leg::ClientResponse, text, Timeline { chunks })
        .build()
}

fn failed(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    let outcomes = [Outcome::UpstreamError, Outcome::UpstreamAborted, Outcome::TimedOut, Outcome::Refused];
    let outcome = outcomes[week as usize % outcomes.len()];
    builder
        .with(|exchange| {
            exchange.outcome = outcome;
            exchange.status = (outcome == Outcome::UpstreamError).then_some(529);
            exchange.error = Some("overloaded: \"try again\"".to_owned());
            exchange.model_served = None;
        })
        .with_heads(|heads| heads.response = None)
        .request("why?")
        .build()
}

/// The client left: less is stored than passed, and what passed has another hash.
fn cut_off(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    let mut record = builder
        .with(|exchange| {
            exchange.outcome = Outcome::ClientAborted;
            exchange.integrity = Integrity::Partial;
            exchange.lost_bytes = 100 + u64::from(week);
        })
        .response("what is left of it")
        .build();
    let info = &mut record.bodies[0].info;
    (info.length, info.lost, info.hash) = (info.stored + 100, 100, Some([9; 32]));
    record.heads.legs = vec![info.clone()];
    record
}

fn hostile(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    builder
        .with(|exchange| {
            exchange.path = "/v1/x\0y?q=\u{fffd}".to_owned();
            exchange.model_asked = Some("model\0name\n".to_owned());
            exchange.session = Some("a\nb".to_owned());
            exchange.asked_preview = "=cmd()\0".to_owned();
        })
        .with_heads(|heads| {
            let mut headers = Headers::default();
            headers.push("x-bytes", &b"\xff\xfe\0 \x80"[..]);
            heads.request.headers = headers;
            heads.notes.push("a note\0 with a NUL".to_owned());
        })
        .request(vec![0, 0xff, 0xfe, 0x80, week as u8])
        .response(&b"\0\xc3\x28"[..])
        .build()
}

fn damaged(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    let damaged = builder.with(|exchange| exchange.integrity = Integrity::Damaged);
    damaged
        .with_heads(|heads| heads.notes.push("a part of the answer is missing".to_owned()))
        .request(format!("week {week}"))
        .build()
}

fn unrecorded(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    let mode = if week.is_multiple_of(2) { RecordMode::Meta } else { RecordMode::Off };
    builder.with(|exchange| exchange.record = mode).build()
}

fn all_legs(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    let body = |leg: &str| format!("{leg} {week} {}", "x".repeat(5_000));
    builder
        .request(body("asked"))
        .body(Leg::UpstreamRequest, body("asked upstream"), Timeline::default())
        .body(Leg::UpstreamResponse, body("answered upstream"), Timeline::default())
        .response(body("answered"))
        .build()
}

fn running(builder: ExchangeBuilder, week: u32) -> ExchangeRecord {
    let outcome = if week.is_multiple_of(2) { Outcome::Running } else { Outcome::Incomplete };
    builder
        .with(|exchange| {
            exchange.outcome = outcome;
            exchange.duration_us = None;
        })
        .request(format!("so far {week}"))
        .build()
}
