//! What an import makes of a data directory that has suffered.

use std::path::Path;

use verbatim_core::model::{ExchangeId, Integrity};
use verbatim_core::ports::{Archive, Clock, Retention, SystemClock};

use crate::support::complaint;
use crate::worlds::{DAY, Worlds, all_kinds, begun_at, noise, read};

/// Runs SQL on a file of the archive.
fn sql(path: &Path, sql: &str) {
    let file = verbatim_sqlite::open(path, &verbatim_sqlite::Options::default()).unwrap();
    file.execute_batch(sql).unwrap();
}

fn hex(id: ExchangeId) -> String {
    id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_read_is_told_and_the_rest_of_it_carried_over() {
    let worlds = Worlds::new().await;
    // Long before the others, and so in a file of blocks of its own.
    let then = SystemClock.now().minus(DAY * 90);
    let rotten = begun_at(then, 1).request("the question stays").response(noise(1, 3_000)).build();
    let headless = begun_at(then, 2).with(|exchange| exchange.session = Some("s".to_owned())).build();
    worlds.fill(&all_kinds()).await;
    worlds.fill(std::slice::from_ref(&rotten)).await;
    worlds.fill(std::slice::from_ref(&headless)).await;
    let archive = worlds.data_dir().join("archive");
    let oldest = std::fs::read_dir(&archive).unwrap().map(|entry| entry.unwrap().path());
    let oldest = oldest.filter(|path| path.extension().is_some_and(|end| end == "db"));
    let oldest = oldest.filter(|path| !path.ends_with("records.db")).min().unwrap();
    // A bit of the answer turns over, where it lies as it is.
    let block = "CAST(substr(data, 1, 1000) || x'00' || substr(data, 1002) AS BLOB)";
    sql(&oldest, &format!("UPDATE block SET data = {block}"));
    let detail = format!("SELECT detail FROM exchange WHERE id = x'{}'", hex(headless.exchange.id));
    sql(
        &archive.join("records.db"),
        &format!("UPDATE exchange_detail SET heads = x'01' WHERE number = ({detail})"),
    );

    let output = worlds.run().await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("12 are damaged"), "{said}{}", complaint(&output));
    for id in [rotten.exchange.id, headless.exchange.id] {
        assert!(complaint(&output).contains(&id.to_string()), "{id} is told in {}", complaint(&output));
    }
    let to = worlds.to().await;
    let found = read(&to, rotten.exchange.id).await;
    assert_eq!(found.exchange.integrity, Integrity::Damaged);
    assert_eq!(found.bodies, rotten.bodies[..1], "the question can still be read");
    assert_eq!(found.heads.legs, rotten.heads.legs);
    assert!(found.heads.notes.iter().any(|note| note.contains("damaged")), "{:?}", found.heads.notes);
    let found = read(&to, headless.exchange.id).await;
    assert_eq!(found.exchange.integrity, Integrity::Damaged);
    assert_eq!(found.exchange.session.as_deref(), Some("s"));
    assert_eq!(to.health().await.unwrap().exchanges, worlds.from().health().await.unwrap().exchanges);
    to.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_deleted_stays_deleted_and_is_no_damage() {
    let worlds = Worlds::new().await;
    let records = all_kinds();
    worlds.fill(&records).await;
    let from = worlds.from();
    let retention = Retention { bodies_days: 20, metadata_days: 45, ..Retention::default() };
    let erased = from.enforce(retention, SystemClock.now()).await.unwrap();
    assert!(erased.exchanges > 10 && erased.bodies > 10, "{erased:?}");
    let kept = from.ids(None, 1_000_000).await.unwrap();
    let damaged_before =
        async |id: &ExchangeId| read(&from, *id).await.exchange.integrity == Integrity::Damaged;
    let mut damaged = 0;
    for id in &kept {
        damaged += u64::from(damaged_before(id).await);
    }
    from.close().await;
    let said = worlds.import().await;
    assert!(said.contains(&format!("{} carried over", kept.len())), "{said}");
    assert!(said.contains(&format!("{damaged} are damaged")), "{said}");
    let (from, to) = (worlds.from(), worlds.to().await);
    assert_eq!(to.ids(None, 1_000_000).await.unwrap(), kept);
    for id in kept {
        assert_eq!(read(&to, id).await, read(&from, id).await, "{id}");
    }
    from.close().await;
    to.close().await;
}
