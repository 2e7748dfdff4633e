//! What is kept of an agent's conversation.

use std::sync::Arc;

use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::ports::{Archive, Commit, SystemClock};
use verbatim_testkit::traffic::conversation;

use crate::system::directory_bytes;

pub(crate) async fn run(turns: usize) -> Result<(), Box<dyn std::error::Error>> {
    for conversations in [1, 20] {
        let directory = tempfile::tempdir_in(".")?;
        let archive = SqliteArchive::open(directory.path(), Arc::new(SystemClock))?;
        archive.close().await;
        let empty = directory_bytes(directory.path());
        let archive = SqliteArchive::open(directory.path(), Arc::new(SystemClock))?;
        let mut captured = 0;
        for seed in 0..conversations {
            for record in conversation(turns, seed) {
                captured += record.bodies.iter().map(|body| body.bytes.len() as u64).sum::<u64>();
                archive.commit(vec![Commit { record }]).await?;
            }
        }
        archive.close().await;
        let kept = directory_bytes(directory.path());
        println!("{conversations} conversations of {turns} turns");
        println!("captured bytes  {captured:12}");
        println!("kept bytes      {kept:12} ({empty} of them for empty files)");
        println!("captured/kept   {:12.1}", captured as f64 / kept as f64);
        println!("without empty   {:12.1}", captured as f64 / (kept - empty) as f64);
    }
    Ok(())
}
