//! Sums equal what counting the records gives.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use verbatim_core::model::{Exchange, ExchangeId, ExchangeRecord, Outcome, Provenance, Timestamp, Totals};
use verbatim_core::ports::{Archive, StatsRequest};

use super::{MakeArchiveWorld, begun_at, commit, now, store, various};

const MINUTE: Duration = Duration::from_secs(60);

fn counted<'a>(exchanges: impl Iterator<Item = &'a Exchange>) -> Totals {
    let mut totals = Totals::default();
    for exchange in exchanges.filter(|exchange| exchange.outcome != Outcome::Running) {
        totals.calls += 1;
        totals.completed += u64::from(exchange.outcome == Outcome::Completed);
        totals.duration_us += exchange.duration_us.unwrap_or(0);
        exchange.duration_us.into_iter().for_each(|us| totals.durations.record(us));
        exchange.first_token_us.into_iter().for_each(|us| totals.first_tokens.record(us));
        totals.input_tokens += exchange.usage.input_tokens.unwrap_or(0);
        totals.output_tokens += exchange.usage.output_tokens.unwrap_or(0);
        totals.cache_read_tokens += exchange.usage.cache_read_tokens.unwrap_or(0);
        totals.cost_micros += exchange.cost_micros.unwrap_or(0);
        totals.estimated += u64::from(exchange.usage.provenance == Some(Provenance::Estimated));
        totals.lost_bytes += exchange.lost_bytes;
    }
    totals
}

fn minute(time: Timestamp) -> Timestamp {
    Timestamp::from_unix_us(time.as_unix_us().div_euclid(60_000_000) * 60_000_000)
}

fn within(range: &Range<Timestamp>, exchange: &Exchange) -> bool {
    range.contains(&exchange.began_at)
}

fn exchanges(records: &[ExchangeRecord]) -> Vec<Exchange> {
    records.iter().map(|record| record.exchange.clone()).collect()
}

/// Over ranges and stretches of any length, of all or of one model or provider.
pub async fn sums_equal_what_counting_gives(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let end = now();
    let mut records = various(150, 9, end);
    records.extend(various(50, 10, end.minus(Duration::from_secs(3 * 86_400))));
    let all = exchanges(&records);
    for batch in records.chunks(33) {
        store(&*archive, batch.to_vec()).await;
    }
    let from = minute(end).minus(MINUTE * 171);
    for (start, length, step) in [
        (from, 171, 1),
        (from, 171, 7),
        (from, 100, 60),
        (from.minus(MINUTE * 5000), 5200, 60),
        (from.minus(MINUTE * 5000), 5200, 1440),
        (from.plus(MINUTE * 20), 1, 1),
    ] {
        let range = start..start.plus(MINUTE * length);
        let step = MINUTE * step;
        for (model, provider) in [(None, None), (Some("o3"), None), (Some("gpt-4o-2026"), Some("Anthropic"))]
        {
            let matching = |exchange: &&Exchange| {
                model.is_none_or(|model| exchange.model() == Some(model))
                    && provider.is_none_or(|provider| exchange.provider == provider)
            };
            let request = StatsRequest {
                range: range.clone(),
                step,
                model: model.map(str::to_owned),
                provider: provider.map(str::to_owned),
            };
            let stats = archive.stats(request).await.unwrap();
            let sum = counted(all.iter().filter(|exchange| within(&range, exchange)).filter(matching));
            assert_eq!(stats.totals, sum);
            let mut at = range.start;
            for bucket in &stats.buckets {
                assert_eq!(bucket.from, at);
                let stretch = at..at.plus(step).min(range.end);
                let sum = counted(all.iter().filter(|exchange| within(&stretch, exchange)).filter(matching));
                assert_eq!(bucket.totals, sum);
                at = stretch.end;
            }
            assert_eq!(at, range.end, "stretches cover the range, empty ones included");
        }
    }
    world.close().await;
}

