//! The contract of [`Archive`], as tests that every adapter passes.
//!
//! An adapter's tests say how to make, open, close and kill an archive of its own ([`ArchiveWorld`]), and instantiate
//! the suite: `archive_contract!(make_world);` makes one test of each promise.

mod bodies;
mod committing;
mod keeping;
mod listing;
mod opening;
mod outbox;
mod straying;
mod sums;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use verbatim_core::model::{Exchange, ExchangeId, ExchangeRecord, Outcome, Timestamp};
use verbatim_core::ports::{Archive, Clock, Commit, Committed, SystemClock};

pub use bodies::*;
pub use committing::*;
pub use keeping::*;
pub use listing::*;
pub use opening::*;
pub use outbox::*;
pub use straying::*;
pub use sums::*;

use crate::ExchangeBuilder;
use crate::traffic::Words;

/// One archive's world: where it keeps what it keeps, across restarts. Each test has one of its own.
#[async_trait]
pub trait ArchiveWorld: Send + Sync {
    /// Opens the archive, with what was left of it. One at a time.
    async fn open(&self) -> Arc<dyn Archive>;

    /// Closes the archive that is open in order.
    async fn close(&self);

    /// Ends the archive that is open without its knowledge: what was reported durable is there at the next opening.
    /// Nobody else holds it any more.
    async fn kill(&self);

    /// Opens a backup that the archive wrote.
    async fn open_backup(&self, directory: &Path) -> Arc<dyn Archive>;

    /// The tool that backs the archive up, where it does not do so itself.
    fn backup_tool(&self) -> Option<&'static str> {
        None
    }
}

/// Makes a world.
pub type MakeArchiveWorld = fn() -> Box<dyn ArchiveWorld>;

/// Makes a `#[tokio::test]` of each promise of the archive. The argument is a
/// [`MakeArchiveWorld`](crate::archive::MakeArchiveWorld).
#[macro_export]
macro_rules! archive_contract {
    ($world:expr) => {
        $crate::archive_contract!($world;
            a_record_reads_back_as_it_was_given,
            outcomes_come_in_the_order_of_the_batch,
            what_is_stored_survives_a_kill,
            an_empty_batch_is_no_work,
            a_higher_rank_replaces_a_lower_one_and_nothing_else_does,
            a_checkpoint_that_holds_more_replaces_one_that_holds_less,
            any_order_and_repetition_gives_the_same_result,
            many_committers_at_once_lose_nothing,
            a_record_that_can_never_be_stored_leaves_its_neighbours,
            odd_text_and_headers_are_kept,
            absurd_figures_are_taken,
            an_id_far_from_its_time_is_kept_aside,
            an_exchange_is_one_record_whatever_its_time_looks_like_later,
            walking_ids_meets_everything_that_is_kept_once,
            bodies_of_every_size_read_back,
            whole_records_are_read_together_within_a_bound,
            small_bodies_committed_together_read_back,
            a_leg_that_is_not_stored_is_none,
            a_timeline_reads_back,
            what_is_stored_of_a_body_with_losses_reads_back,
            a_conversation_reads_back,
            bodies_of_two_tenants_read_back,
            bodies_survive_a_kill,
            exchanges_are_listed_newest_first_page_by_page,
            a_page_can_be_asked_for_from_both_sides_and_by_number,
            every_filter_finds_what_it_says,
            counting_stops_at_its_limit,
            many_are_read_in_the_order_asked,
            sums_equal_what_counting_gives,
            sums_count_an_upgraded_record_once,
            sums_of_models_come_most_calls_first,
            an_empty_range_has_empty_sums,
            a_record_has_an_outbox_entry_until_it_is_settled,
            an_entry_is_handed_to_one_taker_until_released_or_restarted,
            a_replaced_record_gets_another_entry,
            what_is_set_aside_is_counted_and_not_handed_out,
            refilling_makes_an_entry_for_every_record,
            what_was_stored_before_anybody_took_entries_is_made_up_for,
            what_is_noted_gets_an_entry,
            records_that_lose_their_bodies_are_indexed_again,
            the_last_record_that_is_deleted_has_an_entry,
            an_open_exchange_is_open_until_it_is_archived,
            an_open_exchange_keeps_its_lower_sequence_unless_advanced,
            an_abandoned_exchange_is_open_no_more,
            open_exchanges_are_listed_oldest_first_page_by_page,
            nothing_is_deleted_that_nobody_asked_to_delete,
            old_bodies_go_and_records_stay,
            old_records_go_and_do_not_come_back,
            the_oldest_records_go_when_there_are_too_many,
            a_backup_taken_while_writing_is_whole,
            a_backup_does_not_go_over_anything,
            health_counts_what_is_there,
        );
    };
    ($world:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::archive::$promise($world).await;
            }
        )+
    };
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> Timestamp {
    SystemClock.now()
}

