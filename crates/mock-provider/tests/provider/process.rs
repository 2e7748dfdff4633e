//! The mock as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tokio::net::TcpStream;
use verbatim_mock_provider::{Ending, Entry};

use crate::client::{Client, chat, soon};

/// Killed with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

async fn get(address: &str, target: &str) -> String {
    let mut client = Client::over(TcpStream::connect(address).await.unwrap());
    client.request("GET", target, "", b"").await;
    client.response().await.unwrap().text().to_owned()
}

#[tokio::test]
async fn it_says_where_it_listens_and_what_it_saw() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.jsonl");
    let child = Command::new(env!("CARGO_BIN_EXE_verbatim-mock-provider"))
        .args(["--defaults", "chunks=3", "--ledger"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut process = Process(child);
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap().to_owned();
    let mut client = Client::over(TcpStream::connect(&address).await.unwrap());
    client
        .request("POST", "/v1/chat/completions", "x-mock-id: one\r\n", chat("?", true).to_string().as_bytes())
        .await;
    assert_eq!(client.response().await.unwrap().chunks.len(), 6);
    let ended = async {
        while !get(&address, "/__mock/totals").await.contains("\"ended\":1") {
            tokio::task::yield_now().await;
        }
    };
    soon(ended).await;
    let entry: Entry = serde_json::from_str(&get(&address, "/__mock/ledger?from=0").await).unwrap();
    assert_eq!((entry.id.as_str(), entry.ending), ("one", Ending::Completed));
    let written = async {
        loop {
            if let Some(line) = std::fs::read_to_string(&path).unwrap().lines().next() {
                return serde_json::from_str::<Entry>(line).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(soon(written).await, entry);
}

#[test]
fn what_it_does_not_understand_it_refuses_to_start_with() {
    let output = Command::new(env!("CARGO_BIN_EXE_verbatim-mock-provider"))
        .args(["--defaults", "chunks=none"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("`chunks` expects a number"));
}
