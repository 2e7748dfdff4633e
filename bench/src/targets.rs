//! The processes that are measured: the mock provider, nginx before it, Verbatim before it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http::{Connection, post};
use crate::machine;

/// A process that ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    pub(crate) fn spawn(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { child, name })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds what is measured and tells where the binaries are.
pub(crate) fn build() -> Result<PathBuf> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let mut command = Command::new(cargo);
    // `cargo run` tells this program about its own package. Build scripts that look there, such as ring's, would run
    // again, and all that depends on them would be built again: now, and by the next `cargo run`.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    let status = command
        .args(["build", "--release", "-p", "verbatim", "-p", "verbatim-mock-provider", "--bins"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()?;
    ensure!(status.success(), "cargo build ended with {status}");
    let exe = std::env::current_exe()?;
    Ok(exe.parent().context("the directory of this program")?.to_owned())
}

/// The mock provider.
pub(crate) struct Mock {
    _process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Mock {
    /// Starts it with fixed answers, so that it costs as little as it can.
    pub(crate) async fn start(binaries: &Path) -> Result<Self> {
        let address = free_address()?;
        let process = Process::spawn(
            "the mock provider",
            Command::new(binaries.join("verbatim-mock-provider"))
                .args(["--bench", "--listen"])
                .arg(address.to_string()),
        )?;
        wait_for(address, "the mock provider").await?;
        Ok(Self { _process: process, address })
    }
}

/// nginx with `proxy_pass` and kept-alive connections, logging nothing.
pub(crate) struct Nginx {
    _process: Process,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// Starts it; `None` where nginx is not installed.
    pub(crate) async fn start(directory: &Path, upstream: SocketAddr) -> Result<Option<Self>> {
        let Some(program) =
            ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).exists())
        else {
            return Ok(None);
        };
        let address = free_address()?;
        let directory = directory.join("nginx");
        std::fs::create_dir_all(&directory)?;
        let at = directory.display();
        let configuration = format!(
            "daemon off; master_process off; worker_processes 1; pid {at}/pid; error_log {at}/error.log crit;
            events {{ worker_connections 4096; }}
            http {{
              access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
              fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; keepalive_requests 100000000;
              upstream mock {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}
              server {{ listen {address}; location / {{
                proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection \"\";
                proxy_buffering off; proxy_request_buffering off; client_max_body_size 0; }} }}
            }}"
        );
        let file = directory.join("nginx.conf");
        std::fs::write(&file, configuration)?;
        let process =
            Process::spawn("nginx", Command::new(program).arg("-c").arg(&file).stderr(Stdio::null()))?;
        wait_for(address, "nginx").await?;
        Ok(Some(Self { _process: process, address }))
    }
}

/// Verbatim, all roles in one process.
pub(crate) struct Verbatim {
    /// The process.
    pub(crate) process: Process,
    /// The relay.
    pub(crate) gateway: SocketAddr,
    /// The dashboard and API.
    pub(crate) web: SocketAddr,
}

impl Verbatim {
    /// Starts it on an empty data directory.
    pub(crate) async fn start(
        binaries: &Path,
        data: &Path,
        upstream: SocketAddr,
        capture: &str,
    ) -> Result<Self> {
        let (gateway, web) = (free_address()?, free_address()?);
        let process = Process::spawn(
            "verbatim",
            Command::new(binaries.join("verbatim"))
                .args(["up", "--log-level", "warn", "--upstream"])
                .arg(format!("http://{upstream}/v1"))
                .arg("--data-dir")
                .arg(data)
                .args(["--gateway-addr", &gateway.to_string(), "--web-addr", &web.to_string()])
                .env("VERBATIM_GATEWAY__CAPTURE", capture)
                .stdout(Stdio::null()),
        )?;
        let started = Self { process, gateway, web };
        wait_for(gateway, "verbatim's relay").await?;
        Ok(started)
    }

    /// Waits until `calls` exchanges are archived and nothing waits in the log.
    pub(crate) async fn wait_archived(&self, calls: u64, limit: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let archived = self.archived().await.unwrap_or(0);
            if archived >= calls {
                return Ok(());
            }
            if began.elapsed() > limit {
                bail!("{archived} of {calls} exchanges were archived within {limit:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it rests: all that was relayed is archived and indexed, and its work no longer weighs on anybody.
    pub(crate) async fn settled(&self) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(500);
        let began = Instant::now();
        let mut worked = machine::worked(self.process.id())?;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = machine::worked(self.process.id())?;
            if (now - worked).as_secs_f64() < 0.05 * LOOK.as_secs_f64() {
                return Ok(());
            }
            worked = now;
            ensure!(began.elapsed() < Duration::from_secs(300), "it never comes to rest");
        }
    }

    /// Exchanges that the sums count.
    pub(crate) async fn archived(&self) -> Result<u64> {
        let stats = get_json(self.web, "/api/stats").await?;
        stats["total_requests"].as_u64().context("total_requests in /api/stats")
    }
}

/// A GET whose answer is JSON.
pub(crate) async fn get_json(address: SocketAddr, path: &str) -> Result<Value> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
    let text = client.get(format!("http://{address}{path}")).send().await?.error_for_status()?.text().await?;
    Ok(serde_json::from_str(&text)?)
}

/// The chat call that most measurements repeat: 1 KB asked for and about as much answered.
pub(crate) fn call_1k() -> Vec<u8> {
    let text = "How does the relay keep every byte of a call without slowing it down? ".repeat(12);
    let body = serde_json::json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]})
        .to_string();
    post("/v1/chat/completions", &[], &body)
}

/// The same, streamed in 50 chunks without delay.
pub(crate) fn stream_50() -> Vec<u8> {
    let body = serde_json::json!({"model": "gpt-4o-mini", "stream": true,
        "messages": [{"role": "user", "content": "Count to fifty, one number a chunk."}]})
    .to_string();
    post("/v1/chat/completions", &["x-mock: chunks=50"], &body)
}

/// Waits until something answers a call at this address.
pub(crate) async fn first_answer(address: SocketAddr, request: &[u8], limit: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        if let Ok(mut connection) = Connection::open(address).await
            && connection.call(request).await.is_ok_and(|answer| answer.status == 200)
        {
            return Ok(());
        }
        ensure!(began.elapsed() < limit, "no answer at {address} within {limit:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until somebody listens at this address.
pub(crate) async fn wait_for(address: SocketAddr, name: &str) -> Result<()> {
    let began = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_err() {
        ensure!(began.elapsed() < Duration::from_secs(20), "{name} does not listen at {address}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// An address that nobody listens at now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
