//! Engines of a test's own, and the settings that name them.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use reqwest::{Method, Response};
use tempfile::TempDir;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig};
use verbatim_core::ports::SystemClock;
use verbatim_mock_provider::{Config, Detail, LedgerOptions, MockProvider};
use verbatim_testkit::NatsServer;
use verbatim_testkit::postgres::PostgresServer;

use crate::role::Role;
use crate::support::{complaint, configure, place, verbatim};

/// What gateways and web agree on.
const SECRET: &str = "a secret of the tests, which is long enough";

/// A Meilisearch that is given to the tests.
pub(crate) struct Meilisearch {
    pub(crate) url: String,
    pub(crate) key: String,
}

impl Meilisearch {
    /// `None`, and said so, where there is none.
    #[expect(clippy::disallowed_methods, reason = "tests are told where servers are by the environment")]
    pub(crate) fn given() -> Option<Self> {
        let given = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let Some(url) = given("VERBATIM_TEST_MEILI_URL") else {
            eprintln!("skipped: VERBATIM_TEST_MEILI_URL is not set");
            return None;
        };
        Some(Self { url, key: given("VERBATIM_TEST_MEILI_KEY").unwrap_or_default() })
    }

    /// Deletes an index.
    pub(crate) async fn delete(&self, index: &str) {
        assert!(self.ask(Method::DELETE, index).await.status().is_success());
    }

    /// Asks something of an index.
    pub(crate) async fn ask(&self, method: Method, index: &str) -> Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, format!("{}/indexes/{index}", self.url));
        // Where it wants no key, it takes none.
        let request = if self.key.is_empty() { request } else { request.bearer_auth(&self.key) };
        request.send().await.unwrap()
    }
}

/// An installation: its engines, its provider, and a directory for what its processes keep.
pub(crate) struct Engines {
    pub(crate) nats: NatsServer,
    /// Its own, or one that the tests of this process share.
    pub(crate) postgres: Box<dyn Deref<Target = PostgresServer> + Send + Sync>,
    pub(crate) database: String,
    pub(crate) mock: MockProvider,
    place: TempDir,
    settings: Vec<(String, String)>,
}

impl Engines {
    /// Engines without a schema yet.
    pub(crate) async fn start() -> Self {
        Self::start_with(NatsServer::start("").await).await
    }

    /// The same with this NATS.
    pub(crate) async fn start_with(nats: NatsServer) -> Self {
        Self::start_on(nats, Box::new(PostgresServer::shared())).await
    }

    /// The same with this PostgreSQL, too.
    pub(crate) async fn start_on(
        nats: NatsServer,
        postgres: Box<dyn Deref<Target = PostgresServer> + Send + Sync>,
    ) -> Self {
        let database = postgres.create_database();
        let ledger = LedgerOptions { detail: Detail::Bodies, ..LedgerOptions::default() };
        let mock = MockProvider::start(Config { ledger, ..Config::default() }).await.unwrap();
        let place = place();
        configure(place.path(), &mock.base_url());
        let settings = [
            ("VERBATIM_NATS__URL", nats.url()),
            ("VERBATIM_POSTGRES__URL", postgres.url(&database)),
            ("VERBATIM_SECRET", SECRET.to_owned()),
            ("VERBATIM_RECORDER__LISTEN", "127.0.0.1:0".to_owned()),
            ("VERBATIM_INDEXER__LISTEN", "127.0.0.1:0".to_owned()),
            ("VERBATIM_LOG__FORMAT", "json".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { nats, postgres, database, mock, place, settings }
    }

    /// The same with a schema.
    pub(crate) async fn start_migrated() -> Self {
        Self::start().await.migrated()
    }

    /// Makes the schema.
    pub(crate) fn migrated(self) -> Self {
        let migrated = self.output(&["migrate"]);
        assert!(migrated.status.success(), "{}", complaint(&migrated));
        self
    }

    /// Changes a setting for all processes from now on; empty text takes it away.
    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.settings.retain(|(name, _)| name != variable);
        self.settings.push((variable.to_owned(), value.to_owned()));
    }

    /// Makes every process use the search index of this name on a Meilisearch.
    pub(crate) fn use_meilisearch(&mut self, meilisearch: &Meilisearch) {
        self.set("VERBATIM_MEILISEARCH__URL", &meilisearch.url);
        self.set("VERBATIM_MEILISEARCH__API_KEY", &meilisearch.key);
        self.set("VERBATIM_MEILISEARCH__INDEX", &self.index());
    }

    /// The name of its search index.
    pub(crate) fn index(&self) -> String {
        format!("test-{}-{}", std::process::id(), self.database)
    }

    /// The archive, as another process sees it.
    pub(crate) async fn archive(&self) -> Arc<PostgresArchive> {
        let config = PostgresConfig::new(self.postgres.url(&self.database));
        Arc::new(PostgresArchive::connect(&config, Arc::new(SystemClock)).await.unwrap())
    }

    /// A command line with these settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = verbatim(self.place.path(), arguments);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command line to its end.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a role and waits until it says that it is ready; `name` is what its files are called.
    pub(crate) fn start_role(&self, role: &str, name: &str) -> Role {
        let mut role = self.spawn_role(role, name);
        role.wait_until_ready();
        role
    }

    /// Starts a role, which need not be ready soon.
    pub(crate) fn spawn_role(&self, role: &str, name: &str) -> Role {
        Role::spawn(self.command(&[role, "--data-dir", name]), self.path(&format!("{name}.log")))
    }

    /// A path below the installation's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}
