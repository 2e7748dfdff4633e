//! What the archive asks of the server, as the server itself explains it: whatever lists, counts, looks up, indexes or
//! deletes exchanges finds them and their blocks by an index, and reads no partition from end to end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use verbatim_archive_postgres::{PostgresArchive, PostgresConfig};
use verbatim_core::model::query::parse;
use verbatim_core::model::{ExchangeId, Leg, Timestamp};
use verbatim_core::ports::{Archive, Clock, ListRequest, OpenExchange, Retention, StatsRequest, SystemClock};
use verbatim_testkit::measure;
use verbatim_testkit::postgres::{PostgresOptions, PostgresServer};

use super::{DAY, connect, database, until};

/// Enough for a day to be many pages, so that the planner has a choice.
const RECORDS: u32 = 9_000;

/// A server that explains each statement in its log once it was executed.
struct Explaining {
    _server: PostgresServer,
    archive: Arc<PostgresArchive>,
    log: PathBuf,
    /// So much of the log was read.
    read: usize,
}

impl Explaining {
    async fn start(now: Timestamp) -> Self {
        let settings = [
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_analyze = on",
            "auto_explain.log_timing = off",
        ];
        let settings = settings.map(str::to_owned).to_vec();
        let options = PostgresOptions { settings, ..PostgresOptions::default() };
        let server = tokio::task::spawn_blocking(move || PostgresServer::start(&options)).await.unwrap();
        let (name, config) = database(&server).await;
        // Upkeep is done when it is asked for.
        let config = PostgresConfig { upkeep_every: Duration::from_secs(86_400), ..config };
        let archive = connect(&config).await;
        measure::fill(archive.as_ref(), now, RECORDS).await.unwrap();
        server.sql(&name, "VACUUM ANALYZE");
        let log = Path::new(&server.sql(&name, "SHOW data_directory")).with_file_name("log");
        let mut explaining = Self { _server: server, archive, log, read: 0 };
        explaining.plans();
        explaining
    }

    /// What was explained since this was asked before.
    fn plans(&mut self) -> String {
        // A server writes a plan before it answers.
        let log = std::fs::read(&self.log).unwrap();
        let plans = String::from_utf8_lossy(&log[self.read..]).into_owned();
        self.read = log.len();
        plans
    }

    /// Asserts that what was just done was explained, and read no partition but by an index; gives how many it read so.
    fn read_by_index(&mut self, what: &str) -> usize {
        let plans = self.plans();
        assert!(plans.contains("Query Text"), "{what}: nothing was explained: {plans}");
        let (wrong, right): (Vec<&str>, Vec<&str>) = plans
            .lines()
            .filter(|line| reads_a_partition(line))
            .partition(|line| line.contains("Seq Scan") || line.contains("Sample Scan"));
        assert!(wrong.is_empty(), "{what}: {wrong:#?}\n{plans}");
        right.len()
    }

    /// The same, where something must have been read.
    fn assert_by_index(&mut self, what: &str) {
        assert!(self.read_by_index(what) > 0, "{what} reads no partition");
    }
}

/// Whether a line of a plan scans a partition, and was executed.
fn reads_a_partition(line: &str) -> bool {
    let scanned = line.split_once("Scan ").map(|(_, rest)| rest);
    let table = scanned.and_then(|rest| rest.split(" on ").last().or(Some(rest)));
    let name = table.map(|table| table.trim_start_matches("on ")).and_then(|table| table.split(' ').next());
    let is_partition = |name: &str| {
        let number = ["exchange_", "block_", "piece_"].iter().find_map(|parent| name.strip_prefix(parent));
        number.is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()))
    };
    name.is_some_and(is_partition) && !line.contains("never executed")
}

#[test]
fn a_scan_of_a_partition_is_told_from_other_lines() {
    let line = "        ->  Seq Scan on exchange_20261127 e_1  (cost=0.00..1.00 rows=1 width=16) (actual rows=1 loops=1)";
    assert!(reads_a_partition(line));
    assert!(!reads_a_partition(&line.replace("(actual rows=1 loops=1)", "(never executed)")));
    let line = "  ->  Index Only Scan Backward using exchange_20261127_pkey on exchange_20261127 e  (cost=0.29..8.30 rows=1)";
    assert!(reads_a_partition(line));
    for line in [
        "  ->  Seq Scan on exchange_stray e  (cost=0.00..1.00 rows=1)",
        "  ->  Seq Scan on outbox  (cost=0.00..1.00 rows=1)",
        "  Query Text: SELECT * FROM exchange_20261127",
    ] {
        assert!(!reads_a_partition(line), "{line}");
    }
}

/// A query's filters.
fn asked(query: &str, now: Timestamp) -> ListRequest {
    let filters = parse(query, now).unwrap().filters;
    ListRequest { filters, limit: 50, ..ListRequest::default() }
}

