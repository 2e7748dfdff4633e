//! The log keeps the capture log's contract, on a real server.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use verbatim_core::ports::CaptureLog;
use verbatim_log_nats::{Config, NatsLog};
use verbatim_testkit::NatsServer;
use verbatim_testkit::capture_log::LogWorld;

/// What ends with the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// The process that has it open; the server goes on.
    Client,
    /// The server, too.
    Server,
}

struct World {
    server: OnceCell<NatsServer>,
    acknowledgement_wait: Duration,
    ends: Ends,
    log: Mutex<Option<Arc<NatsLog>>>,
}

impl World {
    fn take(&self) -> Arc<NatsLog> {
        self.log.lock().unwrap().take().expect("a log is open")
    }

    fn server(&self) -> &NatsServer {
        self.server.get().expect("a log was open")
    }
}

#[async_trait]
impl LogWorld for World {
    async fn open(&self) -> Arc<dyn CaptureLog> {
        let server = self.server.get_or_init(|| NatsServer::start("")).await;
        if !server.is_running() {
            server.restart().await;
        }
        let config =
            Config { acknowledgement_wait: self.acknowledgement_wait, ..Config::new([server.url()]) };
        let log = Arc::new(NatsLog::connect(config).await.unwrap());
        *self.log.lock().unwrap() = Some(log.clone());
        log
    }

    async fn close(&self) {
        self.take().shutdown().await;
        if self.ends == Ends::Server {
            self.server().stop();
        }
    }

    async fn kill(&self) {
        if self.ends == Ends::Server {
            self.server().kill();
        }
        let log = self.take();
        assert_eq!(Arc::strong_count(&log), 1, "a log that is to be killed is still held");
    }

    fn comes_again_at_opening(&self) -> bool {
        false
    }

    /// nats-server 2.9 does not.
    fn counts_exactly(&self) -> bool {
        false
    }

    fn keeps_the_last(&self) -> bool {
        true
    }

    /// Subject, header and the stream's own.
    fn overhead(&self) -> u64 {
        256
    }
}

fn world(ends: Ends, acknowledgement_wait: Duration) -> Box<dyn LogWorld> {
    Box::new(World { server: OnceCell::new(), acknowledgement_wait, ends, log: Mutex::default() })
}

mod when_the_server_ends {
    use super::*;

    fn world(acknowledgement_wait: Duration) -> Box<dyn LogWorld> {
        super::world(Ends::Server, acknowledgement_wait)
    }

    verbatim_testkit::capture_log_contract!(world);
}

mod when_only_the_client_ends {
    use super::*;

    fn world(acknowledgement_wait: Duration) -> Box<dyn LogWorld> {
        super::world(Ends::Client, acknowledgement_wait)
    }

    verbatim_testkit::capture_log_contract!(world);
}
