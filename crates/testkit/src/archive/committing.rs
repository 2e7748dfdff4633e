//! Which record stays, and that it stays as it was given.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use verbatim_core::model::{
    ChunkTime, Dialect, ExchangeId, ExchangeRecord, Headers, Integrity, Leg, LegInfo, MessageHead, Outcome,
    Provenance, ProviderDialect, Rank, RecordMode, Timeline, Usage,
};
use verbatim_core::ports::{Archive, Committed, ListRequest, StatsRequest};

use super::{DAY, MakeArchiveWorld, commit, get, id_at, noise, now, store, various, words_of};
use crate::ExchangeBuilder;
use crate::traffic::Words;

/// Every column filled, heads with all they can have.
fn full() -> ExchangeRecord {
    let timeline =
        Timeline { chunks: vec![ChunkTime { offset: 0, at_us: 5 }, ChunkTime { offset: 3, at_us: 9 }] };
    ExchangeBuilder::minted()
        .with(|exchange| {
            exchange.gateway = "gateway 1, ünïcode".to_owned();
            exchange.outcome = Outcome::ClientAborted;
            exchange.integrity = Integrity::Partial;
            exchange.record = RecordMode::Full;
            exchange.error = Some("the client left: \"bye\" 再见".to_owned());
            exchange.caller.app = Some("app".to_owned());
            exchange.caller.project = Some("project".to_owned());
            exchange.caller.key = Some("vk_1".to_owned());
            exchange.caller.owner = Some("ann".to_owned());
            exchange.caller.credential = Some("ab12".to_owned());
            exchange.caller.client_address = Some("::1".to_owned());
            exchange.provider_dialect = ProviderDialect::Anthropic;
            exchange.dialect = Dialect::Anthropic;
            exchange.provider_request_id = Some("req_1".to_owned());
            exchange.session = Some("s".to_owned());
            exchange.tags = vec!["red".to_owned(), "two words".to_owned()];
            exchange.trace_id = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
            exchange.streamed = true;
            exchange.finish_reason = Some("tool_use".to_owned());
            exchange.tools_called = vec!["read".to_owned(), "read".to_owned()];
            exchange.first_token_us = Some(7);
            exchange.usage = Usage {
                input_tokens: Some(1),
                output_tokens: Some(2),
                total_tokens: Some(3),
                cache_read_tokens: Some(4),
                cache_write_tokens: Some(0),
                reasoning_tokens: Some(6),
                provenance: Some(Provenance::Estimated),
                stated_cost_micros: Some(8),
            };
            exchange.cost_micros = Some(9);
            exchange.price_version = Some("2026-01".to_owned());
            exchange.asked_preview = "你好".to_owned();
            exchange.answered_preview = "hello\nthere".to_owned();
            exchange.lost_bytes = 11;
        })
        .with_heads(|heads| {
            heads.request.trailers.push("x-checksum", "1");
            heads.notes.push("a note".to_owned());
            heads.facts = BTreeMap::from([("close code".to_owned(), "1001".to_owned())]);
            heads.attempts[0].error = Some("reset".to_owned());
            heads.attempts[0].ended_us = None;
        })
        .request("{}")
        .body(Leg::ClientResponse, "abcdef", timeline)
        .build()
}

/// Columns, heads and bodies.
pub async fn a_record_reads_back_as_it_was_given(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let bare = ExchangeBuilder::minted()
        .with(|exchange| {
            exchange.status = None;
            exchange.model_asked = None;
            exchange.model_served = None;
            exchange.provider = String::new();
            exchange.duration_us = None;
            exchange.first_byte_us = None;
            exchange.relay_us = None;
            exchange.finish_reason = None;
            exchange.usage = Usage::default();
        })
        .with_heads(|heads| {
            heads.response = None;
            heads.attempts.clear();
        })
        .build();
    for record in [full(), bare] {
        let id = record.exchange.id;
        store(&*archive, vec![record.clone()]).await;
        let (exchange, heads) = archive.get(id).await.unwrap().expect("what was stored is there");
        assert_eq!(exchange, record.exchange);
        assert_eq!(heads, record.heads);
        for body in record.bodies {
            assert_eq!(archive.body(id, body.info.leg).await.unwrap(), Some(body));
        }
    }
    assert!(archive.get(ExchangeId::mint()).await.unwrap().is_none());
    world.close().await;
}

