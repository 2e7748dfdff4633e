//! One gateway's messages, in order.
//!
//! The first few are asked for one by one at the stream's leader. Where there are more, they come through an ephemeral
//! consumer, some twenty times as fast, which serves the pages that follow, too. Either way only the leader says that
//! there are no more: a consumer can't.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};
use verbatim_core::ports::{Message, PortError, PortResult, Sequence};

use crate::requests::Requests;
use crate::setup::CAPTURE;
use crate::{ack_subject, raw, wire};

/// So many messages are asked for one by one.
const FEW: usize = 8;
/// So many are asked of a consumer at once, and so many bytes.
const AHEAD: usize = 1024;
const AHEAD_BYTES: usize = 8 << 20;
/// Where nothing came for so long, the leader is asked whether there is more.
const QUIET: Duration = Duration::from_millis(20);
/// A consumer goes away when it was not asked for so long.
const IDLE: Duration = Duration::from_secs(30);
/// For so long nothing is asked of a consumer after the connection broke while one delivered.
const CAREFUL: Duration = Duration::from_secs(300);
/// How long a consumer may take to answer one request.
const PULL: Duration = Duration::from_secs(5);

/// Reads one gateway's messages.
pub(crate) struct Scanner {
    requests: Requests,
    answer_within: Duration,
    /// Where the last scan stopped.
    cursor: Mutex<Option<Cursor>>,
    /// Until then no consumer delivers: the connection broke while one did, and what is there may be what broke it.
    careful: Mutex<Option<Instant>>,
}

/// One page.
struct Page {
    to: Sequence,
    limit: usize,
    bytes: usize,
    found: Vec<(Sequence, Message)>,
    total: usize,
}

/// What stands at one place; `None` if it is none of ours.
struct Entry {
    sequence: Sequence,
    bytes: usize,
    message: Option<Message>,
}

enum Offered {
    Taken,
    Full,
    Beyond,
}

impl Page {
    fn offer(&mut self, entry: &mut Entry) -> Offered {
        if entry.sequence > self.to {
            return Offered::Beyond;
        }
        let fits = self.found.is_empty()
            || (self.found.len() < self.limit && self.total.saturating_add(entry.bytes) <= self.bytes);
        if !fits {
            return Offered::Full;
        }
        if let Some(message) = entry.message.take() {
            self.total += entry.bytes;
            self.found.push((entry.sequence, message));
        }
        Offered::Taken
    }

    fn is_full(&self) -> bool {
        self.found.len() >= self.limit.max(1)
    }
}

impl Scanner {
    pub(crate) fn new(requests: Requests, answer_within: Duration) -> Self {
        Self { requests, answer_within, cursor: Mutex::default(), careful: Mutex::default() }
    }

    /// See the port. What is none of ours is left out.
    pub(crate) async fn scan(
        &self,
        gateway: &str,
        from: Sequence,
        to: Sequence,
        limit: usize,
        bytes: usize,
    ) -> PortResult<Vec<(Sequence, Message)>> {
        // Nothing was ever written for a gateway whose name is too long.
        let Some(token) = wire::gateway_token(gateway).filter(|_| from <= to) else { return Ok(Vec::new()) };
        let subject = format!("cap.*.{token}.*");
        let mut page = Page { to, limit, bytes, found: Vec::new(), total: 0 };
        let connection = self.requests.connection();
        let is_careful = self.careful().is_some_and(|until| Instant::now() < until);
        let few = if is_careful { usize::MAX } else { FEW };
        let scanned = self.fill(&mut page, &subject, from.max(1), few).await;
        if scanned.is_err() && (!self.requests.is_connected() || self.requests.connection() != connection) {
            *self.careful() = Some(Instant::now() + CAREFUL);
        }
        scanned.map(|()| page.found)
    }

    fn careful(&self) -> MutexGuard<'_, Option<Instant>> {
        self.careful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fill(&self, page: &mut Page, subject: &str, from: Sequence, few: usize) -> PortResult<()> {
        let mut from = from;
        let mut cursor = self.take(subject, from);
        if cursor.is_none() {
            for _ in 0..few {
                let Some(mut next) = self.following(subject, from).await? else { return Ok(()) };
                match page.offer(&mut next) {
                    Offered::Taken => from = next.sequence + 1,
                    Offered::Full | Offered::Beyond => return Ok(()),
                }
                if page.is_full() {
                    return Ok(());
                }
            }
            cursor = Some(Cursor::open(&self.requests, subject, from, self.answer_within).await?);
        }
        let Some(mut cursor) = cursor else { return Ok(()) };
        let give_up = Instant::now() + self.answer_within;
        loop {
            while let Some(next) = cursor.came.front_mut() {
                match page.offer(next) {
                    Offered::Taken => {
                        cursor.next = next.sequence + 1;
                        cursor.came.pop_front();
                    }
                    Offered::Full => return self.put(cursor),
                    Offered::Beyond => return cursor.close(&self.requests, self.answer_within).await,
                }
            }
            if page.is_full() {
                return self.put(cursor);
            }
            if !cursor.more(&self.requests, self.answer_within).await? {
                match self.following(subject, cursor.next).await? {
                    Some(next) if next.sequence <= page.to && Instant::now() < give_up => {}
                    // What is here stands at the right places: the rest is for the next who asks.
                    Some(next) if next.sequence <= page.to && !page.found.is_empty() => return Ok(()),
                    Some(next) if next.sequence <= page.to => {
                        return Err(PortError::transient("scanning the stream", "nothing came in time"));
                    }
                    _ => return cursor.close(&self.requests, self.answer_within).await,
                }
            }
        }
    }

