//! `/livez`, `/readyz` and `/metrics` of roles that serve nobody else.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use verbatim_core::ports::{Archive, CaptureLog, PortResult, SearchIndex};
use verbatim_gateway::HealthHandle;
use verbatim_listen::{Arrived, Door, Limits, Line, attend};
use verbatim_web::RenderMetrics;

use super::Service;
use super::parts::Relaying;
use super::stores::Records;
use crate::config::Config;
use crate::waits::Waits;

/// Those who probe are few.
const LIMITS: Limits =
    Limits { connections: 32, head: Duration::from_secs(10), keep_alive: Duration::from_secs(10) };
/// An engine that does not answer for so long can't be asked now.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whom readiness depends on: each that is there is asked.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) log: Option<Arc<dyn CaptureLog>>,
    pub(super) archive: Option<Arc<dyn Archive>>,
    pub(super) index: Option<Arc<dyn SearchIndex>>,
    pub(super) gateway: Option<HealthHandle>,
    /// Whether it does its work while something else is waited for.
    pub(super) needs_no_other: bool,
    /// What keeps it from being ready for good.
    pub(super) problem: Option<&'static str>,
}

impl Asked {
    /// Without word search, or what passes at the moment, a dashboard shows what is archived.
    pub(super) fn of_web(records: &Records) -> Self {
        Self { archive: Some(records.archive.clone()), needs_no_other: true, ..Self::default() }
    }
}

/// What is told to those who probe.
pub(super) struct Readiness {
    waits: Waits,
    /// `None` where people reach it who may not know: then it tells whether it is ready, not why not.
    metrics: Option<RenderMetrics>,
    asked: OnceLock<Asked>,
}

/// A listener for those who probe.
pub(super) struct Probes {
    listener: TcpListener,
    readiness: Arc<Readiness>,
}

impl Probes {
    /// Opens the socket at the address that `setting` says. Without `metrics` it tells nothing but whether it lives and is
    /// ready.
    pub(super) async fn bind(
        address: SocketAddr,
        setting: &str,
        waits: Waits,
        metrics: Option<RenderMetrics>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            anyhow!("can't listen on {address}: {error}; is another program using that port? choose another with {setting}")
        })?;
        let readiness = Arc::new(Readiness { waits, metrics, asked: OnceLock::new() });
        Ok(Self { listener, readiness })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to end.
    pub(super) async fn run(self, token: CancellationToken) {
        let Self { listener, readiness } = self;
        let mut door = Door::new(listener, LIMITS.connections);
        let mut connections = JoinSet::new();
        loop {
            let Arrived { stream, slot, .. } = tokio::select! {
                arrived = door.next() => arrived,
                Some(_) = connections.join_next() => continue,
                () = token.cancelled() => break,
            };
            let (readiness, token) = (Arc::clone(&readiness), token.clone());
            connections.spawn(async move {
                let _slot = slot;
                let line = Line::default();
                let service = service_fn(|request: Request<Incoming>| {
                    let (busy, readiness) = (line.begin(), Arc::clone(&readiness));
                    async move {
                        let answer = readiness.answer(request.method(), request.uri().path()).await;
                        drop(busy);
                        Ok::<_, Infallible>(answer)
                    }
                });
                // Whoever asks comes again in seconds: what was answered need not be kept from others.
                let mut builder = http1::Builder::new();
                let connection = builder.keep_alive(false).serve_connection(TokioIo::new(stream), service);
                if let Some(Err(error)) = attend(connection, &line, &LIMITS, &token, &token).await {
                    tracing::debug!(%error, "a probe's connection ended early");
                }
            });
        }
        drop(door);
        while connections.join_next().await.is_some() {}
    }
}

impl Readiness {
    /// From now on these are asked; before, the process is not ready.
    pub(super) fn ask(&self, asked: Asked) {
        // Nobody else sets it.
        let _ = self.asked.set(asked);
    }

