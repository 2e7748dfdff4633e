//! A Meilisearch of a test's own: a port that the system chose, its data in a temporary directory. It can be killed, wiped
//! and started again where it was; nothing is left of it when it is dropped.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::engines::Meilisearch;
use crate::support::wait_for;

const KEY: &str = "a-key-of-the-tests-alone";

/// The server, running or not.
pub(crate) struct MeilisearchServer {
    binary: PathBuf,
    directory: TempDir,
    address: String,
    running: Option<Child>,
}

impl MeilisearchServer {
    /// A server that runs; `None`, and said so, where no binary is given.
    #[expect(clippy::disallowed_methods, reason = "tests are told where servers are by the environment")]
    pub(crate) fn start_given() -> Option<Self> {
        let Some(binary) = std::env::var_os("VERBATIM_TEST_MEILI_BIN").filter(|binary| !binary.is_empty())
        else {
            eprintln!("skipped: VERBATIM_TEST_MEILI_BIN is not set");
            return None;
        };
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { binary: binary.into(), directory, address, running: None };
        server.start();
        Some(server)
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let mut command = Command::new(&self.binary);
        command.args([
            "--no-analytics",
            "--env",
            "production",
            "--http-addr",
            &self.address,
            "--master-key",
            KEY,
        ]);
        command.arg("--db-path").arg(self.directory.path().join("data"));
        command.current_dir(self.directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_for("Meilisearch to answer", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "Meilisearch ended with {ended:?}");
            std::net::TcpStream::connect(&self.address).ok()
        });
        self.running = Some(child);
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) {
        let mut child = self.running.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Deletes all that it has, while it does not run.
    pub(crate) fn wipe(&self) {
        assert!(self.running.is_none(), "it runs");
        std::fs::remove_dir_all(self.directory.path().join("data")).unwrap();
    }

    /// How many documents an index has; `None` where there is no such index.
    pub(crate) async fn documents(&self, index: &str) -> Option<u64> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let stats = client.get(format!("http://{}/indexes/{index}/stats", self.address)).bearer_auth(KEY);
        let answer = stats.send().await.unwrap();
        if answer.status() == 404 {
            return None;
        }
        let stats: serde_json::Value = answer.error_for_status().unwrap().json().await.unwrap();
        stats["numberOfDocuments"].as_u64()
    }

    /// As those who use it are given it.
    pub(crate) fn given(&self) -> Meilisearch {
        Meilisearch { url: format!("http://{}", self.address), key: KEY.to_owned() }
    }
}

impl Drop for MeilisearchServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