async fn total(archive: &dyn Archive, around: Timestamp) -> Totals {
    let range = minute(around).minus(MINUTE * 300)..minute(around).plus(MINUTE * 300);
    let request = StatsRequest { range, step: MINUTE * 600, model: None, provider: None };
    archive.stats(request).await.unwrap().totals
}

/// A checkpoint counts for nothing, and a better record takes the place of a worse one.
pub async fn sums_count_an_upgraded_record_once(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let began = now();
    let step = |outcome, tokens, model: &str| {
        begun_at(began, 1)
            .with(|exchange| {
                exchange.outcome = outcome;
                exchange.usage.input_tokens = Some(tokens);
                exchange.model_served = Some(model.to_owned());
                exchange.duration_us = Some(tokens * 1000);
            })
            .build()
    };
    store(&*archive, vec![step(Outcome::Running, 5, "a")]).await;
    assert_eq!(total(&*archive, began).await, Totals::default());
    let incomplete = step(Outcome::Incomplete, 7, "a");
    store(&*archive, vec![incomplete.clone()]).await;
    assert_eq!(total(&*archive, began).await, counted([&incomplete.exchange].into_iter()));
    let complete = step(Outcome::Completed, 11, "b");
    store(&*archive, vec![complete.clone()]).await;
    commit(&*archive, vec![incomplete, complete.clone()]).await;
    assert_eq!(total(&*archive, began).await, counted([&complete.exchange].into_iter()));
    let models = archive.model_stats(minute(began)..minute(began).plus(MINUTE)).await.unwrap();
    assert_eq!(models.iter().map(|model| &*model.model).collect::<Vec<_>>(), ["b"]);
    world.close().await;
}

/// By model and provider.
pub async fn sums_of_models_come_most_calls_first(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let end = now();
    let mut records = various(100, 11, end);
    records.push(
        begun_at(end, 1000)
            .with(|exchange| (exchange.model_asked, exchange.model_served) = (None, None))
            .build(),
    );
    let all = exchanges(&records);
    store(&*archive, records).await;
    let range = minute(end).minus(MINUTE * 120)..minute(end).plus(MINUTE);
    let models = archive.model_stats(range.clone()).await.unwrap();
    assert!(models.is_sorted_by(|one, two| one.totals.calls >= two.totals.calls));
    let mut expected: BTreeMap<(String, String), Vec<&Exchange>> = BTreeMap::new();
    for exchange in
        all.iter().filter(|exchange| within(&range, exchange) && exchange.outcome != Outcome::Running)
    {
        let name = (exchange.model().unwrap_or_default().to_owned(), exchange.provider.clone());
        expected.entry(name).or_default().push(exchange);
    }
    assert_eq!(models.len(), expected.len());
    for model in models {
        let of_model = &expected[&(model.model, model.provider)];
        assert_eq!(model.totals, counted(of_model.iter().copied()));
    }
    world.close().await;
}

/// Nothing was called, nothing is summed.
pub async fn an_empty_range_has_empty_sums(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let at = minute(now());
    let request = |range, step| StatsRequest { range, step, model: None, provider: None };
    let stats = archive.stats(request(at..at.plus(MINUTE * 3), MINUTE)).await.unwrap();
    assert_eq!(stats.buckets.len(), 3);
    assert!(stats.buckets.iter().all(|bucket| bucket.totals == Totals::default()));
    assert_eq!(archive.stats(request(at..at, MINUTE)).await.unwrap().totals, Totals::default());
    assert!(archive.stats(request(at..at.plus(MINUTE), Duration::from_secs(1))).await.is_err());
    let for_ever = Timestamp::from_unix_us(i64::MIN)..Timestamp::from_unix_us(i64::MAX);
    assert!(archive.stats(request(for_ever.clone(), MINUTE)).await.is_err());
    let at_once = Duration::from_secs(i64::MAX.unsigned_abs() / 60 * 60);
    assert_eq!(archive.stats(request(for_ever.clone(), at_once)).await.unwrap().totals, Totals::default());
    assert!(archive.model_stats(for_ever).await.unwrap().is_empty());
    assert!(archive.get(ExchangeId::lowest_at(at)).await.unwrap().is_none());
    world.close().await;
}