const QUERIES: &[&str] = &[
    "",
    "model:gpt-4o-mini",
    "model:no-such-model",
    "model:claude-*",
    "provider:openai",
    "dialect:anthropic",
    "app:app-3",
    "project:project-3",
    "key:vk_7",
    "owner:user-7",
    "session:session-7",
    "tag:eval",
    "status:200",
    "status:>=500",
    "outcome:timed_out",
    "has:error",
    "has:tool",
    "stream:true",
    "error:overloaded",
    "method:get",
    "path:embeddings",
    "tokens:>100000",
    "cost:>0.05",
    "duration:>90s",
    "duration:<1s",
    "after:2d",
    "-model:gpt-4o-mini",
    "model:gpt-4o-mini has:error after:7d",
    "owner:user-0 duration:>10s cost:>0.01",
    "model:claude-* duration:>60s cost:>0.01",
    "path:messages has:tool duration:>90s",
    "provider:anthropic model:gpt-4o-mini",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_counts_and_look_ups_read_no_partition_from_end_to_end() {
    let now = SystemClock.now();
    let mut of = Explaining::start(now).await;
    let archive = Arc::clone(&of.archive);
    let middle = ExchangeId::lowest_at(now.minus(DAY * 15));
    for query in QUERIES {
        let request = asked(query, now);
        archive.list(request.clone()).await.unwrap();
        of.assert_by_index(&format!("the newest page of `{query}`"));
        // Where the query names a time, there is none.
        archive.list(ListRequest { before: Some(middle), ..request.clone() }).await.unwrap();
        let read = of.read_by_index(&format!("a next page of `{query}`"));
        assert!(
            read > 0 || query.contains("after:") || query.contains("no-such"),
            "`{query}` reads no partition"
        );
        archive.list(ListRequest { after: Some(middle), skip: 70, ..request.clone() }).await.unwrap();
        of.assert_by_index(&format!("a numbered page of `{query}`"));
        // Everything is counted without looking at it.
        if !request.filters.is_empty() {
            archive.count(&request.filters, 10_000).await.unwrap();
            of.assert_by_index(&format!("the number of `{query}`"));
        }
    }
    // Conditions that are rare only together are looked for by their indexes at once; frequent ones, and one alone, not.
    for (query, gathered) in [
        ("provider:anthropic model:gpt-4o-mini", true),
        ("provider:openai model:gpt-4o-mini", false),
        ("provider:nobody", false),
    ] {
        archive.list(asked(query, now)).await.unwrap();
        assert_eq!(of.plans().contains("CTE Scan on matching"), gathered, "`{query}`");
    }
    let page = archive.list(ListRequest { limit: 300, ..ListRequest::default() }).await.unwrap();
    let ids: Vec<ExchangeId> = page.exchanges.iter().map(|exchange| exchange.id).collect();
    // One in ten has bodies.
    let mut bodies = 0;
    for id in &ids[..20] {
        of.plans();
        archive.get(*id).await.unwrap().unwrap();
        of.assert_by_index("an exchange by its id");
        bodies += usize::from(archive.body(*id, Leg::ClientRequest).await.unwrap().is_some());
        of.assert_by_index("a body by its exchange's id");
    }
    assert_eq!(bodies, 2);
    archive.get_many(&ids).await.unwrap();
    of.assert_by_index("exchanges by their ids");
    archive.read_many(&ids, u64::MAX).await.unwrap();
    of.assert_by_index("exchanges and bodies by their ids");
    archive.ranks(&ids).await.unwrap();
    of.assert_by_index("ranks by ids");
    archive.ids(Some(middle), 100).await.unwrap();
    of.assert_by_index("ids in their order");
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_the_outbox_and_retention_read_no_partition_from_end_to_end() {
    let now = SystemClock.now();
    let mut of = Explaining::start(now).await;
    let archive = Arc::clone(&of.archive);
    let again = verbatim_testkit::history::commits(now, RECORDS, 500..600);
    archive.commit(again).await.unwrap();
    // What a record replaces is found by the key that it would break, of which no plan tells.
    of.read_by_index("what is committed again");
    let page = archive.list(ListRequest { limit: 300, ..ListRequest::default() }).await.unwrap();
    let open = page.exchanges.iter().zip(1..);
    let open = open.map(|(exchange, sequence)| OpenExchange {
        id: exchange.id,
        gateway: "gateway-test".to_owned(),
        sequence,
    });
    of.plans();
    archive.open(&open.collect::<Vec<_>>(), false).await.unwrap();
    of.assert_by_index("starts of what is archived");

    assert_eq!(archive.refill_outbox().await.unwrap(), u64::from(RECORDS));
    of.assert_by_index("the outbox, refilled");
    let claimed = archive.claim_outbox(100).await.unwrap();
    let ids: Vec<ExchangeId> = claimed.iter().map(|entry| entry.id).collect();
    let numbers: Vec<u64> = claimed.iter().map(|entry| entry.number).collect();
    assert_eq!(ids.len(), 100);
    of.plans();
    archive.read_many(&ids, u64::MAX).await.unwrap();
    of.assert_by_index("what the indexer reads");
    archive.settle_outbox(&numbers).await.unwrap();
    archive.maintain().await.unwrap();
    let range = now.minus(DAY * 30)..now;
    archive.model_stats(range.clone()).await.unwrap();
    let request = StatsRequest { range, step: Duration::from_secs(3600), model: None, provider: None };
    archive.stats(request).await.unwrap();
    archive.health().await.unwrap();
    assert_eq!(of.read_by_index("sums, totals and what is done of the outbox"), 0);

    let retention = Retention { max_exchanges: u64::from(RECORDS) * 9 / 10, ..Retention::default() };
    assert!(archive.enforce(retention, now).await.unwrap().exchanges > 0);
    of.assert_by_index("the oldest, deleted one by one");
    let retention = Retention { metadata_days: 5, bodies_days: 5, ..Retention::default() };
    // The pass before may hold its lock for a moment yet.
    until(async || archive.enforce(retention, now).await.unwrap().exchanges > 0).await;
    of.read_by_index("days and weeks, dropped whole");
    archive.close().await;
}