/// Whatever the order of ids in it.
pub async fn outcomes_come_in_the_order_of_the_batch(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let records: Vec<_> = (0..4).map(|_| ExchangeBuilder::minted().build()).collect();
    store(&*archive, vec![records[2].clone()]).await;
    let batch = [3, 2, 1, 0].map(|n: usize| records[n].clone()).to_vec();
    assert_eq!(words_of(&commit(&*archive, batch).await), ["stored", "superseded", "stored", "stored"]);
    let ids: Vec<_> =
        [0, 3].map(|n: usize| records[n].exchange.id).into_iter().chain([ExchangeId::mint()]).collect();
    assert_eq!(archive.ranks(&ids).await.unwrap(), [Some(Rank::Complete), Some(Rank::Complete), None]);
    world.close().await;
}

/// At once, without another word.
pub async fn what_is_stored_survives_a_kill(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    archive.keep_outbox().await.unwrap();
    let records = various(300, 1, now());
    let mut ids: Vec<_> = records.iter().map(|record| record.exchange.id).collect();
    store(&*archive, records).await;
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    let page = archive.list(ListRequest { limit: 1000, ..ListRequest::default() }).await.unwrap();
    ids.sort();
    ids.reverse();
    assert_eq!(page.exchanges.iter().map(|exchange| exchange.id).collect::<Vec<_>>(), ids);
    assert_eq!(archive.health().await.unwrap().outbox, 300);
    world.close().await;
}

/// Nothing to do is done.
pub async fn an_empty_batch_is_no_work(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    assert!(commit(&*archive, Vec::new()).await.is_empty());
    assert!(archive.ranks(&[]).await.unwrap().is_empty());
    world.close().await;
}

fn ranked(id: ExchangeId, outcome: Outcome, integrity: Integrity, text: &str) -> ExchangeRecord {
    let change = |exchange: &mut verbatim_core::model::Exchange| {
        exchange.outcome = outcome;
        exchange.integrity = integrity;
        exchange.answered_preview = text.to_owned();
    };
    ExchangeBuilder::new(id).with(change).response(text.to_owned()).build()
}

/// Running, incomplete, damaged, complete.
pub async fn a_higher_rank_replaces_a_lower_one_and_nothing_else_does(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let id = ExchangeId::mint();
    let steps = [
        (Outcome::Running, Integrity::Whole, Rank::Running),
        (Outcome::Incomplete, Integrity::Partial, Rank::Incomplete),
        (Outcome::Completed, Integrity::Damaged, Rank::Damaged),
        (Outcome::ClientAborted, Integrity::Whole, Rank::Complete),
    ];
    for (step, (outcome, integrity, rank)) in steps.into_iter().enumerate() {
        let record = ranked(id, outcome, integrity, &format!("step {step}"));
        store(&*archive, vec![record.clone()]).await;
        for (outcome, integrity, _) in &steps[..=step] {
            let other = ranked(id, *outcome, *integrity, "STEP ?");
            assert_eq!(words_of(&commit(&*archive, vec![other]).await), ["superseded"]);
        }
        assert_eq!(archive.ranks(&[id]).await.unwrap(), [Some(rank)]);
        assert_eq!(get(&*archive, id).await, Some(record.exchange));
        let body = archive.body(id, Leg::ClientResponse).await.unwrap().unwrap();
        assert_eq!(body, record.bodies[0]);
    }
    let page = archive.list(ListRequest { limit: 10, ..ListRequest::default() }).await.unwrap();
    assert_eq!(page.exchanges.len(), 1);
    world.close().await;
}

