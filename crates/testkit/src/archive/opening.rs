//! What was begun and is not archived.

use verbatim_core::model::{ExchangeId, Outcome};
use verbatim_core::ports::{Archive, OpenExchange};

use super::{MakeArchiveWorld, store};
use crate::ExchangeBuilder;

fn open(id: ExchangeId, sequence: u64) -> OpenExchange {
    OpenExchange { id, gateway: "gateway-1".to_owned(), sequence }
}

async fn all(archive: &dyn Archive) -> Vec<OpenExchange> {
    archive.open_exchanges(None, 100).await.unwrap()
}

/// A checkpoint does not close it; what was settled opens only when it is opened again, what is complete never.
pub async fn an_open_exchange_is_open_until_it_is_archived(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let (one, two) = (ExchangeId::mint(), ExchangeId::mint());
    let record = |id, outcome| ExchangeBuilder::new(id).with(|exchange| exchange.outcome = outcome).build();
    archive.open(&[open(one, 5), open(two, 9)], false).await.unwrap();
    assert_eq!(all(&*archive).await, [open(one, 5), open(two, 9)]);
    assert_eq!(archive.oldest_open_sequence().await.unwrap(), Some(5));
    store(&*archive, vec![record(one, Outcome::Running)]).await;
    assert_eq!(all(&*archive).await.len(), 2);
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    assert_eq!(archive.health().await.unwrap().open, 2);
    store(&*archive, vec![record(one, Outcome::Incomplete)]).await;
    assert_eq!(all(&*archive).await, [open(two, 9)]);
    assert_eq!(archive.oldest_open_sequence().await.unwrap(), Some(9));
    archive.open(&[open(one, 12)], false).await.unwrap();
    assert_eq!(all(&*archive).await, [open(one, 12), open(two, 9)]);
    store(&*archive, vec![record(two, Outcome::Completed), record(one, Outcome::Completed)]).await;
    assert_eq!(archive.oldest_open_sequence().await.unwrap(), None);
    archive.open(&[open(one, 5)], false).await.unwrap();
    archive.open(&[open(two, 5)], true).await.unwrap();
    assert_eq!(all(&*archive).await, []);
    let running = record(ExchangeId::mint(), Outcome::Running);
    let id = running.exchange.id;
    store(&*archive, vec![running]).await;
    archive.open(&[open(id, 3)], false).await.unwrap();
    assert_eq!(all(&*archive).await, [open(id, 3)]);
    world.close().await;
}

/// What only the log holds must not be purged.
pub async fn an_open_exchange_keeps_its_lower_sequence_unless_advanced(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let id = ExchangeId::mint();
    archive.open(&[open(id, 20)], false).await.unwrap();
    archive.open(&[open(id, 30)], false).await.unwrap();
    assert_eq!(all(&*archive).await, [open(id, 20)]);
    archive.open(&[open(id, 10)], false).await.unwrap();
    assert_eq!(all(&*archive).await, [open(id, 10)]);
    archive.open(&[open(id, 40)], true).await.unwrap();
    assert_eq!(all(&*archive).await, [open(id, 40)]);
    archive.open(&[open(id, u64::MAX >> 1)], true).await.unwrap();
    assert_eq!(archive.oldest_open_sequence().await.unwrap(), Some(u64::MAX >> 1));
    world.close().await;
}

/// It may be opened again.
pub async fn an_abandoned_exchange_is_open_no_more(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let (one, two) = (ExchangeId::mint(), ExchangeId::mint());
    archive.open(&[open(one, 5), open(two, 9)], false).await.unwrap();
    archive.abandon(&[one, ExchangeId::mint()]).await.unwrap();
    assert_eq!(all(&*archive).await, [open(two, 9)]);
    assert_eq!(archive.oldest_open_sequence().await.unwrap(), Some(9));
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    assert_eq!(archive.health().await.unwrap().open, 1);
    assert_eq!(archive.ranks(&[one]).await.unwrap(), [None]);
    archive.open(&[open(one, 7)], false).await.unwrap();
    assert_eq!(all(&*archive).await, [open(one, 7), open(two, 9)]);
    world.close().await;
}

/// Every one once.
pub async fn open_exchanges_are_listed_oldest_first_page_by_page(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let opened: Vec<_> = (0..25).map(|n| open(ExchangeId::mint(), 100 - n)).collect();
    archive.open(&opened.iter().rev().cloned().collect::<Vec<_>>(), false).await.unwrap();
    archive.open(&[], false).await.unwrap();
    let mut found: Vec<OpenExchange> = Vec::new();
    loop {
        let page = archive.open_exchanges(found.last().map(|open| open.id), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, opened);
    assert_eq!(archive.oldest_open_sequence().await.unwrap(), Some(76));
    world.close().await;
}
