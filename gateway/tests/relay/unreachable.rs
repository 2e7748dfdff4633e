//! Providers that are not there: what was asked of them is recorded all the same.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use verbatim_core::model::{Leg, Outcome};
use verbatim_gateway::{BaseUrl, CaptureMode};

use crate::support::{Rig, post};

/// A provider's address where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/v1", listener.local_addr().unwrap())
}

#[tokio::test]
async fn what_was_asked_is_recorded_though_the_provider_could_not_be_reached() {
    for capture in [CaptureMode::BestEffort, CaptureMode::Required] {
        let rig = Rig::with(|config| {
            config.providers[0].base_url = BaseUrl::parse(&nobody()).unwrap();
            config.capture = capture;
        })
        .await;
        let text = "a".repeat(3_000_000);
        let asked = format!(r#"{{"model":"m-1","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let answer = post(rig.address, "/v1/chat/completions", &[], asked.as_bytes()).await;
        assert_eq!(answer.status, 502);
        let record = rig.record().await;
        assert_eq!(record.outcome(), Outcome::UpstreamAborted);
        assert_eq!(record.request, asked);
        let summary = record.leg(Leg::ClientRequest);
        assert_eq!((summary.length, summary.lost), (asked.len() as u64, 0));
        assert_eq!(record.leg(Leg::ClientResponse).length, answer.body.len() as u64);
    }
}

#[tokio::test]
async fn a_caller_that_sends_too_slowly_gets_its_answer_and_the_rest_is_declared_lost() {
    let rig = Rig::with(|config| config.providers[0].base_url = BaseUrl::parse(&nobody()).unwrap()).await;
    let mut caller = TcpStream::connect(rig.address).await.unwrap();
    let head =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n";
    caller.write_all(format!("{head}0123456789").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 502"), "{}", String::from_utf8_lossy(&answer));
    let record = rig.record().await;
    assert_eq!(record.request, "0123456789");
    let summary = record.leg(Leg::ClientRequest);
    assert_eq!((summary.length, summary.lost), (100, 90));
}