    /// The first message at or behind a place, as the leader has it.
    async fn following(&self, subject: &str, from: Sequence) -> PortResult<Option<Entry>> {
        let question = json!({ "seq": from, "next_by_subj": subject });
        let found = raw::get(&self.requests, &question, self.answer_within).await?;
        Ok(found.map(|found| Entry {
            sequence: found.sequence,
            bytes: found.payload.len(),
            message: found.message().ok(),
        }))
    }

    fn take(&self, subject: &str, from: Sequence) -> Option<Cursor> {
        let connection = self.requests.connection();
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |cursor: &mut Cursor| {
            cursor.subject == subject
                && cursor.next == from
                && cursor.connection == connection
                && cursor.put.elapsed() < IDLE / 2
        };
        cursor.take_if(fits)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends a scan, as closing a cursor does")]
    fn put(&self, cursor: Cursor) -> PortResult<()> {
        let cursor = Cursor { put: Instant::now(), ..cursor };
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
        Ok(())
    }
}

/// An ephemeral consumer of one gateway's messages, and what came of them.
struct Cursor {
    subject: String,
    /// The place behind the last that was handed on.
    next: Sequence,
    connection: u64,
    put: Instant,
    consumer: String,
    inbox: String,
    messages: Subscriber,
    came: VecDeque<Entry>,
    /// Deliveries, so that a gap shows.
    delivered: u64,
    /// Until when the last request is answered; `None`: nothing is asked.
    asked: Option<Instant>,
    /// So many messages of it are still to come: the server does not say when it gave them all.
    left: usize,
}

#[derive(Deserialize)]
struct Created {
    name: String,
}

impl Cursor {
    async fn open(requests: &Requests, subject: &str, from: Sequence, within: Duration) -> PortResult<Self> {
        let question = json!({ "stream_name": CAPTURE, "config": {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": from,
            "filter_subject": subject,
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": true,
            "num_replicas": 1,
            "inactive_threshold": u64::try_from(IDLE.as_nanos()).unwrap_or(u64::MAX),
        }});
        let connection = requests.connection();
        let created = requests.api::<Created>(&format!("CONSUMER.CREATE.{CAPTURE}"), &question, within).await;
        let Created { name } =
            created.map_err(|failure| failure.transient("preparing a scan of the stream"))?;
        let inbox = requests.client().new_inbox();
        let subscribed = requests.client().subscribe(inbox.clone()).await;
        let messages = subscribed.map_err(|error| PortError::transient("subscribing to a scan", error))?;
        Ok(Self {
            subject: subject.to_owned(),
            next: from,
            connection,
            put: Instant::now(),
            consumer: name,
            inbox,
            messages,
            came: VecDeque::new(),
            delivered: 0,
            asked: None,
            left: 0,
        })
    }

    /// Takes in what comes; false if nothing did for a while.
    async fn more(&mut self, requests: &Requests, within: Duration) -> PortResult<bool> {
        let now = Instant::now();
        if self.asked.is_none_or(|until| until <= now) {
            let expires = u64::try_from(PULL.as_nanos()).unwrap_or(u64::MAX);
            let bytes = AHEAD_BYTES.max(requests.client().max_payload() * 2);
            let question = json!({ "batch": AHEAD, "max_bytes": bytes, "expires": expires }).to_string();
            let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{CAPTURE}.{}", self.consumer);
            requests.ask(subject, self.inbox.clone(), question.into(), within).await?;
            (self.asked, self.left) = (Some(now + PULL), AHEAD);
        }
        let mut message = timeout(QUIET, self.messages.next()).await.ok().flatten();
        let mut any = false;
        while let Some(next) = message {
            any |= self.arrived(next)?;
            // All that is here, and no more.
            message = self.messages.next().now_or_never().flatten();
        }
        Ok(any)
    }

    /// Takes a message in; false if it only says that the request is over.
    fn arrived(&mut self, message: async_nats::Message) -> PortResult<bool> {
        let delivered = message.reply.as_ref().and_then(|reply| ack_subject::read(reply));
        match (delivered, message.status) {
            // Whoever published it may have given it a status.
            (Some(delivered), _) => {
                self.delivered += 1;
                self.left = self.left.saturating_sub(1);
                if self.left == 0 {
                    self.asked = None;
                }
                if delivered.number != self.delivered {
                    return Err(PortError::transient("scanning the stream", "messages got lost on the way"));
                }
                let (sequence, bytes) = (delivered.sequence, message.payload.len());
                self.came.push_back(Entry { sequence, bytes, message: wire::received(&message).ok() });
                Ok(true)
            }
            (None, Some(status)) => {
                self.asked = None;
                let why = message.description.unwrap_or_default();
                match status {
                    StatusCode::NOT_FOUND | StatusCode::TIMEOUT => Ok(false),
                    _ if why.contains("MaxBytes") => Ok(false),
                    _ => Err(PortError::transient("scanning the stream", format!("{status} {why}"))),
                }
            }
            (None, None) => Ok(false),
        }
    }

    /// Lets the server forget the consumer, without waiting for that.
    async fn close(self, requests: &Requests, within: Duration) -> PortResult<()> {
        let subject = format!("$JS.API.CONSUMER.DELETE.{CAPTURE}.{}", self.consumer);
        requests.tell(subject.into(), Bytes::new(), within).await
    }
}