/// Or what an earlier checkpoint let the log forget would be lost.
pub async fn a_checkpoint_that_holds_more_replaces_one_that_holds_less(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let id = ExchangeId::mint();
    let checkpoint = |length| ranked(id, Outcome::Running, Integrity::Whole, &"x".repeat(length));
    store(&*archive, vec![checkpoint(10)]).await;
    store(&*archive, vec![checkpoint(20)]).await;
    let older = commit(&*archive, vec![checkpoint(15), checkpoint(20)]).await;
    assert_eq!(words_of(&older), ["superseded", "superseded"]);
    assert_eq!(archive.body(id, Leg::ClientResponse).await.unwrap().unwrap().bytes.len(), 20);
    // An answer's head may come long before its first byte.
    let unanswered = ExchangeId::mint();
    let checkpoint = |status| {
        let mut record = ranked(unanswered, Outcome::Running, Integrity::Whole, "x");
        record.exchange.status = status;
        record
    };
    store(&*archive, vec![checkpoint(None)]).await;
    store(&*archive, vec![checkpoint(Some(200))]).await;
    let older = commit(&*archive, vec![checkpoint(None), checkpoint(Some(200))]).await;
    assert_eq!(words_of(&older), ["superseded", "superseded"]);
    assert_eq!(get(&*archive, unanswered).await.unwrap().status, Some(200));
    world.close().await;
}

/// All that can be seen of an archive.
async fn everything(archive: &dyn Archive) -> String {
    let page = archive.list(ListRequest { limit: 1000, ..ListRequest::default() }).await.unwrap();
    let range = now().minus(DAY)..now().plus(DAY);
    let step = DAY / 24;
    let stats = archive.stats(StatsRequest { range, step, model: None, provider: None }).await.unwrap();
    let mut bodies = Vec::new();
    for exchange in &page.exchanges {
        let (_, heads) = archive.get(exchange.id).await.unwrap().unwrap();
        bodies.push((heads, archive.body(exchange.id, Leg::ClientResponse).await.unwrap()));
    }
    let health = archive.health().await.unwrap();
    format!("{page:?} {:?} {bodies:?} {} {}", stats.totals, health.exchanges, health.captured_bytes)
}

/// Records of every rank, committed shuffled and repeated, in batches of any size.
pub async fn any_order_and_repetition_gives_the_same_result(make: MakeArchiveWorld) {
    let mut words = Words::new(3);
    let mut history = Vec::new();
    for n in 0..12 {
        let id = id_at(now(), n);
        for (outcome, integrity) in [
            (Outcome::Running, Integrity::Whole),
            (Outcome::Running, Integrity::Whole),
            (Outcome::Incomplete, Integrity::Whole),
            (Outcome::TimedOut, Integrity::Damaged),
            (Outcome::Completed, Integrity::Whole),
        ] {
            if words.number(3) > 0 {
                let length = 1 + words.number(9_000) as usize;
                history.push(ranked(id, outcome, integrity, &words.text(length)));
            }
        }
    }
    let mut results = Vec::new();
    for round in 0..4 {
        let world = make();
        let archive = world.open().await;
        let mut left = history.clone();
        if round > 0 {
            left.extend(history.iter().filter(|_| words.number(2) == 0).cloned());
        }
        // Of two records of one rank the first stays: each rank has one here, but for checkpoints, which add up.
        while !left.is_empty() {
            let batch: Vec<_> = (0..1 + words.number(9))
                .filter_map(|_| {
                    let at = if round == 0 { 0 } else { words.number(left.len().max(1) as u64) as usize };
                    (at < left.len()).then(|| left.remove(at))
                })
                .collect();
            commit(&*archive, batch).await;
        }
        results.push(everything(&*archive).await);
        world.close().await;
    }
    for result in &results[1..] {
        assert_eq!(result, &results[0]);
    }
}

/// Of different exchanges and of the same.
pub async fn many_committers_at_once_lose_nothing(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let shared: Vec<_> = various(40, 8, now());
    let mut tasks = JoinSet::new();
    for committer in 0..8_u64 {
        let archive = Arc::clone(&archive);
        let shared = shared.clone();
        tasks.spawn(async move {
            let mut stored = 0;
            for chunk in shared.chunks(7) {
                let own = ExchangeBuilder::minted().request(noise(committer, 5000)).build();
                let batch = chunk.iter().cloned().chain([own]).collect();
                stored += words_of(&commit(&*archive, batch).await)
                    .iter()
                    .filter(|word| **word == "stored")
                    .count();
            }
            stored
        });
    }
    let stored: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(stored, 40 + 8 * 6);
    assert_eq!(archive.health().await.unwrap().exchanges, 40 + 8 * 6);
    world.close().await;
}