    async fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        const JSON: &str = "application/json";
        const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
        let (status, kind, body) = match (method, path) {
            (&Method::GET | &Method::HEAD, "/livez") => (StatusCode::OK, TEXT, "ok\n".to_owned()),
            (&Method::GET | &Method::HEAD, "/readyz" | "/healthz" | "/health") => {
                let problems = self.problems().await;
                let (status, word) = match problems.is_empty() {
                    true => (StatusCode::OK, "ok"),
                    false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
                };
                let body = match self.metrics {
                    Some(_) => json!({ "status": word, "problems": problems }),
                    None => json!({ "status": word }),
                };
                (status, JSON, body.to_string())
            }
            (&Method::GET | &Method::HEAD, "/metrics") if let Some(metrics) = &self.metrics => {
                (StatusCode::OK, TEXT, metrics())
            }
            // Whoever is to serve people here is not there yet: that is no answer to what they asked.
            _ if self.metrics.is_none() => {
                (StatusCode::SERVICE_UNAVAILABLE, TEXT, "starting: try again in a moment\n".to_owned())
            }
            _ => (StatusCode::NOT_FOUND, TEXT, "expected /livez, /readyz or /metrics\n".to_owned()),
        };
        let mut answer = Response::new(Full::new(Bytes::from(body)));
        *answer.status_mut() = status;
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        answer
    }

    /// What keeps the process from doing its work, a line each.
    async fn problems(&self) -> Vec<String> {
        let mut problems = self.waits.now();
        let Some(Asked { log, archive, index, gateway, needs_no_other, problem }) = self.asked.get() else {
            if problems.is_empty() {
                problems.push("starting".to_owned());
            }
            return problems;
        };
        if *needs_no_other {
            problems.clear();
        }
        problems.extend(problem.map(str::to_owned));
        let log = async {
            match log {
                Some(log) => ask("capture log", log.health()).await,
                None => None,
            }
        };
        let archive = async {
            match archive {
                // Anything that reads will do; this is cheap however large the archive is.
                Some(archive) => ask("archive", archive.oldest_open_sequence()).await,
                None => None,
            }
        };
        let index = async {
            match index {
                Some(index) => ask("search index", index.health()).await,
                None => None,
            }
        };
        let asked: [Option<String>; 3] = tokio::join!(log, archive, index).into();
        problems.extend(asked.into_iter().flatten());
        let relay = gateway.as_ref().map(HealthHandle::snapshot);
        if relay.is_some_and(|relay| !relay.log_up && !relay.spool_up) {
            problems.push("neither the capture log nor the spool takes what is captured".to_owned());
        }
        problems
    }
}

/// What is wrong with what was asked, if anything.
async fn ask<T>(what: &str, answer: impl Future<Output = PortResult<T>>) -> Option<String> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("{what}: {error}")),
        Err(_) => Some(format!("{what}: no answer within {} s", PATIENCE.as_secs())),
    }
}

impl Service {
    /// A listener of its own for those who probe, which goes on until everything else has ended.
    pub(super) async fn add_probes(&mut self, address: SocketAddr, setting: &str) -> Result<Arc<Readiness>> {
        let probes = Probes::bind(address, setting, self.waits.clone(), Some(self.render_metrics())).await?;
        let readiness = Arc::clone(&probes.readiness);
        let address = format!("http://{}", probes.local_addr()?);
        self.probes.get_or_insert(address);
        self.roles.add_beneath("probes", &Handle::current(), |token| async move {
            probes.run(token).await;
            Ok(())
        });
        Ok(readiness)
    }

    /// The same for a relay, where that is configured.
    pub(super) async fn add_probes_of_gateway(&mut self, config: &Config, relaying: &Relaying) -> Result<()> {
        if let Some(address) = config.settings.gateway.admin_listen {
            let gateway = Some(relaying.health.clone());
            self.add_probes(address.0, "[gateway] admin_listen").await?.ask(Asked {
                gateway,
                needs_no_other: true,
                ..Asked::default()
            });
        }
        Ok(())
    }