/// The id of the `n`th exchange that began in the millisecond of `time`.
fn id_at(time: Timestamp, n: u32) -> ExchangeId {
    let mut bytes = *ExchangeId::lowest_at(time).as_bytes();
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    ExchangeId::try_from(&bytes[..]).expect("a version 7 stays one")
}

/// A record that began then.
fn begun_at(time: Timestamp, n: u32) -> ExchangeBuilder {
    ExchangeBuilder::new(id_at(time, n)).with(|exchange| exchange.began_at = time)
}

/// Bytes that nothing makes smaller.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

async fn commit(archive: &dyn Archive, records: Vec<ExchangeRecord>) -> Vec<Committed> {
    let batch = records.into_iter().map(|record| Commit { record }).collect();
    archive.commit(batch).await.expect("an archive with room takes records")
}

async fn store(archive: &dyn Archive, records: Vec<ExchangeRecord>) {
    for committed in commit(archive, records).await {
        assert!(matches!(committed, Committed::Stored), "{committed:?}");
    }
}

async fn get(archive: &dyn Archive, id: ExchangeId) -> Option<Exchange> {
    archive.get(id).await.expect("an exchange is read").map(|(exchange, _)| exchange)
}

fn words_of(committed: &[Committed]) -> Vec<&'static str> {
    committed
        .iter()
        .map(|committed| match committed {
            Committed::Stored => "stored",
            Committed::Superseded => "superseded",
            Committed::Refused(_) => "refused",
        })
        .collect()
}

/// Exchanges that differ in all that is filtered and summed, begun within some hours before `end`.
fn various(count: u32, seed: u64, end: Timestamp) -> Vec<ExchangeRecord> {
    let mut words = Words::new(seed);
    (0..count).map(|n| one_of_various(&mut words, n, end)).collect()
}

fn one_of_various(words: &mut Words, n: u32, end: Timestamp) -> ExchangeRecord {
    let mut pick = |list: &[&str]| list[words.number(list.len() as u64) as usize].to_owned();
    let (model, provider) = (pick(&["gpt-4o", "claude-sonnet-4-5", "o3"]), pick(&["openai", "Anthropic"]));
    let (app, session) = (pick(&["app-1", "App-2", ""]), pick(&["s1", "s2", ""]));
    let (tag, path) = (pick(&["red", "blue", ""]), pick(&["/v1/chat/completions", "/v1/embeddings?x=1"]));
    let some = |text: String| (!text.is_empty()).then_some(text);
    let began = end.minus(Duration::from_secs(words.number(10_000)));
    let outcome = Outcome::ALL[words.number(Outcome::ALL.len() as u64) as usize];
    let status = [None, Some(200), Some(404), Some(529)][words.number(4) as usize];
    let (tokens, cost, duration) = (words.number(1000), words.number(100_000), words.number(90_000_000));
    let (streamed, has_tool, known) = (words.number(2) == 0, words.number(3) == 0, words.number(4) > 0);
    begun_at(began, n)
        .with(|exchange| {
            exchange.model_served = words_option(known, format!("{model}-2026"));
            exchange.model_asked = Some(model);
            exchange.provider = provider;
            exchange.caller.app = some(app);
            exchange.caller.project = words_option(streamed, "Project".to_owned());
            exchange.caller.key = words_option(known, "vk_1".to_owned());
            exchange.caller.owner = words_option(has_tool, "ann".to_owned());
            exchange.session = some(session);
            exchange.tags = some(tag).into_iter().collect();
            exchange.path = path;
            exchange.outcome = outcome;
            exchange.status = status;
            exchange.error = (status >= Some(404)).then(|| "upstream said: Overloaded 100%".to_owned());
            exchange.streamed = streamed;
            exchange.tools_called = words_option(has_tool, "read_file".to_owned()).into_iter().collect();
            exchange.duration_us = (outcome != Outcome::Running).then_some(duration);
            exchange.first_token_us = streamed.then_some(duration / 3);
            exchange.usage.input_tokens = known.then_some(tokens);
            exchange.usage.output_tokens = known.then_some(tokens * 2);
            exchange.usage.total_tokens = known.then_some(tokens * 3);
            exchange.usage.cache_read_tokens = has_tool.then_some(tokens / 2);
            exchange.usage.provenance = known.then_some(if streamed {
                verbatim_core::model::Provenance::Estimated
            } else {
                verbatim_core::model::Provenance::Provider
            });
            exchange.cost_micros = known.then_some(cost);
            exchange.lost_bytes = if has_tool { 7 } else { 0 };
        })
        .build()
}

fn words_option(is: bool, text: String) -> Option<String> {
    is.then_some(text)
}
