//! What the doctor says of engines.

use std::process::Output;

use crate::engines::Engines;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The line about one thing.
fn line<'a>(said: &'a str, state: &str, about: &str) -> &'a str {
    let is_it = |line: &&str| line.starts_with(state) && line.split_whitespace().nth(1) == Some(about);
    said.lines().find(is_it).unwrap_or_else(|| panic!("nothing of {about} that is {state}:\n{said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_looks_at_each_engine() {
    let engines = Engines::start_migrated().await;
    // It makes nothing itself: asked twice, it says the same.
    for _ in 0..2 {
        let told = said(&engines.output(&["doctor", "--data-dir", "data"]));
        let nats = line(&told, "ok", "NATS");
        assert!(nats.contains("stream CAP") && nats.contains("not there yet: the first gateway"), "{told}");
    }
    let gateway = engines.start_role("gateway", "gateway");
    let healthy = engines.output(&["doctor", "--data-dir", "data"]);
    let told = said(&healthy);
    assert!(healthy.status.success(), "{told}");
    assert!(line(&told, "ok", "NATS").contains("version 2."), "{told}");
    // The tests' server does not wait for its disk.
    let postgres = line(&told, "look", "PostgreSQL");
    assert!(["version", "schema up to date", "fsync"].iter().all(|text| postgres.contains(text)), "{told}");
    assert!(
        line(&told, "ok", "archive").contains("0 exchanges") && told.contains("for 0 B captured"),
        "{told}"
    );
    line(&told, "ok", "recorder");
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_to_do_about_an_engine_that_is_missing_or_not_migrated() {
    let mut engines = Engines::start().await;
    engines.nats.stop();
    engines.set("VERBATIM_MEILISEARCH__URL", "http://127.0.0.1:9");
    let ill = engines.output(&["doctor", "--data-dir", "data"]);
    let told = said(&ill);
    assert_eq!(ill.status.code(), Some(1), "{told}");
    assert!(line(&told, "FAIL", "NATS").contains("Check that nats-server runs"), "{told}");
    assert!(line(&told, "FAIL", "PostgreSQL").contains("verbatim migrate"), "{told}");
    assert!(line(&told, "FAIL", "Meilisearch").contains("http://127.0.0.1:9"), "{told}");
}
