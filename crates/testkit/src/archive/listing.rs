//! Lists hold what matches, all of it, in order.

use std::time::Duration;
use verbatim_core::model::query::{Condition, Field, Filter, Pattern};
use verbatim_core::model::{Dialect, Exchange, ExchangeId, ExchangeRecord, Outcome};
use verbatim_core::ports::{Archive, ListRequest};

use super::{MakeArchiveWorld, now, store, various};

async fn archive_of(archive: &dyn Archive, records: Vec<ExchangeRecord>) -> Vec<Exchange> {
    let mut exchanges: Vec<_> = records.iter().map(|record| record.exchange.clone()).collect();
    store(archive, records).await;
    exchanges.sort_by_key(|exchange| std::cmp::Reverse(exchange.id));
    exchanges
}

fn ids(exchanges: &[Exchange]) -> Vec<ExchangeId> {
    exchanges.iter().map(|exchange| exchange.id).collect()
}

async fn all_pages(archive: &dyn Archive, filters: &[Filter], limit: usize) -> Vec<Exchange> {
    let mut all: Vec<Exchange> = Vec::new();
    loop {
        let before = all.last().map(|exchange| exchange.id);
        let filters = filters.to_vec();
        let request = ListRequest { filters, before, limit, ..ListRequest::default() };
        let page = archive.list(request).await.unwrap();
        assert!(page.exchanges.len() <= limit);
        assert!(!page.more || page.exchanges.len() == limit, "a page with more behind it is full");
        all.extend(page.exchanges);
        if !page.more {
            return all;
        }
    }
}

/// Every one once.
pub async fn exchanges_are_listed_newest_first_page_by_page(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let empty = archive.list(ListRequest { limit: 5, ..ListRequest::default() }).await.unwrap();
    assert!(empty.exchanges.is_empty() && !empty.more);
    let exchanges = archive_of(&*archive, various(53, 4, now())).await;
    for limit in [1, 7, 53, 100] {
        assert_eq!(all_pages(&*archive, &[], limit).await, exchanges);
    }
    world.close().await;
}

/// For polling, and for numbered pages.
pub async fn a_page_can_be_asked_for_from_both_sides_and_by_number(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let exchanges = archive_of(&*archive, various(40, 5, now())).await;
    let list = async |request: ListRequest| archive.list(request).await.unwrap();
    let (newer, older) = (exchanges[10].id, exchanges[20].id);
    let page =
        list(ListRequest { before: Some(newer), after: Some(older), limit: 50, ..ListRequest::default() })
            .await;
    assert_eq!(ids(&page.exchanges), ids(&exchanges[11..20]));
    assert!(!page.more);
    let page = list(ListRequest { skip: 20, limit: 20, ..ListRequest::default() }).await;
    assert_eq!((ids(&page.exchanges), page.more), (ids(&exchanges[20..]), false));
    let page = list(ListRequest { skip: 5, limit: 5, ..ListRequest::default() }).await;
    assert_eq!((ids(&page.exchanges), page.more), (ids(&exchanges[5..10]), true));
    let page = list(ListRequest { skip: 100, limit: 5, ..ListRequest::default() }).await;
    assert!(page.exchanges.is_empty() && !page.more);
    world.close().await;
}

