//! Bodies that end with trailers (RFC 9110, section 6.5): those are the last of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use verbatim_core::model::Outcome;
use verbatim_core::ports::MessageKind;
use verbatim_gateway::{CaptureMode, GatewayConfig};
use verbatim_testkit::Fault;

use crate::support::{After, Connection, Rig, head, post};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";

/// A provider whose answers end with trailers.
struct Provider {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Relaxed);
                serving.spawn(serve(stream));
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    fn be_openai(&self, config: &mut GatewayConfig) {
        config.providers[0].base_url = format!("http://{}/v1", self.address).parse().unwrap();
    }
}

/// Answers call after call until the other side closes.
async fn serve(mut stream: TcpStream) {
    let mut buffer = Vec::new();
    loop {
        while !buffer.ends_with(CHAT.as_bytes()) {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        buffer.clear();
        stream.write_all(ANSWER).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_with_trailers_is_whole_and_its_connection_is_kept() {
    let provider = Provider::start().await;
    let rig = Rig::with(|config| provider.be_openai(config)).await;
    for calls in 1..=3 {
        let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
        assert_eq!((answer.after, answer.body.as_slice()), (After::Whole, b"hello".as_slice()));
        rig.records(calls).await;
    }
    for record in rig.records(3).await {
        assert_eq!(record.outcome(), Outcome::Completed);
        assert_eq!(record.end.legs[1].trailers[0].name, "x-sum");
    }
    assert_eq!(provider.connections.load(Relaxed), 1);
}

#[tokio::test]
async fn trailers_are_withheld_until_the_end_is_durable() {
    let provider = Provider::start().await;
    let rig = Rig::with(|config| {
        provider.be_openai(config);
        config.capture = CaptureMode::Required;
        config.timeouts.acknowledge = Duration::from_millis(200);
    })
    .await;
    let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    assert_eq!(answer.after, After::Whole);
    let record = crate::support::record_of(&rig.log.memory, answer.id());
    assert_eq!(record.expect("the record is there when the answer is").outcome(), Outcome::Completed);
    rig.log.faulty.set_for_messages(Fault::Fail, |message| message.kind == MessageKind::End);
    let answer = post(rig.address, "/v1/chat/completions", &[], CHAT.as_bytes()).await;
    assert_ne!(answer.after, After::Whole);
}

#[tokio::test]
async fn a_request_has_passed_with_its_trailers() {
    let rig = Rig::with(|config| config.timeouts.first_byte = Duration::from_millis(150)).await;
    let mut connection = Connection::open(rig.address).await;
    let headers = [("x-mock", "hang=head"), ("transfer-encoding", "chunked"), ("trailer", "x-sum")];
    let head = head("POST", "/v1/chat/completions", &headers, None);
    let chunk = format!("{:x}\r\n{CHAT}\r\n", CHAT.len());
    connection.send(head + &chunk + "0\r\nx-sum: 1\r\n\r\n").await;
    assert_eq!(connection.receive("POST").await.status, 504);
    let record = rig.record().await;
    assert_eq!(record.request, CHAT.as_bytes());
    assert!(record.end.error.unwrap().contains("(first_byte)"));
}
