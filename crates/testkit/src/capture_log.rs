//! The contract of [`CaptureLog`], as tests that every adapter passes.
//!
//! An adapter's tests say how to make, open, close and kill a log of its own ([`LogWorld`]), and instantiate the suite:
//! `capture_log_contract!(make_world);` makes one test of each promise.
//! Nothing here assumes that sequences leave no gaps, nor that a delivery comes again sooner than it must.

mod appending;
mod consuming;
mod keeping;
mod model;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{
    CaptureLog, Consumer, Delivery, LogHealth, Message, MessageKind, PullLimit, Sequence,
};

pub use appending::*;
pub use consuming::*;
pub use keeping::*;
pub use model::*;
pub use reading::*;

/// Longer than any test takes: nothing is delivered again by itself.
pub const NEVER: Duration = Duration::from_secs(3600);
/// Short enough to wait for, long enough for a slow machine.
pub const SOON: Duration = Duration::from_millis(500);
/// What a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// One log's world: where it keeps what it keeps, across restarts. Each test has one of its own.
#[async_trait]
pub trait LogWorld: Send + Sync {
    /// Opens the log, with what was left of it. One at a time.
    async fn open(&self) -> Arc<dyn CaptureLog>;

    /// Closes the log that is open in order: nothing that was reported is lost, acknowledgements included.
    async fn close(&self);

    /// Ends the log that is open without its knowledge: what was reported durable is there at the next opening. Nobody
    /// else holds it any more.
    async fn kill(&self);

    /// Whether what a reader held comes again as soon as the log is opened anew. So it is where readers end with the
    /// log; where they are processes of their own, it comes again once its acknowledgement wait is over.
    fn comes_again_at_opening(&self) -> bool {
        true
    }

    /// Whether the log knows how many `end`s are pending, and not only about how many; that there are none, each knows.
    fn counts_exactly(&self) -> bool {
        true
    }

    /// Whether a purge behind the log's last message keeps that one, as the port allows.
    fn keeps_the_last(&self) -> bool {
        false
    }

    /// Bytes that the log may count for a message beside its payload, at most.
    fn overhead(&self) -> u64 {
        0
    }
}

/// Makes a `#[tokio::test]` of each promise of the capture log. The argument is a
/// [`MakeWorld`](crate::capture_log::MakeWorld).
#[macro_export]
macro_rules! capture_log_contract {
    ($world:expr) => {
        $crate::capture_log_contract!($world;
            appended_messages_are_read_back_as_they_were,
            sequences_are_positive_and_rise_in_the_order_given,
            large_payloads_come_back_whole,
            many_callers_append_at_once,
            what_was_reported_durable_survives_a_kill,
            sequences_rise_on_after_everything_was_purged_and_reopened,
            an_empty_append_is_no_message,
            ends_are_delivered_in_order_and_nothing_else,
            starts_are_delivered_to_the_watch_and_nothing_else,
            a_pull_keeps_to_its_limits_but_gives_one_message_at_least,
            an_empty_pull_waits_no_longer_than_told,
            a_waiting_pull_is_woken_by_an_append,
            two_pullers_never_hold_the_same_delivery,
            what_is_acknowledged_never_comes_again,
            what_is_not_acknowledged_comes_again_after_the_wait,
            progress_restarts_the_wait,
            what_is_handed_back_comes_again_soon,
            what_was_delivered_and_not_acknowledged_comes_again_after_reopening,
            acknowledgements_survive_an_orderly_close,
            unknown_sequences_are_ignored,
            the_consumers_do_not_disturb_each_other,
            reading_answers_in_the_order_asked_and_none_for_what_is_not_held,
            scanning_gives_one_gateways_messages_in_order,
            scanning_goes_on_page_by_page,
            the_floors_stand_below_what_is_not_acknowledged,
            the_floors_move_on_when_idle,
            floors_survive_reopening,
            what_is_purged_is_gone_and_nothing_else,
            purging_survives_a_kill,
            purging_lets_go_of_unread_messages,
            dead_letters_are_durable_and_counted_once,
            health_counts_what_is_kept_and_pending,
            a_gateway_is_alive_once_it_said_so,
            any_history_agrees_with_the_model,
        );
    };
    ($world:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::capture_log::$promise($world).await;
            }
        )+
    };
}

/// Makes a world for an acknowledgement wait.
pub type MakeWorld = fn(Duration) -> Box<dyn LogWorld>;

/// A world where what a reader held comes again after a restart, without waiting where the log can do without.
fn world_to_reopen(world: MakeWorld) -> Box<dyn LogWorld> {
    let patient = world(NEVER);
    if patient.comes_again_at_opening() { patient } else { world(SOON * 4) }
}

/// A message of one gateway's, for an exchange of its own.
pub fn message(kind: MessageKind, gateway: &str, payload: impl Into<Bytes>) -> Message {
    Message { kind, gateway: gateway.to_owned(), exchange: ExchangeId::mint(), payload: payload.into() }
}

fn start(text: &str) -> Message {
    message(MessageKind::Start, "gateway-1", text.to_owned())
}

fn part(text: &str) -> Message {
    message(MessageKind::Part, "gateway-1", text.to_owned())
}

fn end(text: &str) -> Message {
    message(MessageKind::End, "gateway-1", text.to_owned())
}

fn pull(messages: usize) -> PullLimit {
    PullLimit { messages, bytes: usize::MAX, wait: PATIENCE }
}

fn at_once(messages: usize) -> PullLimit {
    PullLimit { wait: Duration::ZERO, ..pull(messages) }
}

async fn append(log: &dyn CaptureLog, messages: Vec<Message>) -> Vec<Sequence> {
    let results = log.append(messages).await;
    results.into_iter().map(|result| result.expect("a log with room takes messages")).collect()
}

/// Pulls until so many came.
async fn pull_all(log: &dyn CaptureLog, consumer: Consumer, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        let more = log.next(consumer, pull(count - all.len())).await.expect("a pull works");
        assert!(!more.is_empty(), "{count} messages were to come, {} did", all.len());
        all.extend(more);
    }
    all
}

/// What a pull gives that does not wait: what is there must have been delivered before this is asked.
async fn nothing_more(log: &dyn CaptureLog, consumer: Consumer) {
    let more = log.next(consumer, at_once(100)).await.expect("a pull works");
    assert!(more.is_empty(), "nothing more was to come: {more:?}");
}

/// What the log counts, payloads being all that is said of bytes.
async fn health(world: &dyn LogWorld, log: &dyn CaptureLog, payload: u64) -> LogHealth {
    let health = log.health().await.expect("health can be asked for");
    let most = payload + health.messages * world.overhead();
    assert!((payload..=most).contains(&health.bytes), "{payload} to {most} bytes are kept: {health:?}");
    LogHealth { bytes: payload, max_bytes: None, ..health }
}

fn sequences(deliveries: &[Delivery]) -> Vec<Sequence> {
    deliveries.iter().map(|delivery| delivery.sequence).collect()
}

fn payloads(deliveries: &[Delivery]) -> Vec<&[u8]> {
    deliveries.iter().map(|delivery| &delivery.message.payload[..]).collect()
}
