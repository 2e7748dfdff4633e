//! Load, aborts, resets, kills: client, ledger and archive agree afterwards.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::calls::{Call, large, mixed};
use crate::client::{Seen, make_all};
use crate::relay::Relay;
use crate::stalls;
use crate::verdict::{Archived, Trial, Verdict, ends_pending, open_exchanges, read_archive};
use verbatim_mock_provider::{Config, Detail, LedgerOptions, MockProvider};

const CONNECTIONS: usize = 64;

struct Ground {
    mock: MockProvider,
    relay: Relay,
    _directory: tempfile::TempDir,
}

impl Ground {
    async fn new(capture: &str) -> Self {
        stalls::watch();
        let directory = tempfile::tempdir().unwrap();
        let ledger = LedgerOptions { detail: Detail::Bodies, ..LedgerOptions::default() };
        let mock = MockProvider::start(Config { ledger, ..Config::default() }).await.unwrap();
        let address = format!("http://{}", mock.address());
        let mut relay = Relay::new(directory.path(), &address, capture);
        relay.start().await;
        Self { mock, relay, _directory: directory }
    }

    /// Makes calls and kills the relay (and starts it again) each time a share of them is done.
    async fn run(&mut self, calls: Vec<Call>, connections: usize, kills: usize) -> (Vec<Seen>, Vec<Instant>) {
        let done = Arc::new(AtomicUsize::new(0));
        let total = calls.len();
        let gateway = self.relay.gateway();
        let load = make_all(&gateway, calls, connections, Arc::clone(&done));
        tokio::pin!(load);
        let mut killed = Vec::new();
        let mut started = Instant::now();
        let seen = loop {
            tokio::select! {
                seen = &mut load => break seen,
                () = tokio::time::sleep(Duration::from_millis(5)) => {
                    let due = total * (killed.len() + 1) / (kills + 1);
                    // A process that has relayed nothing yet would lose nothing.
                    let busy = started.elapsed() > Duration::from_millis(100);
                    if killed.len() < kills && busy && done.load(Ordering::Relaxed) >= due {
                        killed.push(self.relay.kill());
                        self.relay.start().await;
                        started = Instant::now();
                    }
                }
            }
        };
        assert_eq!(killed.len(), kills);
        (seen, killed)
    }

    /// Stops the relay once everything is archived or settled, and reads the archive.
    async fn archive(&mut self, calls: usize) -> HashMap<String, Vec<Archived>> {
        let began = Instant::now();
        loop {
            self.relay.stop().await;
            let archive = read_archive(&self.relay.data).await;
            // What an end in log or spool will still make whole is not judged yet.
            let open = open_exchanges(&self.relay.data).await + ends_pending(&self.relay.data).await;
            let patience = began.elapsed() < Duration::from_secs(60);
            if open == 0 && (archive.len() >= calls || began.elapsed() > Duration::from_secs(10)) || !patience
            {
                return archive;
            }
            self.relay.start().await;
            // Settling what a dead process left takes the watch's and the settler's next look.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}

fn report(name: &str, verdict: &Verdict) {
    eprintln!(
        "{name}: {} whole, {} less declared losses, {} cut, {} excused, {} late",
        verdict.whole, verdict.declared, verdict.cut, verdict.excused, verdict.late
    );
    assert!(
        verdict.faults.is_empty(),
        "{} faults:\n{}",
        verdict.faults.len(),
        verdict.faults[..verdict.faults.len().min(20)].join("\n")
    );
}

async fn trial(name: &str, capture: &str, calls: Vec<Call>, connections: usize, kills: usize) -> Verdict {
    let mut ground = Ground::new(capture).await;
    let count = calls.len();
    let (seen, killed) = ground.run(calls, connections, kills).await;
    for kill in &killed {
        let held_up = stalls::longest_before(*kill).as_millis();
        eprintln!("{name}: before a kill the machine held up everybody for {held_up} ms");
    }
    if let Some(peak) = ground.relay.peak_memory() {
        eprintln!("{name}: the relay's process took {} MiB at most", peak >> 20);
    }
    let archive = ground.archive(count).await;
    let verdict = Trial { kills: &killed, required: capture == "required" }.judge(
        &seen,
        ground.mock.ledger(),
        &archive,
    );
    report(name, &verdict);
    ground.mock.shutdown().await;
    verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_mixed_calls_agree_in_client_ledger_and_archive() {
    let calls = (0..2_000).map(|number| mixed("mixed", number)).collect();
    let verdict = trial("mixed", "best_effort", calls, CONNECTIONS, 0).await;
    assert_eq!(verdict.excused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn required_capture_survives_five_kills_with_nothing_missing() {
    let calls = (0..2_000).map(|number| mixed("required", number)).collect();
    let verdict = trial("required, killed", "required", calls, CONNECTIONS, 5).await;
    assert_eq!(verdict.excused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn best_effort_survives_five_kills_but_for_the_last_moments() {
    // More than the others: nothing holds these up, and five kills have to fall among them.
    let calls = (0..6_000).map(|number| mixed("effort", number)).collect();
    let verdict = trial("best effort, killed", "best_effort", calls, CONNECTIONS, 5).await;
    assert!(verdict.excused + verdict.late < verdict.whole, "more was lost than kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_bodies_of_20_mb_at_once_agree_with_required_capture() {
    let calls = (0..20).map(|number| large("required", number, 20_000_000)).collect();
    let verdict = trial("large, required", "required", calls, 20, 0).await;
    assert_eq!((verdict.whole, verdict.excused), (20, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_bodies_of_20_mb_at_once_agree_but_for_declared_losses() {
    // Behind a loss, JSON is masked: it may be the rest of a credential. These bytes are to be compared.
    let plain = |mut call: Call| {
        call.headers.push(("content-type", "application/octet-stream".to_owned()));
        call
    };
    let calls = (0..20).map(|number| plain(large("effort", number, 20_000_000))).collect();
    let verdict = trial("large, best effort", "best_effort", calls, 20, 0).await;
    assert_eq!((verdict.whole + verdict.declared, verdict.excused), (20, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn required_capture_of_large_bodies_survives_five_kills() {
    // Each kill cuts ten of them; between two, some pass.
    let calls = (0..120).map(|number| large("killed", number, 2_500_000)).collect();
    let verdict = trial("large, required, killed", "required", calls, 10, 5).await;
    assert_eq!(verdict.excused, 0);
}
