//! What changes in the archive while documents are written.

use verbatim_core::model::{ExchangeRecord, Outcome};
use verbatim_core::ports::Deleted;

use crate::{World, record};

fn running(mut record: ExchangeRecord) -> ExchangeRecord {
    record.exchange.outcome = Outcome::Running;
    record
}

#[tokio::test]
async fn a_record_that_another_replaced_while_it_was_written_is_written_again() {
    let mut world = World::new();
    let ended = record("how it ended");
    let mut early = running(record("how it began"));
    early.exchange.id = ended.exchange.id;
    world.archive.add(early);
    // Whoever indexed the later one was faster.
    let archive = world.archive.clone();
    world.index.state().meanwhile = Some(Box::new(move || {
        archive.state().records.insert(ended.exchange.id, ended);
    }));
    world.start();
    world.until_settled().await;
    assert_eq!(world.asked(), ["how it ended"]);
    world.stop().await;
}

#[tokio::test]
async fn bodies_that_are_deleted_while_they_are_written_are_not_found() {
    let mut world = World::new();
    let record = record("nobody is to find this");
    let id = record.exchange.id;
    world.archive.add(record);
    let archive = world.archive.clone();
    world.index.state().meanwhile = Some(Box::new(move || {
        let mut state = archive.state();
        state.deleted.bodies += 1;
        state.records.get_mut(&id).expect("it is there").bodies.clear();
    }));
    world.start();
    world.until_settled().await;
    assert_eq!(world.asked(), [""]);
    world.stop().await;
}

#[tokio::test]
async fn records_that_are_deleted_while_they_are_written_are_forgotten() {
    let mut world = World::new();
    let old = record("old");
    let through = old.exchange.id;
    world.archive.add(old);
    world.archive.add(record("new"));
    let archive = world.archive.clone();
    world.index.state().meanwhile = Some(Box::new(move || {
        let mut state = archive.state();
        state.records.remove(&through);
        state.deleted = Deleted { records_through: Some(through), bodies: 0 };
    }));
    world.start();
    world.until_settled().await;
    assert_eq!(world.asked(), ["new"]);
    world.stop().await;
}

#[tokio::test]
async fn an_index_that_is_away_forgets_what_was_deleted_once_it_is_back() {
    let mut world = World::new();
    let old = [record("one"), record("two"), record("three")];
    let through = old[1].exchange.id;
    old.iter().for_each(|record| world.archive.add(record.clone()));
    world.start();
    world.until_settled().await;
    {
        let mut state = world.archive.state();
        state.records.retain(|id, _| *id > through);
        state.deleted.records_through = Some(through);
        state.ask_for(through);
        world.index.state().failing = 3;
    }
    world.ports.committed.notify_one();
    world.until_settled().await;
    assert_eq!(world.index.state().failing, 0);
    assert_eq!(world.asked(), ["three"]);
    world.stop().await;
}
