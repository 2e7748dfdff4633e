//! What was asked of a consumer and is still to come. Sans-IO.
//!
//! At most two requests are open: one for what is there now, which ends soon, and one for the next message that comes.
//! That one is for a single message, so that a reader who gives up holds back no more than that from the others.
//!
//! JetStream could tell by itself that nothing more is there (`no_wait`); but it goes by a count of pending messages that
//! is wrong in nats-server 2.9 where a filter has a wildcard, and then gives nothing though much is there. And while as
//! much is out as may be, such a request would stay open for ever, and take from the others what nobody waits for.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

/// What is there comes within so long from a server that is well.
const SOON: Duration = Duration::from_millis(25);
/// Nothing more comes where nothing followed for so long. What does all the same is for the next who asks.
const QUIET: Duration = Duration::from_millis(4);
/// One message is waited for so long at a time: a server that forgets who waits holds nobody up for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// No more is asked for at once: a server gives a client up that leaves 64 MiB unread.
const MOST_BYTES: usize = 32 << 20;
/// How late the server may be to say that nothing came.
const LATE: Duration = Duration::from_secs(1);

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// What is there now.
    All,
    /// The next that comes.
    One,
}

/// A request to the server: what for, its number, and what it says.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) asked: Asked,
    pub(crate) number: u64,
    pub(crate) body: Value,
}

#[derive(Debug)]
struct Open {
    number: u64,
    left: usize,
    /// It counts as over then.
    until: Instant,
    came: bool,
}

/// One consumer's open requests.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    next: u64,
    /// For what is there now.
    all: Option<Open>,
    /// For the next that comes.
    one: Option<Open>,
    /// No message is larger than that, as far as is known.
    largest: usize,
    /// A request was not answered at all.
    silent: bool,
}

impl Pulls {
    /// Until when to wait for what is there now; `None` if it is all here.
    pub(crate) fn gathering(&mut self, now: Instant) -> Option<Instant> {
        let over = self.all.take_if(|open| open.until <= now);
        self.silent |= over.is_some_and(|over| !over.came);
        self.all.as_ref().map(|open| open.until)
    }

    /// Asks for what is there now.
    pub(crate) fn ask_all(
        &mut self,
        messages: usize,
        bytes: usize,
        largest: usize,
        now: Instant,
    ) -> Question {
        self.largest = self.largest.max(largest);
        let (number, most) = (self.number(), bytes.min(MOST_BYTES).max(self.largest));
        self.all = Some(Open { number, left: messages, until: now + SOON + LATE, came: false });
        Question { asked: Asked::All, number, body: body(messages, most, SOON) }
    }

    /// Until when to wait for the next message; `None` if nobody asked.
    pub(crate) fn waiting(&mut self, now: Instant) -> Option<Instant> {
        let over = self.one.take_if(|open| open.until <= now);
        self.silent |= over.is_some_and(|over| !over.came);
        self.one.as_ref().map(|open| open.until)
    }

    /// Asks for the next message, for so long at most.
    pub(crate) fn ask_one(&mut self, wait: Duration, now: Instant) -> Question {
        let (number, wait) = (self.number(), wait.clamp(Duration::from_millis(1), LONGEST_WAIT));
        self.one = Some(Open { number, left: 1, until: now + wait + LATE, came: false });
        Question { asked: Asked::One, number, body: body(1, self.largest, wait) }
    }

    /// A message came. It says what for, but not for which request.
    pub(crate) fn came(&mut self, asked: Asked, now: Instant) {
        let open = self.open(asked);
        if let Some(this) = open {
            this.left = this.left.saturating_sub(1);
            this.came = true;
            this.until = now + QUIET;
            if this.left == 0 {
                *open = None;
            }
        }
    }

    /// The server says that no more comes; `too_large`: because the next message is.
    pub(crate) fn over(&mut self, asked: Asked, number: u64, too_large: bool) {
        let over = self.open(asked).take_if(|open| open.number == number);
        if too_large && over.is_some_and(|over| !over.came) {
            self.largest = self.largest.saturating_mul(2);
        }
    }

    fn open(&mut self, asked: Asked) -> &mut Option<Open> {
        match asked {
            Asked::All => &mut self.all,
            Asked::One => &mut self.one,
        }
    }

    /// Whether a request was not answered at all since this was asked last: there may be nobody to answer.
    pub(crate) fn take_silent(&mut self) -> bool {
        std::mem::take(&mut self.silent)
    }

    /// Nothing that was asked is answered any more; true if anything was open.
    pub(crate) fn lost(&mut self) -> bool {
        let (all, one) = (self.all.take(), self.one.take());
        all.is_some() || one.is_some()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

fn body(messages: usize, bytes: usize, expires: Duration) -> Value {
    let expires = u64::try_from(expires.as_nanos()).unwrap_or(u64::MAX);
    json!({ "batch": messages, "max_bytes": bytes, "expires": expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_gathered_until_all_came_or_the_server_says_so_or_nothing_follows() {
        let (mut pulls, now) = (Pulls::default(), Instant::now());
        let first = pulls.ask_all(2, 10, 100, now).number;
        pulls.came(Asked::One, now);
        pulls.came(Asked::All, now);
        assert_eq!(pulls.gathering(now), Some(now + QUIET));
        pulls.came(Asked::All, now);
        assert_eq!(pulls.gathering(now), None);
        let second = pulls.ask_all(2, 10, 100, now).number;
        pulls.over(Asked::All, first, false);
        assert!(pulls.gathering(now).is_some());
        pulls.over(Asked::All, second, false);
        assert_eq!(pulls.gathering(now), None);
        pulls.ask_all(2, 10, 100, now);
        pulls.came(Asked::All, now);
        assert_eq!(pulls.gathering(now + QUIET), None);
        assert!(!pulls.take_silent());
        pulls.ask_all(2, 10, 100, now);
        assert_eq!(pulls.gathering(now + SOON + LATE), None);
        assert!(pulls.take_silent() && !pulls.take_silent(), "the server said nothing at all");
    }

    #[test]
    fn a_message_larger_than_thought_is_asked_for_with_more_room() {
        let (mut pulls, now) = (Pulls::default(), Instant::now());
        let question = pulls.ask_all(9, 10, 100, now);
        assert_eq!(question.body["max_bytes"], 100);
        pulls.over(Asked::All, question.number, true);
        let question = pulls.ask_all(9, 10, 100, now);
        assert_eq!(question.body["max_bytes"], 200);
        pulls.came(Asked::All, now);
        pulls.over(Asked::All, question.number, true);
        assert_eq!(pulls.ask_all(9, 10, 100, now).body["max_bytes"], 200, "it gave something");
    }

    #[test]
    fn one_is_waited_for_as_long_as_asked_and_the_wait_outlives_who_asked() {
        let (mut pulls, now) = (Pulls::default(), Instant::now());
        assert_eq!(pulls.waiting(now), None);
        let question = pulls.ask_one(Duration::from_millis(500), now);
        assert_eq!((&question.body["batch"], &question.body["expires"]), (&json!(1), &json!(500_000_000)));
        assert!(pulls.waiting(now + Duration::from_millis(500)).is_some());
        assert_eq!(pulls.waiting(now + Duration::from_secs(2)), None);
        let question = pulls.ask_one(Duration::MAX, now);
        assert_eq!(question.body["expires"], json!(5_000_000_000_u64));
        assert!(pulls.lost() && !pulls.lost());
    }
}
