//! What was asked of a consumer and is still to come. Sans-IO.
//!
//! At most one request is open. It asks for what is there now or, where nothing is, for what comes first (`no_wait` with
//! an end), and ends with the wait of whoever asked, who hears how it ends: so nothing is held back from others once
//! nobody waits. Where the asker broke off, what still comes is for the next who asks.
//!
//! Never `no_wait` without an end: JetStream then goes by a count of pending messages that is wrong in nats-server 2.9
//! where a filter has a wildcard, and gives nothing though much is there; and while as much is out as may be, such a
//! request stays open for ever, and takes from others what nobody waits for.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// Whoever has something does not wait for more where nothing came for so long after the request,
const SOON: Duration = Duration::from_millis(25);
/// or for so long after the last message.
const QUIET: Duration = Duration::from_millis(4);
/// A request stays open for so long at least: a server that is busy must get to it before it is over.
const SHORTEST: Duration = Duration::from_millis(100);
/// And at most: a server that forgets who waits holds nobody up for longer.
const LONGEST: Duration = Duration::from_secs(5);
/// No more is asked for at once: a server gives a client up that leaves 64 MiB unread.
const MOST_BYTES: usize = 32 << 20;
/// How late the server may be to say that nothing came.
const LATE: Duration = Duration::from_secs(1);

/// A request to the server: its number, and what it says.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) number: u64,
    pub(crate) body: Value,
}

/// What a request is to bring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Until when it is waited for.
    pub(crate) until: Instant,
}

/// Why a request is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Nothing more is there, or came in time.
    Done,
    /// The next message is larger than the request allows.
    TooLarge,
    /// Others wait for more than is there by the server's count.
    Crowded,
}

#[derive(Debug)]
struct Open {
    number: u64,
    left: usize,
    /// It counts as over then.
    until: Instant,
    /// Whoever has something waits no longer than that.
    quiet: Instant,
    came: bool,
}

/// One consumer's request.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    next: u64,
    open: Option<Open>,
    /// No message is larger than that, as far as is known.
    largest: usize,
    /// The next request goes behind those of others.
    crowded: bool,
    /// A request was not answered at all.
    silent: bool,
}

impl Pulls {
    /// Until when something may still come, or more where something `is_here`; `None`: nothing is to be expected.
    pub(crate) fn expected(&mut self, is_here: bool, now: Instant) -> Option<Instant> {
        let over = self.open.take_if(|open| open.until <= now);
        self.silent |= over.is_some_and(|over| !over.came);
        let open = self.open.as_ref()?;
        Some(if is_here { open.quiet } else { open.until })
    }