    /// The same for a dashboard; it is not ready before the archive is there to be asked.
    pub(super) async fn add_probes_of_web(&mut self, config: &Config) -> Result<Option<Arc<Readiness>>> {
        match config.settings.web.admin_listen {
            Some(address) => Ok(Some(self.add_probes(address.0, "[web] admin_listen").await?)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use verbatim_core::ports::PortError;

    use super::*;

    fn readiness() -> Readiness {
        let metrics: RenderMetrics = Arc::new(|| "verbatim_one 1\n".to_owned());
        Readiness { waits: Waits::default(), metrics: Some(metrics), asked: OnceLock::new() }
    }

    async fn get(readiness: &Readiness, path: &str) -> (StatusCode, String) {
        let (head, body) = readiness.answer(&Method::GET, path).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_role_lives_before_it_is_ready_and_says_what_keeps_it() {
        let readiness = readiness();
        assert_eq!(get(&readiness, "/livez").await.0, StatusCode::OK);
        let starting = r#"{"problems":["starting"],"status":"unavailable"}"#;
        assert_eq!(get(&readiness, "/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, starting.to_owned()));
        readiness.ask(Asked::default());
        let ready = r#"{"problems":[],"status":"ok"}"#;
        assert_eq!(get(&readiness, "/readyz").await, (StatusCode::OK, ready.to_owned()));
        assert_eq!(get(&readiness, "/metrics").await, (StatusCode::OK, "verbatim_one 1\n".to_owned()));
        assert_eq!(get(&readiness, "/").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn who_does_its_work_while_something_else_is_waited_for_is_ready() {
        async fn readyz_while_nats_is_away(asked: Asked) -> (StatusCode, String) {
            let readiness = readiness();
            readiness.ask(asked);
            let mut tries = 0;
            let answered = readiness.waits.until("NATS", || {
                tries += 1;
                let (is_first, readiness) = (tries == 1, &readiness);
                async move {
                    match is_first {
                        true => Err(PortError::Transient("NATS is away".to_owned())),
                        false => Ok(get(readiness, "/readyz").await),
                    }
                }
            });
            answered.await.unwrap()
        }
        let (status, body) = readyz_while_nats_is_away(Asked::default()).await;
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && body.contains("NATS is away"), "{body}");
        let asked = Asked { needs_no_other: true, ..Asked::default() };
        assert_eq!(readyz_while_nats_is_away(asked).await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn where_anybody_may_ask_it_does_not_say_why() {
        let readiness = Readiness { metrics: None, ..readiness() };
        let (status, body) = get(&readiness, "/readyz").await;
        assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unavailable"}"#));
    }

    #[tokio::test]
    async fn who_asks_for_a_page_before_it_is_served_is_told_to_come_again_and_not_that_there_is_none() {
        let readiness = Readiness { metrics: None, ..readiness() };
        for path in ["/", "/metrics", "/api/v1/exchanges/0192d6f1-1111-7111-8111-111111111111"] {
            let (status, body) = get(&readiness, path).await;
            assert!(
                status == StatusCode::SERVICE_UNAVAILABLE && body.contains("try again"),
                "{status} {body}"
            );
        }
    }

    #[tokio::test]
    async fn each_answer_ends_its_connection() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let probes =
            Probes::bind("127.0.0.1:0".parse().unwrap(), "listen", Waits::default(), None).await.unwrap();
        let address = probes.local_addr().unwrap();
        let token = CancellationToken::new();
        let served = probes.run(token.clone());
        let asked = async {
            let mut answers = Vec::new();
            for _ in 0..2 {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
                let mut answer = String::new();
                timeout(LIMITS.keep_alive / 2, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
                answers.push(answer);
            }
            token.cancel();
            answers
        };
        let ((), answers) = tokio::join!(served, asked);
        assert!(answers.iter().all(|answer| answer.ends_with("ok\n")), "{answers:?}");
    }

    #[tokio::test]
    async fn what_never_gets_ready_says_why() {
        let readiness = readiness();
        readiness.ask(Asked { problem: Some("nothing to do"), ..Asked::default() });
        let (status, body) = get(&readiness, "/readyz").await;
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && body.contains("nothing to do"), "{body}");
    }
}
