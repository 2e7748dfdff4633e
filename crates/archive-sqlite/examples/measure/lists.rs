//! How long pages take over many records.

pub(crate) async fn run(records: usize) -> Result<(), Box<dyn std::error::Error>> {
    let _ = records;
    Ok(())
}