/// Bytes that do not match what is said of them can't be stored, ever.
pub async fn a_record_that_can_never_be_stored_leaves_its_neighbours(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let good = || ExchangeBuilder::minted().request("good").build();
    let mut wrong_hash = good();
    wrong_hash.bodies[0].info.stored_hash = Some([7; 32]);
    let mut wrong_length = good();
    wrong_length.bodies[0].info.stored = 5;
    let batch = vec![good(), wrong_hash.clone(), good(), wrong_length, good()];
    let committed = commit(&*archive, batch).await;
    assert_eq!(words_of(&committed), ["stored", "refused", "stored", "refused", "stored"]);
    assert!(
        matches!(&committed[1], Committed::Refused(why) if why.contains("client_request")),
        "{committed:?}"
    );
    assert!(get(&*archive, wrong_hash.exchange.id).await.is_none());
    world.close().await;
}

/// NUL becomes U+FFFD in columns, which not every database could hold; bytes stay bytes.
pub async fn odd_text_and_headers_are_kept(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let odd = "a\0b '\"; DROP TABLE exchange; -- \u{fffd}\u{10ffff}\u{202e}";
    let mut headers = Headers::default();
    headers.push("x-invalid", vec![0xff, 0xfe, 0, b'a']);
    headers.push("x-empty", "");
    headers.push("x-invalid", "again");
    let record = ExchangeBuilder::minted()
        .with(|exchange| {
            for text in [
                &mut exchange.error,
                &mut exchange.model_asked,
                &mut exchange.session,
                &mut exchange.caller.project,
                &mut exchange.caller.app,
                &mut exchange.finish_reason,
                &mut exchange.trace_id,
            ] {
                *text = Some(odd.to_owned());
            }
            for text in
                [&mut exchange.path, &mut exchange.method, &mut exchange.provider, &mut exchange.gateway]
            {
                *text = odd.to_owned();
            }
            exchange.asked_preview = odd.to_owned();
            exchange.tags = vec![odd.to_owned(), "second".to_owned()];
        })
        .with_heads(|heads| {
            heads.request = MessageHead { headers: headers.clone(), ..MessageHead::default() };
            heads.notes = vec![odd.to_owned()];
        })
        .body(Leg::ClientRequest, odd, Timeline::default())
        .build();
    store(&*archive, vec![record.clone()]).await;
    let (exchange, heads) = archive.get(record.exchange.id).await.unwrap().unwrap();
    let cleaned = odd.replace('\0', "\u{fffd}");
    assert_eq!(exchange.session.as_deref(), Some(&*cleaned));
    assert_eq!((&*exchange.path, &*exchange.asked_preview), (&*cleaned, &*cleaned));
    assert_eq!(exchange.tags, [cleaned, "second".to_owned()]);
    assert_eq!(heads.request.headers, headers);
    assert_eq!(heads.notes.len(), 1);
    let body = archive.body(record.exchange.id, Leg::ClientRequest).await.unwrap().unwrap();
    assert_eq!(body.bytes, odd);
    world.close().await;
}

/// A provider may say anything of its tokens.
pub async fn absurd_figures_are_taken(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let absurd = |status| {
        ExchangeBuilder::minted()
            .with(|exchange| {
                exchange.status = Some(status);
                exchange.usage.input_tokens = Some(u64::MAX);
                exchange.usage.output_tokens = Some(u64::MAX);
                exchange.usage.total_tokens = Some(u64::MAX);
                exchange.cost_micros = Some(u64::MAX);
                exchange.duration_us = Some(u64::MAX);
                exchange.lost_bytes = u64::MAX;
            })
            .build()
    };
    store(&*archive, [0, 999, u16::MAX].map(absurd).to_vec()).await;
    store(&*archive, [1, 2, 3].map(absurd).to_vec()).await;
    let range = now().minus(DAY)..now().plus(DAY);
    let stats = archive.stats(StatsRequest { range, step: DAY, model: None, provider: None }).await.unwrap();
    assert_eq!(stats.totals.calls, 6);
    world.close().await;
}

/// A description that `get` gives without the bytes.
pub(super) fn infos(record: &ExchangeRecord) -> Vec<LegInfo> {
    record.bodies.iter().map(|body| body.info.clone()).collect()
}