    /// Asks for messages. `largest` is the largest that there can be, as far as is known.
    pub(crate) fn ask(&mut self, wanted: Wanted, largest: usize, now: Instant) -> Question {
        self.next += 1;
        self.largest = self.largest.max(largest);
        let expires = wanted.until.saturating_duration_since(now).clamp(SHORTEST, LONGEST);
        let is_crowded = std::mem::take(&mut self.crowded);
        // Among many who wait, each takes what comes next, one at a time.
        let messages = if is_crowded { 1 } else { wanted.messages };
        let (number, bytes) = (self.next, wanted.bytes.min(MOST_BYTES).max(self.largest));
        let (until, quiet) = (now + expires + LATE, now + SOON);
        self.open = Some(Open { number, left: messages, until, quiet, came: false });
        let expires = u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX);
        let mut body = json!({ "batch": messages, "max_bytes": bytes, "expires": expires });
        if !is_crowded {
            body["no_wait"] = json!(true);
        }
        Question { number, body }
    }

    /// A message came. It does not say for which request.
    pub(crate) fn came(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.left = open.left.saturating_sub(1);
            open.came = true;
            open.quiet = now + QUIET;
            if open.left == 0 {
                self.open = None;
            }
        }
    }

    /// The server says that no more comes.
    pub(crate) fn over(&mut self, number: u64, why: Over) {
        let Some(over) = self.open.take_if(|open| open.number == number) else { return };
        match why {
            Over::Done => {}
            Over::TooLarge if over.came => {}
            Over::TooLarge => self.largest = self.largest.saturating_mul(2),
            Over::Crowded => self.crowded = true,
        }
    }

    /// Whether a request was not answered at all since this was asked last: there may be nobody to answer.
    pub(crate) fn take_silent(&mut self) -> bool {
        std::mem::take(&mut self.silent)
    }

    /// Nothing that was asked is answered any more; true if anything was open.
    pub(crate) fn lost(&mut self) -> bool {
        self.open.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(messages: usize, wait: Duration, now: Instant) -> Wanted {
        Wanted { messages, bytes: 10, until: now + wait }
    }

    #[test]
    fn what_is_there_is_waited_for_until_all_came_or_the_server_says_so_or_nothing_follows() {
        let (mut pulls, now) = (Pulls::default(), Instant::now());
        assert_eq!(pulls.expected(false, now), None);
        let first = pulls.ask(wanted(2, Duration::ZERO, now), 100, now).number;
        assert_eq!(pulls.expected(true, now), Some(now + SOON));
        pulls.came(now);
        assert_eq!(pulls.expected(true, now), Some(now + QUIET));
        pulls.came(now);
        assert_eq!(pulls.expected(true, now), None);
        let second = pulls.ask(wanted(2, Duration::ZERO, now), 100, now).number;
        pulls.over(first, Over::Done);
        assert!(pulls.expected(false, now).is_some());
        pulls.over(second, Over::Done);
        assert_eq!(pulls.expected(false, now), None);
        assert!(!pulls.take_silent());
        pulls.ask(wanted(2, Duration::ZERO, now), 100, now);
        assert_eq!(pulls.expected(false, now + SHORTEST + LATE), None);
        assert!(pulls.take_silent() && !pulls.take_silent(), "the server said nothing at all");
    }

    #[test]
    fn every_request_has_an_end_and_a_bound() {
        let (mut pulls, now) = (Pulls::default(), Instant::now());
        for (wait, expires) in [(0, SHORTEST), (3, Duration::from_secs(3)), (600, LONGEST)] {
            let question = pulls.ask(wanted(9, Duration::from_secs(wait), now), 100, now);
            let expires = u64::try_from(expires.as_nanos()).unwrap();
            assert_eq!(
                question.body,
                json!({ "batch": 9, "max_bytes": 100, "expires": expires, "no_wait": true })
            );
        }
        assert!(pulls.lost() && !pulls.lost());
    }

    #[test]
    fn a_message_larger_than_thought_is_asked_for_with_more_room() {
        let (mut pulls, now) = (Pulls::default(), Instant::now());
        let mut ask = |over: Option<(Over, bool)>| {
            let question = pulls.ask(wanted(9, Duration::ZERO, now), 100, now);
            if let Some((over, came)) = over {
                (0..u8::from(came)).for_each(|_| pulls.came(now));
                pulls.over(question.number, over);
            }
            question.body["max_bytes"].clone()
        };
        assert_eq!(ask(Some((Over::TooLarge, false))), 100);
        assert_eq!(ask(Some((Over::TooLarge, true))), 200);
        assert_eq!(ask(None), 200, "it gave something");
    }

    #[test]
    fn among_others_who_wait_one_is_asked_for_behind_them() {
        let (mut pulls, now) = (Pulls::default(), Instant::now());
        let question = pulls.ask(wanted(9, Duration::ZERO, now), 100, now);
        pulls.over(question.number, Over::Crowded);
        let body = pulls.ask(wanted(9, Duration::ZERO, now), 100, now).body;
        assert!(body["batch"] == 1 && body["no_wait"].is_null(), "{body}");
        assert_eq!(pulls.ask(wanted(9, Duration::ZERO, now), 100, now).body["batch"], 9);
    }
}
