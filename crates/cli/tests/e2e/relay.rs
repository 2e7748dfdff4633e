//! A `verbatim` process that can be killed and started again on the same data and addresses.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The process.
pub(crate) struct Relay {
    child: Option<Child>,
    config: PathBuf,
    /// Its data directory.
    pub(crate) data: PathBuf,
    gateway_port: u16,
    web_port: u16,
}

impl Relay {
    /// Prepares one below `directory`, with all dialects' providers at `mock`; `capture` is the mode's name.
    pub(crate) fn new(directory: &Path, mock: &str, capture: &str) -> Self {
        let providers = [("openai", "v1"), ("anthropic", "v1"), ("gemini", "v1beta")]
            .map(|(name, version)| (name.to_owned(), name, format!("{mock}/{version}")));
        Self::with_providers(directory, providers, capture)
    }

    /// The same with these providers: name, dialect, base URL.
    pub(crate) fn with_providers(
        directory: &Path,
        providers: impl IntoIterator<Item = (String, &'static str, String)>,
        capture: &str,
    ) -> Self {
        let config = directory.join("verbatim.toml");
        let providers: String = providers
            .into_iter()
            .map(|(name, dialect, base_url)| {
                format!(
                    "[[providers]]\nname = \"{name}\"\ndialect = \"{dialect}\"\nbase_url = \"{base_url}\"\n"
                )
            })
            .collect();
        std::fs::write(&config, format!("[gateway]\ncapture = \"{capture}\"\n{providers}")).unwrap();
        let (one, two) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        Self {
            child: None,
            config,
            data: directory.join("data"),
            gateway_port: one.local_addr().unwrap().port(),
            web_port: two.local_addr().unwrap().port(),
        }
    }

    /// The relay's base URL.
    pub(crate) fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_port)
    }

    /// The API's base URL.
    pub(crate) fn web(&self) -> String {
        format!("http://127.0.0.1:{}", self.web_port)
    }

    /// Starts it and waits until relay and API answer.
    pub(crate) async fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_verbatim"))
            .arg("up")
            .arg("--config")
            .arg(&self.config)
            .arg("--data-dir")
            .arg(&self.data)
            .args(["--gateway-addr", &format!("127.0.0.1:{}", self.gateway_port)])
            .args(["--web-addr", &format!("127.0.0.1:{}", self.web_port)])
            .args(["--log-level", "error"])
            .current_dir(self.config.parent().unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        for base in [self.gateway(), self.web()] {
            let began = Instant::now();
            while !http.get(format!("{base}/healthz")).send().await.is_ok_and(|answer| answer.status() == 200)
            {
                assert!(began.elapsed() < Duration::from_secs(30), "{base} does not answer");
                let ended = self.child.as_mut().unwrap().try_wait().unwrap();
                assert!(ended.is_none(), "verbatim ended with {ended:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// The most memory that the running process had so far, in bytes, where the system tells.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        verbatim_testkit::peak_memory(self.child.as_ref()?.id())
    }

    /// Kills it (SIGKILL); tells when.
    pub(crate) fn kill(&mut self) -> Instant {
        let mut child = self.child.take().unwrap();
        let at = Instant::now();
        child.kill().unwrap();
        child.wait().unwrap();
        at
    }

    /// Ends it (SIGTERM) and waits until it has drained.
    pub(crate) async fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "verbatim ended with {status}");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
