//! A `verbatim` process of one's own: temporary data, ports that the system chooses, ready when it says so.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Nothing here takes longer unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A command line of `verbatim` that listens on free ports and sees nothing of this machine's settings.
pub(crate) fn verbatim(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("VERBATIM_GATEWAY__LISTEN", "127.0.0.1:0")
        .env("VERBATIM_WEB__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

/// Runs a command line to its end.
pub(crate) fn output(directory: &Path, arguments: &[&str]) -> Output {
    verbatim(directory, arguments).output().unwrap()
}

/// What was written to standard error, in one text.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where a running process says that it listens.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Instance {
    pub(crate) pid: u32,
    pub(crate) gateway: String,
    pub(crate) web: String,
}

/// A running `verbatim`, killed when dropped.
pub(crate) struct Process {
    child: std::process::Child,
    /// Where it listens.
    pub(crate) instance: Instance,
}

impl Process {
    /// Starts a command line that serves, with its data in `directory`, and waits until it is ready.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::start_command(verbatim(directory, arguments), &directory.join("verbatim-data"))
    }

    /// The same for a command of one's own making, whose data is in `data`.
    pub(crate) fn start_command(mut command: Command, data: &Path) -> Self {
        // A killed process leaves its description behind.
        let _ = std::fs::remove_file(data.join("instance.json"));
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut process =
            Self { child, instance: Instance { pid: 0, gateway: String::new(), web: String::new() } };
        process.instance = wait_for("the process to be ready", || {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "verbatim ended with {ended:?} before it was ready");
            let instance = std::fs::read(data.join("instance.json")).ok()?;
            serde_json::from_slice::<Instance>(&instance).ok()
        });
        process
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the process to end", || self.ended())
    }

    /// Ends it in order (SIGTERM).
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Ends it as a crash does (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "between two looks at another process, which can't tell us")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// A temporary directory to work in.
pub(crate) fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes a configuration that sends every dialect to `base_url`.
pub(crate) fn configure(directory: &Path, base_url: &str) -> PathBuf {
    let provider = |name: &str, version: &str| {
        format!(
            "[[providers]]\nname = \"{name}\"\ndialect = \"{name}\"\nbase_url = \"{base_url}/{version}\"\n"
        )
    };
    let text = provider("openai", "v1") + &provider("anthropic", "v1") + &provider("gemini", "v1beta");
    let path = directory.join("verbatim.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Everything that a pipe gives until it is closed.
pub(crate) fn read_all(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}