fn conditions(some: &Exchange) -> Vec<(Field, Condition)> {
    let text = |texts: &[&str]| {
        let pattern = |text: &&str| Pattern { runs: text.split('*').map(str::to_owned).collect() };
        Condition::Matches(texts.iter().map(pattern).collect())
    };
    let number = |min, max| Condition::Number { min, max };
    let began = some.began_at;
    vec![
        (Field::Model, text(&["GPT-4o"])),
        (Field::Model, text(&["o3", "claude-sonnet-4-5-2026"])),
        (Field::Model, text(&["*-2026"])),
        (Field::Model, text(&["nothing"])),
        (Field::Provider, text(&["anthropic"])),
        (Field::App, text(&["app-2", "APP-1"])),
        (Field::App, text(&["app*"])),
        (Field::Project, text(&["project"])),
        (Field::Key, text(&["vk_1"])),
        (Field::Owner, text(&["a*"])),
        (Field::Session, text(&["s1"])),
        (Field::Session, text(&["s1", "s2"])),
        (Field::Tag, text(&["red"])),
        (Field::Tag, text(&["*u*"])),
        (Field::Method, text(&["post"])),
        (Field::Path, text(&["embed"])),
        (Field::Path, text(&["/v1*"])),
        (Field::Error, text(&["overloaded"])),
        (Field::Error, text(&["100%"])),
        (Field::Error, text(&["upstream*"])),
        (Field::Status, number(Some(400), None)),
        (Field::Status, number(Some(404), Some(404))),
        (Field::Status, number(None, Some(399))),
        (Field::Tokens, number(Some(600), None)),
        (Field::Cost, number(Some(10), Some(50_000))),
        (Field::Duration, number(Some(30_000_000), None)),
        (Field::Began, Condition::Time { from: Some(began), to: None }),
        (Field::Began, Condition::Time { from: None, to: Some(began) }),
        (
            Field::Began,
            Condition::Time { from: Some(began), to: Some(began.plus(Duration::from_secs(1000))) },
        ),
        (Field::Outcome, Condition::Outcomes(vec![Outcome::Completed])),
        (Field::Outcome, Condition::Outcomes(vec![Outcome::TimedOut, Outcome::Running])),
        (Field::Dialect, Condition::Dialects(vec![Dialect::OpenaiChat])),
        (Field::Dialect, Condition::Dialects(vec![Dialect::Gemini])),
        (Field::Stream, Condition::Is(true)),
        (Field::HasTool, Condition::Is(true)),
        (Field::HasTool, Condition::Is(false)),
        (Field::HasError, Condition::Is(true)),
        (Field::HasError, Condition::Is(false)),
        (Field::Id, Condition::Id(some.id)),
    ]
}

/// Alone, excluded, and two together: as [`Filter::holds`] says.
pub async fn every_filter_finds_what_it_says(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let exchanges = archive_of(&*archive, various(120, 6, now())).await;
    let single: Vec<Filter> = conditions(&exchanges[60])
        .into_iter()
        .flat_map(|(field, condition)| {
            [false, true].map(|excluded| Filter { field, condition: condition.clone(), excluded })
        })
        .collect();
    let mut sets: Vec<Vec<Filter>> = single.iter().map(|filter| vec![filter.clone()]).collect();
    for (at, filter) in single.iter().enumerate() {
        for other in single.iter().skip(at % 5).step_by(5) {
            sets.push(vec![filter.clone(), other.clone()]);
        }
    }
    for filters in sets {
        let expected: Vec<ExchangeId> = exchanges
            .iter()
            .filter(|exchange| filters.iter().all(|filter| filter.holds(exchange)))
            .map(|exchange| exchange.id)
            .collect();
        let found = all_pages(&*archive, &filters, 50).await;
        assert_eq!(ids(&found), expected, "{filters:?}");
        assert_eq!(archive.count(&filters, 1000).await.unwrap(), expected.len() as u64, "{filters:?}");
    }
    world.close().await;
}

/// Beyond it nobody cares how many.
pub async fn counting_stops_at_its_limit(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive_of(&*archive, various(40, 7, now())).await;
    assert_eq!(archive.count(&[], 1000).await.unwrap(), 40);
    assert_eq!(archive.count(&[], 10).await.unwrap(), 10);
    let post = Filter {
        field: Field::Method,
        condition: Condition::Matches(vec![Pattern { runs: vec!["POST".to_owned()] }]),
        excluded: false,
    };
    assert_eq!(archive.count(&[post], 10).await.unwrap(), 10);
    world.close().await;
}

/// And those that are not there are left out.
pub async fn many_are_read_in_the_order_asked(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let exchanges = archive_of(&*archive, various(10, 8, now())).await;
    let asked = [exchanges[7].id, ExchangeId::mint(), exchanges[2].id, exchanges[9].id];
    let found = archive.get_many(&asked).await.unwrap();
    assert_eq!(found, [exchanges[7].clone(), exchanges[2].clone(), exchanges[9].clone()]);
    world.close().await;
}
