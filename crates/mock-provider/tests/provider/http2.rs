//! The same endpoints over HTTP/2 with prior knowledge.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use verbatim_mock_provider::{Digest, Ending};

use crate::client::{chat, mock, soon};

#[tokio::test]
async fn streams_complete_and_are_reset_one_by_one() {
    let mock = mock().await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let ask = |id: &str, directives: &str| {
        let request = http::Request::post(format!("{}/v1/chat/completions", mock.base_url()))
            .header("x-mock-id", id)
            .header("x-mock", directives)
            .body(Full::from(chat("What?", true).to_string()))
            .unwrap();
        client.request(request)
    };
    let whole = soon(ask("whole", "")).await.unwrap();
    assert_eq!(whole.version(), http::Version::HTTP_2);
    let body = soon(whole.into_body().collect()).await.unwrap().to_bytes();
    let entry = soon(mock.ledger().wait_for_id("whole")).await;
    assert_eq!((entry.ending, entry.response.blake3), (Ending::Completed, Digest::of(&body)));
    let cut = soon(ask("cut", "reset-after=2")).await.unwrap();
    assert!(soon(cut.into_body().collect()).await.is_err());
    assert_eq!(soon(mock.ledger().wait_for_id("cut")).await.ending, Ending::Reset);
    mock.shutdown().await;
}
