//! Where one process of an installation has its place: it can be killed there and started again.

use std::net::TcpListener;
use std::time::Instant;

use rustix::process::Signal;

use crate::engines::Engines;
use crate::role::Role;

/// The place; its address and its data directory stay the same.
pub(crate) struct Place {
    role: &'static str,
    name: String,
    port: u16,
    runs: usize,
    process: Option<Role>,
}

impl Place {
    /// A place where nobody runs yet.
    pub(crate) fn new(role: &'static str, number: usize) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { role, name: format!("{role}-{number}"), port, runs: 0, process: None }
    }

    /// Starts a process and waits until it is ready.
    pub(crate) fn start(&mut self, engines: &Engines) {
        assert!(self.process.is_none(), "{} runs", self.name);
        self.runs += 1;
        let address = format!("127.0.0.1:{}", self.port);
        let mut arguments = vec![self.role, "--data-dir", &self.name];
        match self.role {
            "gateway" => arguments.extend(["--gateway-addr", &address]),
            "web" => arguments.extend(["--web-addr", &address]),
            _ => {}
        }
        let log = engines.path(&format!("{}-{}.log", self.name, self.runs));
        let mut process = Role::spawn(engines.command(&arguments), log);
        process.wait_until_ready();
        self.process = Some(process);
    }

    /// Whether a process is there that nobody ended.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Kills it (SIGKILL); tells when.
    pub(crate) fn kill(&mut self) -> Instant {
        let at = Instant::now();
        self.process.take().unwrap().kill();
        at
    }

    /// Ends it in order (SIGTERM).
    pub(crate) fn stop(&mut self) {
        self.process.take().unwrap().stop();
    }

    /// Stops it where it is (SIGSTOP).
    pub(crate) fn pause(&self) {
        self.running().signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.running().signal(Signal::CONT);
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.running().id()
    }

    /// The base URL of its relay, or its dashboard.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A value of its metrics, all labels together; zero for one that was never set.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        self.labelled(name, "").await
    }

    /// The same of what has this label, such as `result="stored"`.
    pub(crate) async fn labelled(&self, name: &str, label: &str) -> f64 {
        let url = format!("{}/metrics", self.running().health);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let text = http.get(url).send().await.unwrap().text().await.unwrap();
        let is_it = |line: &&str| line.split([' ', '{']).next() == Some(name) && line.contains(label);
        let samples = text.lines().filter(is_it);
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Where it tells whether it is ready, and what keeps it from being so.
    pub(crate) fn readyz(&self) -> String {
        format!("{}/readyz", self.running().health)
    }

    fn running(&self) -> &Role {
        self.process.as_ref().unwrap()
    }
}
