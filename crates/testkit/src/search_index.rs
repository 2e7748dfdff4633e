//! The contract of [`SearchIndex`], as tests that every adapter passes.
//!
//! An adapter's tests say how to open and close an index of its own ([`SearchWorld`]), and instantiate the suite:
//! `search_index_contract!(make_world);` makes one test of each promise.
//! Nothing here assumes that a total is known, nor how much of a text a snippet shows.

mod filters;
mod keeping;
mod paging;
mod scripts;
mod text;

use std::sync::Arc;

use async_trait::async_trait;
use verbatim_core::model::query::{Query, parse};
use verbatim_core::model::{Exchange, ExchangeId, SearchDocument, Timestamp};
use verbatim_core::ports::{SearchIndex, SearchPage, SearchRequest, WriteOutcome};

use crate::ExchangeBuilder;

pub use filters::*;
pub use keeping::*;
pub use paging::*;
pub use scripts::*;
pub use text::*;

/// One index's world: where it keeps what it keeps, across restarts. Each test has one of its own, empty at first.
#[async_trait]
pub trait SearchWorld: Send + Sync {
    /// Opens the index, with what was left of it. One at a time.
    async fn open(&self) -> Arc<dyn SearchIndex>;

    /// Closes the index that is open.
    async fn close(&self);
}

/// Makes a world.
pub type MakeWorld = fn() -> Box<dyn SearchWorld>;

/// Makes a `#[tokio::test]` of each promise of the search index. The argument is a
/// [`MakeWorld`](crate::search_index::MakeWorld); a second one, behind `where`, tells whether there is what it needs: the
/// tests pass without it, and it is to say so.
#[macro_export]
macro_rules! search_index_contract {
    ($world:expr) => {
        $crate::search_index_contract!($world, where || true);
    };
    ($world:expr, where $given:expr) => {
        $crate::search_index_contract!($world, where $given;
            a_word_is_found_in_every_field,
            a_word_is_found_in_model_path_app_and_tags,
            case_and_diacritics_make_no_difference,
            all_words_must_be_there,
            a_phrase_stands_side_by_side,
            excluded_words_and_phrases_are_absent,
            identifiers_are_found_whole_and_by_their_pieces,
            a_word_still_being_typed_is_found_by_its_beginning,
            words_without_letters_are_passed_over,
            signs_of_any_query_language_are_only_text,
            snippets_mark_what_was_found,
            snippets_are_short_and_their_marks_valid,
            chinese_is_found_by_two_characters,
            japanese_is_found_by_two_characters,
            korean_is_found_by_two_characters,
            mixed_scripts_are_found_as_phrases,
            every_field_filters,
            excluding_keeps_what_is_not_known,
            values_of_filters_are_only_text,
            words_and_filters_hold_together,
            a_query_without_words_lists_what_filters_leave,
            hits_come_newest_first_whatever_the_order_of_writing,
            pages_follow_each_other_without_gaps_or_repeats,
            pages_may_be_numbered,
            a_total_is_exact_where_it_is_known,
            what_was_written_is_there_after_reopening,
            a_document_replaces_the_one_of_its_id,
            a_document_that_is_too_large_is_refused_alone,
            many_write_at_once,
            what_is_forgotten_is_gone_and_nothing_else,
            a_rebuild_answers_from_the_old_until_it_is_finished,
            a_rebuild_that_is_not_finished_changes_nothing,
            health_counts_documents,
        );
    };
    ($world:expr, where $given:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                if ($given)() {
                    $crate::search_index::$promise($world).await;
                }
            }
        )+
    };
}

/// The time that relative times in queries count from, and that the tests' exchanges began around.
const NOW: Timestamp = Timestamp::from_unix_ms(1_795_300_000_000);

/// The id of the `n`th exchange: one a second, before [`NOW`].
fn id(n: i64) -> ExchangeId {
    ExchangeId::lowest_at(Timestamp::from_unix_ms(NOW.as_unix_ms() - 10_000_000 + n * 1_000))
}

/// The document of the `n`th exchange.
fn document(n: i64, asked: &str, answered: &str) -> SearchDocument {
    ExchangeBuilder::new(id(n)).document(asked, answered)
}

/// The document of the `n`th exchange, with columns changed and no text.
fn with(n: i64, change: impl FnOnce(&mut Exchange)) -> SearchDocument {
    ExchangeBuilder::new(id(n)).with(change).document("", "")
}

fn query(text: &str) -> Query {
    parse(text, NOW).unwrap()
}

fn request(text: &str) -> SearchRequest {
    SearchRequest { query: query(text), before: None, skip: 0, limit: 100 }
}

async fn write(index: &dyn SearchIndex, documents: Vec<SearchDocument>) {
    let count = documents.len();
    let outcomes = index.write(documents).await.unwrap();
    assert_eq!(outcomes.len(), count);
    for outcome in outcomes {
        assert!(matches!(outcome, WriteOutcome::Indexed), "{outcome:?}");
    }
}

async fn search(index: &dyn SearchIndex, text: &str) -> SearchPage {
    index.search(request(text)).await.unwrap()
}

/// Which of the numbered exchanges a query finds, newest first.
async fn found(index: &dyn SearchIndex, text: &str) -> Vec<i64> {
    numbers(&search(index, text).await)
}

fn numbers(page: &SearchPage) -> Vec<i64> {
    page.hits.iter().map(|hit| (hit.id.time().as_unix_ms() - NOW.as_unix_ms() + 10_000_000) / 1_000).collect()
}

/// An index with these questions, numbered from 1.
async fn with_questions(index: &dyn SearchIndex, questions: &[&str]) {
    with_questions_from(index, 1, questions).await;
}

/// And with these, numbered from `first`.
async fn with_questions_from(index: &dyn SearchIndex, first: i64, questions: &[&str]) {
    let documents = questions.iter().zip(first..).map(|(asked, n)| document(n, asked, "")).collect();
    write(index, documents).await;
}
