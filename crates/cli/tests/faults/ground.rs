//! An installation to be harmed, and the judge of what it kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use verbatim_archive_postgres::{PostgresArchive, PostgresConfig};
use verbatim_core::ports::{Archive, CaptureLog, Clock, StatsRequest, SystemClock};
use verbatim_log_nats::NatsLog;
use verbatim_testkit::NatsServer;
use verbatim_testkit::postgres::{PostgresOptions, PostgresServer};

use crate::calls::{Call, mixed};
use crate::client::Seen;
use crate::engines::Engines;
use crate::load::Load;
use crate::place::Place;
use crate::stalls;
use crate::verdict::{Archived, Trial, Verdict, read_records};
use crate::wire::Wire;

/// Connections of callers to each gateway.
const CONNECTIONS: usize = 16;
/// What a dead recorder held is delivered again after so long.
const ACKNOWLEDGEMENT_WAIT: Duration = Duration::from_secs(5);
/// A dead gateway is known after half a minute; a machine that does much else takes several times as long.
const PATIENCE: Duration = Duration::from_secs(240);

/// The number of calls of a test: the first by default, the second where `./test --soak` asks for the full length.
pub(crate) fn calls(short: usize, full: usize) -> usize {
    if is_soak() { full } else { short }
}

/// Whether tests are to run in their full length.
#[expect(clippy::disallowed_methods, reason = "./test tells by the environment how long tests are")]
pub(crate) fn is_soak() -> bool {
    std::env::var_os("VERBATIM_SOAK").is_some()
}

/// Engines and processes.
pub(crate) struct Ground {
    pub(crate) engines: Engines,
    pub(crate) gateways: Vec<Place>,
    pub(crate) recorders: Vec<Place>,
    is_required: bool,
}

impl Ground {
    /// Two gateways and two recorders on engines of their own.
    pub(crate) async fn new(capture: &str) -> Self {
        let mut ground = Self::without_recorders(capture, &[]).await;
        ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
        ground
    }

    /// The same where no recorder runs yet, with more settings.
    pub(crate) async fn without_recorders(capture: &str, settings: &[(&str, &str)]) -> Self {
        stalls::watch();
        let postgres = tokio::task::spawn_blocking(|| PostgresServer::start(&PostgresOptions::default()));
        let (nats, postgres) = tokio::join!(NatsServer::start(""), postgres);
        let mut engines = Engines::start_on(nats, Box::new(Box::new(postgres.unwrap()))).await.migrated();
        engines.set("VERBATIM_GATEWAY__CAPTURE", capture);
        engines.set("VERBATIM_GATEWAY__ADMIN_LISTEN", "127.0.0.1:0");
        engines.set("VERBATIM_NATS__ACKNOWLEDGEMENT_WAIT", &format!("{}s", ACKNOWLEDGEMENT_WAIT.as_secs()));
        settings.iter().for_each(|(name, value)| engines.set(name, value));
        let places = |role| (0..2).map(|number| Place::new(role, number)).collect();
        let is_required = capture == "required";
        let mut ground =
            Self { engines, gateways: places("gateway"), recorders: places("recorder"), is_required };
        ground.gateways.iter_mut().for_each(|place| place.start(&ground.engines));
        ground
    }

    /// Starts the recorders so that one of their engines is reached over this line. Those that start later reach it
    /// directly.
    pub(crate) fn start_recorders_over(&mut self, wire: &Wire) {
        let engines = [
            ("VERBATIM_NATS__URL", self.engines.nats.url()),
            ("VERBATIM_POSTGRES__URL", self.engines.postgres.url(&self.engines.database)),
        ];
        engines.iter().for_each(|(setting, url)| self.engines.set(setting, &wire.instead_of(url)));
        self.recorders.iter_mut().for_each(|place| place.start(&self.engines));
        engines.iter().for_each(|(setting, url)| self.engines.set(setting, url));
    }

    /// Begins to make so many mixed calls.
    pub(crate) fn begin(&self, name: &str, calls: usize) -> Load {
        self.begin_with((0..calls).map(|number| mixed(name, number)).collect())
    }

    /// Begins to make these calls.
    pub(crate) fn begin_with(&self, calls: Vec<Call>) -> Load {
        Load::begin(&self.gateways, calls, CONNECTIONS)
    }

    /// The capture log, as another process sees it.
    pub(crate) async fn log(&self) -> NatsLog {
        let mut config = verbatim_log_nats::Config::new([self.engines.nats.url()]);
        config.acknowledgement_wait = ACKNOWLEDGEMENT_WAIT;
        config.max_bytes = 0;
        NatsLog::connect(config).await.unwrap()
    }

