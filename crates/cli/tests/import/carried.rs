//! What an import carries over: all of it, once.

use verbatim_core::ports::Archive;

use crate::worlds::{Worlds, all_kinds};

#[tokio::test(flavor = "multi_thread")]
async fn every_record_and_leg_is_there_afterwards_and_a_second_time_changes_nothing() {
    let worlds = Worlds::new().await;
    let records = all_kinds();
    worlds.fill(&records).await;
    let said = worlds.import().await;
    let carried = format!("{} carried over", records.len());
    assert!(said.contains(&carried) && said.contains(", 0 were there already"), "{said}");
    assert!(said.contains("5 were under way") && said.contains("10 are damaged"), "{said}");
    worlds.assert_same().await;
    let health = worlds.to().await.health().await.unwrap();
    let from = worlds.from().health().await.unwrap();
    assert_eq!((health.exchanges, health.captured_bytes), (from.exchanges, from.captured_bytes));
    let (here, there) = (worlds.export(false).await, worlds.export(true).await);
    assert_eq!(here.split(|byte| *byte == b'\n').count() as u64, health.exchanges + 1);
    assert!(here == there, "an export of either is the same");

    let said = worlds.import().await;
    // Checkpoints are looked at again: they might hold more now.
    assert!(said.contains(" 0 carried over"), "{said}");
    assert!(said.contains(&format!("{} were there already", records.len())), "{said}");
    worlds.assert_same().await;
    assert_eq!(worlds.to().await.health().await.unwrap(), health);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_since_is_carried_over_and_what_was_completed_replaces_what_was_not() {
    let worlds = Worlds::new().await;
    let mut records = all_kinds();
    let later = records.split_off(60);
    worlds.fill(&records).await;
    worlds.import().await;
    worlds.fill(&later).await;
    let completed: Vec<_> = records
        .iter()
        .filter(|record| record.exchange.rank() < verbatim_core::model::Rank::Damaged)
        .map(|record| {
            let mut record = record.clone();
            record.exchange.outcome = verbatim_core::model::Outcome::Completed;
            record.exchange.duration_us = Some(77);
            record
        })
        .collect();
    assert!(!completed.is_empty());
    worlds.fill(&completed).await;
    let said = worlds.import().await;
    assert!(said.contains(&format!("{} carried over", later.len() + completed.len())), "{said}");
    worlds.assert_same().await;
}
