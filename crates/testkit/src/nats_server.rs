//! A real `nats-server` of a test's own: a port that the system chose, a store in a temporary directory. It can be
//! killed, stopped, paused and started again where it was; nothing is left of it when it is dropped.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::process::peak_memory;

/// How long a server may take to be ready, on a machine that does much else.
const READY: Duration = Duration::from_secs(60);
/// Where the port was taken meanwhile, the next attempt waits for it to be free again.
const ATTEMPTS: usize = 20;
/// Debian's place for it is on no ordinary user's path.
const PROGRAMS: [&str; 2] = ["nats-server", "/usr/sbin/nats-server"];

/// The store's directory, within the server's own.
const STORE: &str = "jetstream";

/// A server, running or not.
#[derive(Debug)]
pub struct NatsServer {
    directory: TempDir,
    /// What the configuration says beside port and store.
    settings: String,
    port: u16,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    port: u16,
    said: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl NatsServer {
    /// A server with JetStream. `settings` are lines of its configuration, beside port and store.
    ///
    /// # Panics
    /// Where `nats-server` is not installed or does not start.
    pub async fn start(settings: &str) -> Self {
        let directory = tempfile::tempdir().expect("the system has a temporary directory");
        let store = directory.path().join(STORE);
        let limits = "max_memory_store: 64MB, max_file_store: 16GB";
        let jetstream = format!("jetstream {{ store_dir: \"{}\", {limits} }}", store.display());
        Self::start_in(directory, format!("{jetstream}\n{settings}")).await
    }

    /// A server without JetStream.
    ///
    /// # Panics
    /// Where `nats-server` is not installed or does not start.
    pub async fn start_without_jetstream() -> Self {
        let directory = tempfile::tempdir().expect("the system has a temporary directory");
        Self::start_in(directory, String::new()).await
    }

    async fn start_in(directory: TempDir, settings: String) -> Self {
        let running = run(directory.path(), &settings, None).await.unwrap_or_else(|said| panic!("{said}"));
        let port = running.port;
        Self { directory, settings, port, running: Mutex::new(Some(running)) }
    }

    /// Where it listens: `127.0.0.1:` and its port, the same after a restart.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Where it keeps its streams.
    pub fn store(&self) -> PathBuf {
        self.directory.path().join(STORE)
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Ends it in order.
    pub fn stop(&self) {
        self.end(Signal::TERM);
    }

    /// Stops it in its tracks: when this returns, it answers nothing, and its connections stay.
    ///
    /// # Panics
    /// Where it ends instead.
    pub fn pause(&self) {
        if let Some(running) = &*self.running() {
            running.signal(Signal::STOP);
            // Its threads go on for a moment after the signal.
            let stopped = waitid(
                WaitId::Pid(running.pid()),
                WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
            );
            let stopped = stopped.expect("a child can be waited for");
            assert!(stopped.is_some_and(|status| status.stopped()), "a server that was to pause has ended");
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again after it ended, with the same port and what is left of its store.
    ///
    /// # Panics
    /// Where it runs, or does not start.
    pub async fn restart(&self) {
        assert!(self.running().is_none(), "a server that is started again runs already");
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            match run(self.directory.path(), &self.settings, Some(self.port)).await {
                Ok(running) => return *self.running() = Some(running),
                Err(error) => said = error,
            }
        }
        panic!("{said}");
    }

    /// Whether it runs, paused or not.
    pub fn is_running(&self) -> bool {
        self.running().is_some()
    }

    /// The most memory that its process has had so far, in bytes; `None` where it does not run, or nobody tells.
    pub fn peak_memory(&self) -> Option<u64> {
        self.running().as_ref().and_then(|running| peak_memory(running.child.id()))
    }

    fn signal(&self, signal: Signal) {
        if let Some(running) = &*self.running() {
            running.signal(signal);
        }
    }

    fn end(&self, signal: Signal) {
        if let Some(mut running) = self.running().take() {
            running.end(signal);
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    fn pid(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has a process id")
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a child that was not waited for can be sent a signal");
    }

    fn end(&mut self, signal: Signal) {
        self.signal(signal);
        // Where it is paused, it would not hear of it.
        self.signal(Signal::CONT);
        self.child.wait().expect("a child can be waited for");
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// Starts a server and waits until it is ready; an error tells what it said.
async fn run(directory: &Path, settings: &str, port: Option<u16>) -> Result<Running, String> {
    let configuration = directory.join("nats.conf");
    let wanted = port.map_or(-1, i32::from);
    fs::write(&configuration, format!("host: 127.0.0.1\nport: {wanted}\n{settings}\n"))
        .map_err(|error| format!("could not write {}: {error}", configuration.display()))?;
    let mut child = spawn(&configuration)?;
    let said: Arc<Mutex<VecDeque<String>>> = Arc::default();
    let (ready, is_ready) = oneshot::channel();
    let stderr = child.stderr.take().expect("stderr is piped");
    let listener = {
        let said = Arc::clone(&said);
        let listening = std::thread::Builder::new().name("nats-server".to_owned());
        listening.spawn(move || listen(stderr, &said, ready)).map_err(|error| error.to_string())?
    };
    let mut running = Running { child, port: 0, said, listener: Some(listener) };
    match timeout(READY, is_ready).await {
        Ok(Ok(port)) => {
            running.port = port;
            Ok(running)
        }
        Ok(Err(_)) | Err(_) => {
            running.end(Signal::KILL);
            let said = running.said.lock().unwrap_or_else(PoisonError::into_inner);
            Err(format!("nats-server did not start; it said:\n{}", said.iter().cloned().collect::<String>()))
        }
    }
}

fn spawn(configuration: &Path) -> Result<Child, String> {
    for program in PROGRAMS {
        let mut command = Command::new(program);
        command.arg("--config").arg(configuration).stdin(Stdio::null()).stdout(Stdio::null());
        match command.stderr(Stdio::piped()).spawn() {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("could not start {program}: {error}")),
        }
    }
    Err("nats-server is not installed: `apt-get install nats-server`, or ./test does it".to_owned())
}

/// Listens to what the server says, to its end; tells its port once it is ready.
fn listen(stderr: ChildStderr, said: &Mutex<VecDeque<String>>, ready: oneshot::Sender<u16>) {
    const KEPT: usize = 100;
    let (mut ready, mut port) = (Some(ready), None);
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port = address.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok());
        }
        if line.contains("Server is ready")
            && let (Some(ready), Some(port)) = (ready.take(), port)
        {
            // Whoever started it may have given up.
            let _ = ready.send(port);
        }
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_back(line + "\n");
        if said.len() > KEPT {
            said.pop_front();
        }
    }
}
