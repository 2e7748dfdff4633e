//! `verbatim export`: of a data directory at rest, and of one that an instance runs on.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::model::ExchangeRecord;
use verbatim_core::ports::{Archive, Commit, SystemClock};
use verbatim_mock_provider::{Config, MockProvider};
use verbatim_testkit::{ExchangeBuilder, peak_memory};

use crate::support::{Process, complaint, configure, output, place, read_all, verbatim, wait_for};

/// Makes calls, and waits until the archive and the index have them.
async fn calls(process: &Process, count: usize) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for n in 0..count {
        let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": format!("天气 {n}") }] });
        let url = format!("{}/v1/chat/completions", process.instance.gateway);
        let request = client.post(url).bearer_auth("sk-mine").header("content-type", "application/json");
        let request = request.header("x-verbatim-tags", if n.is_multiple_of(2) { "even" } else { "odd" });
        assert_eq!(request.body(body.to_string()).send().await.unwrap().status(), 200);
    }
    let url = format!("{}/api/v1/exchanges?q=%E5%A4%A9%E6%B0%94&limit=200", process.instance.web);
    let began = std::time::Instant::now();
    loop {
        let found: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
        if found["items"].as_array().is_some_and(|items| items.len() == count) {
            return;
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "not all calls are indexed: {found}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Exports to standard output.
fn exported(place: &Path, arguments: &[&str]) -> Vec<u8> {
    let line: Vec<&str> = ["export"].iter().chain(arguments).copied().collect();
    let output = output(place, &line);
    assert!(output.status.success(), "{line:?}: {}", complaint(&output));
    output.stdout
}

fn rows(bytes: Vec<u8>) -> i64 {
    SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap().metadata().file_metadata().num_rows()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_the_same_whether_an_instance_runs_or_not() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let process = Process::start(place.path(), &["up"]);
    calls(&process, 25).await;
    let place = place.path();
    let kinds: [&[&str]; 5] = [
        &[],
        &["--format", "csv", "--query", "tag:odd"],
        &["--query", "-tag:odd"],
        &["--query", "天气", "--include", "conversation"],
        &["--format", "parquet", "--query", "tag:odd"],
    ];
    let while_running = kinds.map(|kind| exported(place, kind));
    assert!(process.stop().success());
    mock.shutdown().await;
    let at_rest = kinds.map(|kind| exported(place, kind));
    assert!(while_running == at_rest);
    let [all, odd, even, said, columns] = at_rest;
    let lines = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().lines().count();
    assert_eq!((lines(&all), lines(&even), rows(columns)), (25, 13, 12));
    assert!(odd.starts_with(b"id,gateway,began_at,") && lines(&odd) > 12);
    let newest: Value = serde_json::from_slice(said.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(newest["conversation"]["messages"][0]["parts"][0]["text"], "天气 24");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_there_whole_or_not_at_all_and_what_is_wrong_is_told() {
    let place = place();
    let no_archive = output(place.path(), &["export"]);
    assert_eq!(no_archive.status.code(), Some(1));
    assert!(complaint(&no_archive).contains("has no archive to export"), "{}", complaint(&no_archive));
    fill(place.path(), &[ExchangeBuilder::minted().build()]).await;
    let to_file = |arguments: &[&str]| {
        let line: Vec<&str> = ["export", "-o", "out"].iter().chain(arguments).copied().collect();
        output(place.path(), &line)
    };
    let wrong_query = to_file(&["--query", "statsu:200"]);
    assert_eq!(wrong_query.status.code(), Some(1));
    assert!(complaint(&wrong_query).contains("statsu"), "{}", complaint(&wrong_query));
    let no_index = to_file(&["--query", "word"]);
    assert!(complaint(&no_index).contains("verbatim reindex"), "{}", complaint(&no_index));
    assert_eq!(to_file(&["--format", "xlsx"]).status.code(), Some(64));
    assert!(!place.path().join("out").exists());
    let done = to_file(&["--format", "parquet"]);
    assert!(done.status.success());
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 exchanges"), "{done:?}");
    assert_eq!(rows(fs::read(place.path().join("out")).unwrap()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_a_password_wants_it() {
    let place = place();
    let mut command = verbatim(place.path(), &["up"]);
    command.env("VERBATIM_WEB__PASSWORD", "open sesame");
    let process = Process::start_command(command, &place.path().join("verbatim-data"));
    let with = |password: &str| {
        let mut command = verbatim(place.path(), &["export"]);
        command.env("VERBATIM_WEB__PASSWORD", password);
        command.output().unwrap()
    };
    assert!(with("open sesame").status.success());
    for wrong in ["", "shut"] {
        let refused = with(wrong);
        assert_eq!(refused.status.code(), Some(1));
        assert!(complaint(&refused).contains("VERBATIM_WEB__PASSWORD"), "{}", complaint(&refused));
    }
    assert!(process.stop().success());
}

/// Fills the archive of the usual data directory.
async fn fill(place: &Path, records: &[ExchangeRecord]) {
    let directory = place.join("verbatim-data/archive");
    let archive = SqliteArchive::open(&directory, Arc::new(SystemClock)).unwrap();
    for batch in records.chunks(200) {
        archive.commit(batch.iter().map(|record| Commit { record: record.clone() }).collect()).await.unwrap();
    }
    archive.close().await;
}

/// What an export may take in memory; what it writes is more.
const MEMORY_MIB: u64 = 128;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_memory_does_not_grow_with_the_file() {
    let place = place();
    let path = |n: u32| {
        let mut noise = vec![0; 15_000];
        blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut noise);
        noise.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    for part in 0..6 {
        let long = |n: u32| ExchangeBuilder::minted().with(|exchange| exchange.path = path(n)).build();
        let records: Vec<_> = (part * 1_000..(part + 1) * 1_000).map(long).collect();
        fill(place.path(), &records).await;
    }
    for format in ["jsonl", "csv", "parquet"] {
        let mut command = verbatim(place.path(), &["export", "--format", format, "-o", "out"]);
        let mut exporting = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut peak = 0;
        let status = wait_for("the export to end", || {
            peak = peak.max(peak_memory(exporting.id()).unwrap_or(0) >> 20);
            exporting.try_wait().unwrap()
        });
        let said = read_all(exporting.stdout.take().unwrap());
        assert!(status.success() && said.contains("6,000 exchanges"), "{format}: {said}");
        let size = fs::metadata(place.path().join("out")).unwrap().len() >> 20;
        assert!(peak > 0 && peak < MEMORY_MIB, "{format}: {peak} MiB for a file of {size} MiB");
        if format == "parquet" {
            assert_eq!(rows(fs::read(place.path().join("out")).unwrap()), 6_000);
        } else {
            assert!(size > MEMORY_MIB, "{size} MiB");
        }
    }
}
