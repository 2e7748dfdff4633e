//! Providers that speak HTTP/2. They agree on it over TLS alone, for which a test has no certificate: so it puts their
//! connection where the gateway keeps one that was agreed on.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use verbatim_core::model::{Outcome, ProviderDialect};
use verbatim_core::ports::{MessageKind, SystemClock};
use verbatim_proto::decode;
use verbatim_proto::v1::envelope::Message as Body;
use verbatim_testkit::{Fault, FaultyLog, MemoryLog};

use super::*;
use crate::config::{BaseUrl, Provider};
use crate::upstream::Origin;

const PATIENCE: Duration = Duration::from_secs(30);

/// Announces five bytes, and says only behind them that these were the last.
async fn hello(
    _: Request<Incoming>,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let body = StreamBody::new(stream::iter([Ok(Frame::data(Bytes::from_static(b"hello")))]));
    let answer = Response::builder().header("content-length", 5).body(body);
    Ok(answer.expect("a head without faults"))
}

struct Rig {
    memory: Arc<MemoryLog>,
    log: Arc<FaultyLog>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Rig {
    async fn start(capture: CaptureMode) -> Self {
        let mut tasks = JoinSet::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = format!("http://{}/v1", listener.local_addr().unwrap());
        tasks.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let server = http2::Builder::new(TokioExecutor::new());
            // Its end is the test's end.
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(hello)).await;
        });
        let memory = Arc::new(MemoryLog::new(PATIENCE));
        let log = Arc::new(FaultyLog::new(Arc::clone(&memory) as _));
        let mut config = GatewayConfig::new(([127, 0, 0, 1], 0).into(), "test-1", [7; 32]);
        let base = BaseUrl::parse(&provider).unwrap();
        config.providers = vec![Provider::new("openai", ProviderDialect::Openai, base)];
        config.capture = capture;
        config.timeouts.acknowledge = Duration::from_millis(200);
        let ports = Ports { log: Arc::clone(&log) as _, spool: None, clock: Arc::new(SystemClock) };
        let gateway = Gateway::bind(config, ports).await.unwrap();
        let uri: http::Uri = provider.parse().unwrap();
        let stream = TcpStream::connect(uri.authority().unwrap().as_str()).await.unwrap();
        let io = MaybeHttpsStream::Http(TokioIo::new(stream));
        gateway.relay.upstream.share(&Origin::of(&uri).unwrap(), io).await.unwrap();
        let address = gateway.local_addr();
        tasks.spawn(async move { gateway.run(CancellationToken::new()).await.unwrap() });
        Self { memory, log, address, _tasks: tasks }
    }

    /// What an HTTP/1.1 caller gets until the gateway closes.
    async fn call(&self, method: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    /// The outcomes in the log, once there are `count` of them.
    async fn outcomes(&self, count: usize) -> Vec<u32> {
        let recorded = async {
            loop {
                let ends: Vec<u32> = self.ends();
                if ends.len() >= count {
                    return ends;
                }
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        timeout(PATIENCE, recorded).await.unwrap()
    }

    fn ends(&self) -> Vec<u32> {
        let messages = self.memory.messages().into_iter();
        messages
            .filter_map(|(_, message)| match decode(message.payload).unwrap().message {
                Body::End(end) => Some(end.outcome),
                Body::Start(_) | Body::Part(_) => None,
            })
            .collect()
    }
}

#[tokio::test]
async fn an_answer_over_http_2_is_whole_with_its_announced_length() {
    let rig = Rig::start(CaptureMode::BestEffort).await;
    assert!(rig.call("GET").await.ends_with("\r\n\r\nhello"));
    assert!(rig.call("HEAD").await.ends_with("\r\n\r\n"));
    let completed = u32::from(Outcome::Completed.number());
    assert_eq!(rig.outcomes(2).await, [completed, completed]);
}

#[tokio::test]
async fn the_last_bytes_over_http_2_are_withheld_until_the_end_is_durable() {
    let rig = Rig::start(CaptureMode::Required).await;
    assert!(rig.call("GET").await.ends_with("\r\n\r\nhello"));
    assert_eq!(rig.ends().len(), 1, "the record is there when the answer is");
    rig.log.set_for_messages(Fault::Fail, |message| message.kind == MessageKind::End);
    let answer = rig.call("GET").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
}
