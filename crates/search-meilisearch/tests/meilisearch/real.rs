//! Real servers: the one at `VERBATIM_TEST_MEILI_URL` (its key in `VERBATIM_TEST_MEILI_KEY`), and ones of our own, started
//! from the program at `VERBATIM_TEST_MEILI_BIN`, that can be killed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use verbatim_core::model::ExchangeId;
use verbatim_search_meilisearch::{Config, MeilisearchIndex};

#[expect(clippy::disallowed_methods, reason = "tests are told where servers are by the environment")]
fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// An index of its own on a real server; it is deleted in the end.
pub(crate) struct Real {
    url: String,
    key: String,
    index: String,
}

impl Real {
    /// Whether there is a server; says so if not.
    pub(crate) fn is_given() -> bool {
        let is_given = given("VERBATIM_TEST_MEILI_URL").is_some();
        if !is_given {
            eprintln!("skipped: VERBATIM_TEST_MEILI_URL is not set");
        }
        is_given
    }

    /// A new index on the server that is given.
    pub(crate) fn index() -> Self {
        let url = given("VERBATIM_TEST_MEILI_URL").expect("asked for by is_given");
        let key = given("VERBATIM_TEST_MEILI_KEY").unwrap_or_default();
        Self { url, key, index: format!("test-{}", ExchangeId::mint()) }
    }

    pub(crate) fn config(&self) -> Config {
        let config = Config::new(&self.url, self.key.clone()).expect("a configuration");
        config.with_index(&self.index).expect("a name")
    }

    /// Opens the index.
    pub(crate) async fn open(&self) -> MeilisearchIndex {
        let index = MeilisearchIndex::new(self.config()).expect("a client is made");
        index.check().await.expect("the server is as it should be");
        index
    }

    /// Sends a bare request and gives the answer: what an operator might do.
    pub(crate) fn call(&self, verb: &str, path: &str, body: &str) -> String {
        call(&self.url, &self.key, verb, &path.replace("{index}", &self.index), body)
            .expect("the server answers")
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for name in [&self.index, &format!("{}-next", self.index)] {
            // A server that is gone has nothing to be cleaned.
            let _ = call(&self.url, &self.key, "DELETE", &format!("/indexes/{name}"), "");
        }
    }
}

fn call(url: &str, key: &str, verb: &str, path: &str, body: &str) -> std::io::Result<String> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    let authorization =
        if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    write!(
        stream,
        "{verb} {path} HTTP/1.1\r\nhost: {authority}\r\n{authorization}connection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A server of our own.
pub(crate) struct OwnServer {
    program: PathBuf,
    directory: TempDir,
    port: u16,
    child: Child,
}

impl OwnServer {
    /// Starts one, if the program is given; says so if not.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = given("VERBATIM_TEST_MEILI_BIN") else {
            eprintln!("skipped: VERBATIM_TEST_MEILI_BIN is not set");
            return None;
        };
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let directory = tempfile::tempdir().expect("a directory");
        let program = PathBuf::from(program);
        let child = spawn(&program, &directory, port);
        Some(Self { program, directory, port, child })
    }

    pub(crate) fn config(&self) -> Config {
        let mut config =
            Config::new(&format!("http://127.0.0.1:{}", self.port), String::new()).expect("a configuration");
        config.request_timeout = Duration::from_secs(10);
        config
    }

    /// Sends a bare request and gives the answer.
    pub(crate) fn call(&self, verb: &str, path: &str, body: &str) -> String {
        call(&format!("http://127.0.0.1:{}", self.port), "", verb, path, body).expect("the server answers")
    }

    /// Kills it, as a machine that fails would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts it again on what it had.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.program, &self.directory, self.port);
    }

    /// Has it lose everything while it is down.
    pub(crate) fn wipe(&self) {
        std::fs::remove_dir_all(self.directory.path().join("data.ms")).expect("its data");
    }
}

fn spawn(program: &PathBuf, directory: &TempDir, port: u16) -> Child {
    Command::new(program)
        .args(["--no-analytics", "--env", "development", "--http-addr", &format!("127.0.0.1:{port}")])
        .arg("--db-path")
        .arg(directory.path().join("data.ms"))
        .arg("--dump-dir")
        .arg(directory.path().join("dumps"))
        .arg("--snapshot-dir")
        .arg(directory.path().join("snapshots"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Meilisearch starts")
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
