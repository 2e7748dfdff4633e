//! A process with one role, or all.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::wait_for;

/// The process, killed when dropped.
pub(crate) struct Role {
    child: Child,
    log: PathBuf,
    /// Where it relays; empty for those that don't.
    pub(crate) relay: String,
    /// Where its dashboard is.
    pub(crate) dashboard: String,
    /// Where it says how it is doing.
    pub(crate) health: String,
}

impl Role {
    /// Starts a command whose log goes to a file, one JSON object a line.
    pub(crate) fn spawn(mut command: Command, log: PathBuf) -> Self {
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        let (relay, dashboard, health) = (String::new(), String::new(), String::new());
        Self { child: command.spawn().unwrap(), log, relay, dashboard, health }
    }

    /// Waits until it says that it is ready, and where.
    pub(crate) fn wait_until_ready(&mut self) {
        let ready = wait_for("a role to be ready", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?} before it was ready: {}", self.log());
            self.lines().into_iter().find(|line| line["message"] == "ready")
        });
        let place = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        (self.relay, self.dashboard, self.health) = (place("relay"), place("dashboard"), place("health"));
    }

    /// Everything that it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The log's lines that are whole.
    fn lines(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What it logged that holds this text.
    pub(crate) fn messages(&self, text: &str) -> Vec<String> {
        let messages = self.lines().into_iter().filter_map(|line| Some(line["message"].as_str()?.to_owned()));
        messages.filter(|message| message.contains(text)).collect()
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("a role to end", || self.child.try_wait().unwrap())
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it in order (SIGTERM), which must leave nothing undone.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = self.wait();
        assert!(ended.success(), "{ended}: {}", self.log());
    }

    /// Ends it as a crash does (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
