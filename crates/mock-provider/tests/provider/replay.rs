//! Recorded traffic comes back as it was recorded.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use verbatim_mock_provider::{Config, MockProvider, StartError};

use crate::client::{call, soon};

async fn replaying(path: PathBuf) -> Result<MockProvider, StartError> {
    MockProvider::start(Config { replay: Some(path), ..Config::default() }).await
}

#[tokio::test]
async fn a_recording_is_served_with_its_status_headers_and_bytes() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let line = json!({
        "provider": "p", "api": "a", "method": "POST", "url_path": "/v1/x", "request_headers": {},
        "request_body": "{}", "status": 429, "wire": "decoded", "streaming": true, "features": [],
        "response_headers": {
            "content-type": "text/plain", "content-encoding": "gzip", "transfer-encoding": "chunked",
            "content-length": "5", "X-Kept": "yes",
        },
        "response_body": "aGVsbG8gaGVsbG8gaGVsbG8=",
    });
    writeln!(file, "{line}\n{line}").unwrap();
    let mock = replaying(file.path().to_owned()).await.unwrap();
    assert_eq!(mock.recordings().replayable().count(), 2);
    for (target, header) in [("/v1/x", "x-mock-replay: 2\r\n"), ("/v1/x?mock_replay=1", "")] {
        let received = call(&mock, "POST", target, header, b"{}").await;
        assert_eq!((received.status, received.text()), (429, "hello hello hello"));
        assert_eq!((received.header("x-kept"), received.header("content-encoding")), (Some("yes"), None));
        assert!(received.chunks.len() > 3);
    }
    assert_eq!(call(&mock, "POST", "/v1/x", "x-mock-replay: 3\r\n", b"{}").await.status, 404);
    mock.shutdown().await;
}

#[tokio::test]
async fn a_file_that_is_no_recording_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{{}}").unwrap();
    let error = replaying(file.path().to_owned()).await.err().unwrap().to_string();
    assert!(error.contains("line 1 is no recorded exchange"), "{error}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests are told where the recorded traffic is")]
async fn every_recorded_line_is_replayed_to_the_byte() {
    let fixtures = std::env::var_os("VERBATIM_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"),
        PathBuf::from,
    );
    let path = fixtures.join("traffic.jsonl");
    if !path.exists() {
        println!("skipped: there is no recorded traffic at {}", path.display());
        return;
    }
    let mock = replaying(path).await.unwrap();
    assert!(mock.recordings().replayable().count() > 200);
    for recording in mock.recordings().replayable() {
        let header = format!("x-mock-replay: {}\r\n", recording.line);
        let received =
            soon(call(&mock, &recording.method, &recording.target, &header, &recording.request_body)).await;
        assert_eq!(received.status, recording.status.as_u16());
        assert_eq!(received.body, recording.response_body, "line {}", recording.line);
        for (name, value) in recording.served_headers() {
            assert_eq!(received.header(name.as_str()), value.to_str().ok(), "line {}", recording.line);
        }
    }
    mock.shutdown().await;
}
