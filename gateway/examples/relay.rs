//! The relay alone, before one upstream, with a capture log that forgets: what relaying and capturing cost without
//! recording.
//!
//! `cargo run --release -p verbatim-gateway --example relay -- 127.0.0.1:8080 http://127.0.0.1:9000/v1`
#![expect(clippy::print_stdout, reason = "a command's output is what its caller reads")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::ProviderDialect;
use verbatim_core::ports::{
    CaptureLog, Consumer, DeadLetter, Delivery, Floors, Liveness, LogHealth, Message, PortResult, PullLimit,
    Sequence, SystemClock,
};
use verbatim_gateway::{BaseUrl, Gateway, GatewayConfig, Ports, Provider};

/// Confirms after as long as a disk takes, and keeps nothing.
#[derive(Default)]
struct Forgetful {
    last: AtomicU64,
}

#[async_trait]
impl CaptureLog for Forgetful {
    async fn append(&self, messages: Vec<Message>) -> Vec<PortResult<Sequence>> {
        tokio::time::sleep(Duration::from_millis(8)).await;
        let count = messages.len() as u64;
        let first = self.last.fetch_add(count, Relaxed) + 1;
        (first..first + count).map(Ok).collect()
    }

    async fn next(&self, _: Consumer, limit: PullLimit) -> PortResult<Vec<Delivery>> {
        tokio::time::sleep(limit.wait).await;
        Ok(Vec::new())
    }

    async fn acknowledge(&self, _: Consumer, _: &[Sequence]) -> PortResult<()> {
        Ok(())
    }

    async fn progress(&self, _: Consumer, _: &[Sequence]) -> PortResult<()> {
        Ok(())
    }

    async fn hand_back(&self, _: Consumer, _: &[Sequence]) -> PortResult<()> {
        Ok(())
    }

    async fn read(&self, sequences: &[Sequence]) -> PortResult<Vec<Option<Message>>> {
        Ok(vec![None; sequences.len()])
    }

    async fn scan(
        &self,
        _: &str,
        _: Sequence,
        _: Sequence,
        _: usize,
        _: usize,
    ) -> PortResult<Vec<(Sequence, Message)>> {
        Ok(Vec::new())
    }

    async fn floors(&self) -> PortResult<Floors> {
        Ok(Floors { last: self.last.load(Relaxed), ..Floors::default() })
    }

    async fn purge(&self, _: Sequence) -> PortResult<()> {
        Ok(())
    }

    async fn dead_letter(&self, _: Vec<DeadLetter>) -> PortResult<()> {
        Ok(())
    }

    async fn heartbeat(&self, _: &str) -> PortResult<()> {
        Ok(())
    }

    async fn liveness(&self, _: &str) -> PortResult<Liveness> {
        Ok(Liveness::Unknown)
    }

    async fn health(&self) -> PortResult<LogHealth> {
        Ok(LogHealth::default())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = &arguments[..] else {
        return Err("expected an address to listen on and an upstream's base URL".into());
    };
    let mut config = GatewayConfig::new(listen.parse()?, "relay-alone", [7; 32]);
    config.upstream = Some(Provider::new("upstream", ProviderDialect::Openai, BaseUrl::parse(upstream)?));
    let ports = Ports { log: Arc::new(Forgetful::default()), spool: None, clock: Arc::new(SystemClock) };
    let gateway = Gateway::bind(config, ports).await?;
    println!("{}", gateway.local_addr());
    Ok(gateway.run(CancellationToken::new()).await?)
}
