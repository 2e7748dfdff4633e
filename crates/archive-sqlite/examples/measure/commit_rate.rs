//! How fast the archive takes records, and what it writes for them.

use std::sync::Arc;
use std::time::Instant;

use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::ports::{Archive, Commit, SystemClock};
use verbatim_testkit::traffic::{Words, call};

use crate::system::{cpu_seconds, directory_bytes, written_bytes};

pub(crate) async fn run(
    records: usize,
    batch: usize,
    bytes: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in(".")?;
    let archive = SqliteArchive::open(directory.path(), Arc::new(SystemClock))?;
    let mut words = Words::new(1);
    let (mut captured, mut seconds, mut cpu) = (0_u64, 0.0, 0.0);
    let wrote = written_bytes();
    for _ in 0..records.div_ceil(batch) {
        let commits: Vec<Commit> = (0..batch).map(|_| Commit { record: call(&mut words, bytes) }).collect();
        captured += commits
            .iter()
            .map(|commit| commit.record.exchange.request_bytes + commit.record.exchange.response_bytes)
            .sum::<u64>();
        let (began, used) = (Instant::now(), cpu_seconds());
        archive.commit(commits).await?;
        seconds += began.elapsed().as_secs_f64();
        cpu += cpu_seconds() - used;
    }
    archive.close().await;
    let total = (records.div_ceil(batch) * batch) as f64;
    let wrote = written_bytes() - wrote;
    let kept = directory_bytes(directory.path());
    println!("records {total}, batch {batch}, {bytes} B a body");
    println!("records/s            {:10.0}", total / seconds);
    println!("processor us/record  {:10.1}", cpu / total * 1e6);
    println!("written/captured     {:10.2}", wrote as f64 / captured as f64);
    println!("kept/captured        {:10.2}", kept as f64 / captured as f64);
    println!("kept bytes/record    {:10.0}", kept as f64 / total);
    Ok(())
}
