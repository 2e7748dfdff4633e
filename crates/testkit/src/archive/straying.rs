//! Ids that do not tell when their exchange was made.

use verbatim_core::model::{Outcome, Rank};
use verbatim_core::ports::{ListRequest, Retention, StatsRequest};

use super::{DAY, MakeArchiveWorld, begun_at, commit, now, store, words_of};

/// So that it is found, and spoils no list and no sum.
pub async fn an_id_far_from_its_time_is_kept_aside(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let future = begun_at(now().plus(DAY * 30), 1).request("future").build();
    let torn = begun_at(now(), 2).with(|exchange| exchange.began_at = now().minus(DAY * 9)).build();
    let ancient = begun_at(now().minus(DAY * 365 * 40), 3).request("ancient").build();
    for record in [future, torn, ancient] {
        let id = record.exchange.id;
        store(&*archive, vec![record.clone()]).await;
        assert_eq!(words_of(&commit(&*archive, vec![record.clone()]).await), ["superseded"]);
        let (exchange, heads) = archive.get(id).await.unwrap().expect("it is found by its id");
        assert_eq!((exchange, heads), (record.exchange, record.heads));
        assert_eq!(archive.ranks(&[id]).await.unwrap(), [Some(Rank::Complete)]);
        for body in record.bodies {
            assert_eq!(archive.body(id, body.info.leg).await.unwrap(), Some(body));
        }
    }
    let page = archive.list(ListRequest { limit: 10, ..ListRequest::default() }).await.unwrap();
    assert!(page.exchanges.is_empty() && !page.more);
    let range = now().minus(DAY * 60)..now().plus(DAY * 60);
    let stats = archive.stats(StatsRequest { range, step: DAY, model: None, provider: None }).await.unwrap();
    assert_eq!(stats.totals.calls, 0);
    world.close().await;
}

/// The clock may be set between two records of an exchange, and the first of them may be among those kept aside or not.
pub async fn an_exchange_is_one_record_whatever_its_time_looks_like_later(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let now = now();
    let fits = |n, outcome| begun_at(now, n).with(|exchange| exchange.outcome = outcome).build();
    let strays = |n, outcome| {
        let mut record = fits(n, outcome);
        record.exchange.began_at = now.minus(DAY * 9);
        record
    };
    let checkpoints = vec![fits(1, Outcome::Running), strays(2, Outcome::Running)];
    store(&*archive, checkpoints).await;
    store(&*archive, vec![strays(1, Outcome::Completed), fits(2, Outcome::Completed)]).await;
    let together = vec![fits(3, Outcome::Running), strays(3, Outcome::Completed)];
    store(&*archive, together).await;
    for late in [fits(1, Outcome::Incomplete), strays(2, Outcome::Incomplete), strays(3, Outcome::Completed)]
    {
        assert_eq!(words_of(&commit(&*archive, vec![late.clone()]).await), ["superseded"]);
        let id = late.exchange.id;
        let (exchange, _) = archive.get(id).await.unwrap().expect("it is found by its id");
        assert_eq!(exchange.outcome, Outcome::Completed);
        assert_eq!(archive.ranks(&[id]).await.unwrap(), [Some(Rank::Complete)]);
    }
    // Those whose first record was no stray are listed and counted, once.
    let page = archive.list(ListRequest { limit: 10, ..ListRequest::default() }).await.unwrap();
    let listed: Vec<_> = page.exchanges.iter().map(|exchange| (exchange.id, exchange.outcome)).collect();
    let expected = [3, 1].map(|n| (fits(n, Outcome::Running).exchange.id, Outcome::Completed));
    assert_eq!(listed, expected);
    assert_eq!(archive.health().await.unwrap().exchanges, 2);
    world.close().await;
}

/// Strays, checkpoints and all, in steps of any length; and nothing that was deleted.
pub async fn walking_ids_meets_everything_that_is_kept_once(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    assert_eq!(archive.ids(None, 10).await.unwrap(), []);
    let now = now();
    let mut records: Vec<_> = (0..6).map(|n| begun_at(now.minus(DAY * n * 20), n).build()).collect();
    records.push(begun_at(now, 10).with(|exchange| exchange.outcome = Outcome::Running).build());
    records.push(begun_at(now.plus(DAY * 30), 11).request("future").build());
    records.push(begun_at(now, 12).with(|exchange| exchange.began_at = now.minus(DAY * 9)).build());
    let strays = 2;
    store(&*archive, records.clone()).await;
    let mut expected: Vec<_> = records.iter().map(|record| record.exchange.id).collect();
    expected.sort_unstable();
    let walk = async |limit| {
        let mut met = Vec::new();
        loop {
            let step = archive.ids(met.last().copied(), limit).await.unwrap();
            if step.is_empty() {
                return met;
            }
            assert!(step.len() <= limit);
            met.extend(step);
        }
    };
    for limit in [1, 2, 4, 100] {
        assert_eq!(walk(limit).await, expected, "in steps of {limit}");
    }
    let days = Retention { metadata_days: 30, ..Retention::default() };
    archive.enforce(days, now).await.unwrap();
    let kept = walk(3).await;
    assert_eq!(kept, expected[expected.len() - kept.len()..], "the oldest are gone");
    assert_eq!(kept.len(), 2 + 1 + strays, "those of the last 30 days, and what is not told by its id");
    world.close().await;
}
