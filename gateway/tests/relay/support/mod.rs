//! A gateway between a provider with a ledger and a capture log in memory.

mod client;
mod records;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::ProviderDialect;
use verbatim_core::ports::{CaptureLog, SystemClock};
use verbatim_gateway::{BaseUrl, Gateway, GatewayConfig, GatewayError, HealthHandle, Ports, Provider};
use verbatim_mock_provider::{Config, Detail, LedgerOptions, MockProvider};
use verbatim_testkit::{FaultyLog, MemoryLog};

pub(crate) use client::{After, Connection, get, head, post};
pub(crate) use records::{Record, record_of, records};

/// Long enough for a slow machine, short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fails the test where something does not happen in time.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("in time")
}

/// Waits until something holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A log in memory that can be made to fail.
pub(crate) struct TestLog {
    pub(crate) memory: Arc<MemoryLog>,
    pub(crate) faulty: Arc<FaultyLog>,
}

impl TestLog {
    pub(crate) fn new() -> Self {
        Self::over(MemoryLog::new(Duration::from_secs(60)))
    }

    pub(crate) fn over(memory: MemoryLog) -> Self {
        let memory = Arc::new(memory);
        Self { faulty: Arc::new(FaultyLog::new(Arc::<MemoryLog>::clone(&memory))), memory }
    }

    pub(crate) fn port(&self) -> Arc<dyn CaptureLog> {
        Arc::<FaultyLog>::clone(&self.faulty)
    }
}

/// What a test works with.
pub(crate) struct Rig {
    pub(crate) mock: MockProvider,
    pub(crate) log: TestLog,
    pub(crate) spool: Option<TestLog>,
    pub(crate) address: SocketAddr,
    pub(crate) health: HealthHandle,
    pub(crate) stop: CancellationToken,
    running: JoinSet<Result<(), GatewayError>>,
}

impl Rig {
    /// Everything as it is by default.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A gateway with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::over(TestLog::new(), None, change).await
    }

    /// A gateway over a log and a spool of the test's own.
    pub(crate) async fn over(
        log: TestLog,
        spool: Option<TestLog>,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        let ledger = LedgerOptions { detail: Detail::Bodies, ..LedgerOptions::default() };
        let mock = MockProvider::start(Config { ledger, ..Config::default() }).await.unwrap();
        let mut config = config(&mock.base_url());
        change(&mut config);
        let ports =
            Ports { log: log.port(), spool: spool.as_ref().map(TestLog::port), clock: Arc::new(SystemClock) };
        let gateway = Gateway::bind(config, ports).await.unwrap();
        let (address, health) = (gateway.local_addr(), gateway.health());
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(gateway.run(stop.clone()));
        Self { mock, log, spool, address, health, stop, running }
    }

    /// Stops the gateway as a signal does, and returns once it has.
    pub(crate) async fn shutdown(&mut self) {
        self.stop.cancel();
        self.stopped().await;
    }

    /// Returns once the gateway has stopped.
    pub(crate) async fn stopped(&mut self) {
        if let Some(ended) = soon(self.running.join_next()).await {
            ended.unwrap().unwrap();
        }
    }

    /// How the gateway ends that nobody stopped.
    pub(crate) async fn ended(&mut self) -> Result<(), GatewayError> {
        soon(self.running.join_next()).await.expect("a gateway runs").expect("its parts alone panic")
    }

    /// The records in the log, once there are `count` of them.
    pub(crate) async fn records(&self, count: usize) -> Vec<Record> {
        until(|| records(&self.log.memory).len() >= count).await;
        let found = records(&self.log.memory);
        assert_eq!(found.len(), count, "{found:?}");
        found
    }

    /// The only record in the log, once it is there.
    pub(crate) async fn record(&self) -> Record {
        self.records(1).await.remove(0)
    }
}

/// A configuration whose providers of every dialect are the one at `base`.
pub(crate) fn config(base: &str) -> GatewayConfig {
    let mut config = GatewayConfig::new(([127, 0, 0, 1], 0).into(), "test-1", [7; 32]);
    let provider = |name: &str, dialect, path: &str| {
        Provider::new(name, dialect, BaseUrl::parse(&format!("{base}{path}")).unwrap())
    };
    config.providers = vec![
        provider("openai", ProviderDialect::Openai, "/v1"),
        provider("anthropic", ProviderDialect::Anthropic, "/v1"),
        provider("gemini", ProviderDialect::Gemini, "/v1beta"),
        provider("ollama", ProviderDialect::Ollama, ""),
        provider("plain", ProviderDialect::Raw, ""),
    ];
    config
}