    /// The archive, as another process sees it.
    pub(crate) async fn open_archive(&self) -> PostgresArchive {
        let config = PostgresConfig::new(self.engines.postgres.url(&self.engines.database));
        PostgresArchive::connect(&config, Arc::new(SystemClock)).await.unwrap()
    }

    /// Waits until so many calls are archived for good and nothing is under way, or all starts are accounted for and
    /// nothing is under way.
    pub(crate) async fn quiescence(&self, calls: usize, archive: &PostgresArchive) {
        let (log, began) = (self.log().await, Instant::now());
        loop {
            let state = self.state(&log, archive).await;
            let is_idle = [state.unpublished, state.spooled, state.ends_pending, state.open] == [0; 4];
            if is_idle && (state.archived == calls as u64 || state.all_read) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{calls} calls, but it does not come to rest: {state:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        log.shutdown().await;
    }

    /// How many records there are, running ones included.
    pub(crate) fn records(&self) -> usize {
        let count = self.engines.postgres.sql(&self.engines.database, "SELECT count(*) FROM exchange");
        count.parse().unwrap()
    }

    async fn state(&self, log: &NatsLog, archive: &PostgresArchive) -> State {
        let (mut unpublished, mut spooled) = (0, 0);
        for gateway in &self.gateways {
            unpublished += gateway.metric("verbatim_unpublished_exchanges").await as u64;
            spooled += gateway.metric("verbatim_spooled_exchanges").await as u64;
        }
        let floors = log.floors().await.unwrap_or_default();
        State {
            unpublished,
            spooled,
            ends_pending: log.health().await.map_or(u64::MAX, |health| health.ends_pending),
            open: archive.open_exchanges(None, 100).await.map_or(u64::MAX, |open| open.len() as u64),
            archived: self.records() as u64,
            all_read: floors.last > 0 && floors.recorder >= floors.last && floors.watch >= floors.last,
        }
    }

    /// Everything that is archived once all has come to rest.
    pub(crate) async fn archive(&self, calls: usize) -> HashMap<String, Vec<Archived>> {
        let archive = self.open_archive().await;
        self.quiescence(calls, &archive).await;
        let records = read_records(&archive).await;
        archive.close().await;
        records
    }

    /// Compares what was seen through each gateway with ledger and archive. `kills` are those of each gateway.
    pub(crate) async fn judge(&self, seen: &[Vec<Seen>], kills: &[Vec<Instant>]) -> Verdict {
        let records = self.archive(seen.iter().map(Vec::len).sum()).await;
        let mut sum = Verdict::default();
        for (index, seen) in seen.iter().enumerate() {
            let kills = kills.get(index).map_or(&[][..], |kills| kills);
            let trial = Trial { kills, required: self.is_required };
            let verdict = trial.judge(seen, self.engines.mock.ledger(), &records);
            sum.faults.extend(verdict.faults);
            sum.excused += verdict.excused;
            sum.late += verdict.late;
            sum.whole += verdict.whole;
            sum.declared += verdict.declared;
            sum.cut += verdict.cut;
        }
        sum
    }

    /// The same where no gateway was killed: nothing may be missing, not even what `best_effort` would excuse.
    pub(crate) async fn all_is_there(&self, seen: &[Vec<Seen>]) {
        let verdict = self.judge(seen, &[]).await;
        report(&verdict);
        assert_eq!((verdict.excused, verdict.late, verdict.declared), (0, 0, 0));
    }

    /// The sums of the overview are those of the provider's ledger: no call was counted twice, however often it was
    /// archived.
    pub(crate) async fn sums_agree(&self) {
        let archive = self.open_archive().await;
        let now = SystemClock.now();
        let range = now.minus(Duration::from_secs(24 * 3600))..now.plus(Duration::from_secs(3600));
        let step = Duration::from_secs(3600);
        let sums = archive.stats(StatsRequest { range, step, model: None, provider: None }).await.unwrap();
        let totals = self.engines.mock.ledger().totals();
        assert_eq!((sums.totals.calls, totals.ended), (totals.begun, totals.begun));
        let kept = archive.health().await.unwrap().exchanges;
        assert_eq!(kept, totals.begun);
        archive.close().await;
    }
}

/// What is on the way to the archive.
#[derive(Debug)]
struct State {
    unpublished: u64,
    spooled: u64,
    ends_pending: u64,
    open: u64,
    archived: u64,
    all_read: bool,
}

/// Says what was judged; no promise may be broken.
pub(crate) fn report(verdict: &Verdict) {
    let Verdict { faults, excused, late, whole, declared, cut } = verdict;
    eprintln!("{whole} whole, {declared} less declared losses, {cut} cut, {excused} excused, {late} late");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
}
