//! How long pages and counts take over many records.

use std::sync::Arc;

use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::ports::{Archive, Clock, SystemClock};
use verbatim_testkit::measure;

use crate::system::directory_bytes;

pub(crate) async fn run(records: usize) -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in(".")?;
    let archive = SqliteArchive::open(directory.path(), Arc::new(SystemClock))?;
    let (now, records) = (SystemClock.now(), u32::try_from(records)?);
    measure::fill(&archive, now, records).await?;
    let entries = archive.health().await?.outbox;
    println!("{records} records, {} MB, {entries} outbox entries", directory_bytes(directory.path()) >> 20);
    measure::lists(&archive, now, records, |line| println!("{line}")).await?;
    Ok(())
}
