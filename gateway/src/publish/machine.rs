//! The messages of one exchange and their order, as a state machine without I/O: events and confirmations in,
//! messages out. Nothing is published before the start is confirmed, and the end only after all the others are;
//! the end names every one of them. An exchange that is over before its start was sent, and small, is one message: its
//! end, with the start inside.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use verbatim_core::model::Leg;
use verbatim_core::ports::{MessageKind, Sequence};
use verbatim_proto::v1::Head;
use verbatim_proto::v1::envelope::Message;
use verbatim_proto::{PART_BYTES, decode};

use super::LaneName;
use super::closing;
use super::leg_buffer::LegBuffer;
use crate::capture::{EndFacts, Event, Exchange, HeadFacts, Stage, StartFacts};
use crate::redact::{BodyKeys, BodyRedactor};

mod lanes;
mod messages;

/// A part is cut as soon as so many bytes wait.
const FLUSH_BYTES: usize = 64 * 1024;
/// A part is cut as soon as something waited so long.
pub(super) const FLUSH_AFTER: Duration = Duration::from_millis(250);

/// A message on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    what: What,
    pub(super) payload: Bytes,
    /// Bytes of bodies in it.
    bytes: usize,
    /// Bytes that go back to the budget once it is stored.
    charge: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Start,
    Part,
    /// Names what the log holds of an exchange that goes over to the spool.
    Carry,
    Manifest,
    End,
}

impl Outgoing {
    pub(super) const fn kind(&self) -> MessageKind {
        match self.what {
            What::Start => MessageKind::Start,
            What::Part | What::Carry | What::Manifest => MessageKind::Part,
            What::End => MessageKind::End,
        }
    }
}

/// How the start fares.
#[derive(Debug)]
enum Opening {
    Fresh(Box<StartFacts>),
    Sent,
    /// It is inside the end.
    Inside,
    Stored,
}

/// How the end fares.
#[derive(Debug)]
enum Closing {
    /// The exchange goes on.
    Open,
    /// It is over, as these facts say.
    Ended(Box<EndFacts>),
    /// Its end is built, and waits for manifests, or to be sent again.
    Built(Box<verbatim_proto::v1::End>, usize),
    /// Its end is on the way.
    Sent,
}

/// What is lost of an exchange that nobody takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// There will be no record.
    All,
    /// There will be one without so many bytes of its bodies.
    Bytes(usize),
}

/// One exchange on its way into the log.
#[derive(Debug)]
pub(super) struct Machine {
    exchange: Arc<Exchange>,
    gateway: Arc<str>,
    body_keys: Arc<BodyKeys>,
    lane: LaneName,
    opening: Opening,
    heads: Vec<Head>,
    request: LegBuffer,
    response: LegBuffer,
    waiting_since: Option<Instant>,
    closing: Closing,
    again: VecDeque<Outgoing>,
    in_flight: usize,
    /// Bytes of bodies that it was given and that are stored nowhere, whatever they wait in.
    unstored: usize,
    /// Of those that are stored, the ones in the spool.
    spooled: usize,
    failed: bool,
    sequences: Vec<Sequence>,
    manifests: Vec<Sequence>,
    /// What the log holds of an exchange that went over to the spool.
    carried: Vec<Sequence>,
}

impl Machine {
    /// A machine for an exchange that begins.
    pub(super) fn new(
        exchange: Arc<Exchange>,
        gateway: Arc<str>,
        body_keys: Arc<BodyKeys>,
        start: Box<StartFacts>,
    ) -> Self {
        let mut request = LegBuffer::new(Leg::ClientRequest);
        request.redact_by(BodyRedactor::of(&body_keys, &start.headers));
        Self {
            exchange,
            gateway,
            body_keys,
            lane: LaneName::Log,
            opening: Opening::Fresh(start),
            heads: Vec::new(),
            request,
            response: LegBuffer::new(Leg::ClientResponse),
            waiting_since: None,
            closing: Closing::Open,
            again: VecDeque::new(),
            in_flight: 0,
            unstored: 0,
            spooled: 0,
            failed: false,
            sequences: Vec::new(),
            manifests: Vec::new(),
            carried: Vec::new(),
        }
    }

    pub(super) const fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    pub(super) const fn lane(&self) -> LaneName {
        self.lane
    }

    /// Whether a message failed; nothing goes out until a lane is chosen again with [`Machine::resume`].
    pub(super) const fn is_failed(&self) -> bool {
        self.failed
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether anything of it is stored in the lane it is in.
    pub(super) fn has_stored(&self) -> bool {
        !self.sequences.is_empty()
    }

    /// Whether its start is stored anywhere.
    pub(super) const fn is_started(&self) -> bool {
        matches!(self.opening, Opening::Stored)
    }

    /// Since when something waits that no message carries.
    pub(super) const fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    /// Takes an event in; what comes behind the end is none of the exchange's.
    pub(super) fn event(&mut self, event: Event, now: Instant) {
        if !matches!(self.closing, Closing::Open) {
            return;
        }
        match event {
            // The first one made this machine; there is no other.
            Event::Start(_) => return,
            Event::Head(head) => {
                self.reads_under(&head);
                // Most answers have one.
                self.heads.reserve_exact(1);
                self.heads.push(closing::head(*head));
            }
            Event::Chunks { leg, offset, bytes, times } => {
                self.unstored += bytes.len();
                let buffer = if leg.is_request() { &mut self.request } else { &mut self.response };
                buffer.push(offset, bytes, times);
            }
            Event::End(end) => self.closing = Closing::Ended(end),
        }
        self.waiting_since.get_or_insert(now);
    }

    /// Chooses how the answer's body is read.
    fn reads_under(&mut self, head: &HeadFacts) {
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
            // What passes a tunnel is no body: a client's WebSocket frames are masked (RFC 6455, section 5.3), and a
            // mask of ours could run over the beginning of a frame.
            self.request.redact_by(None);
            self.response.redact_by(None);
        } else {
            self.response.redact_by(BodyRedactor::of(&self.body_keys, &head.headers));
        }
    }

    /// Whether [`Machine::next`] has a message.
    pub(super) fn has_next(&self, now: Instant) -> bool {
        if self.failed {
            return false;
        }
        if !self.again.is_empty() {
            return true;
        }
        match (&self.opening, &self.closing) {
            (Opening::Fresh(_), _) => true,
            (Opening::Sent, _) | (_, Closing::Sent) => false,
            (Opening::Stored | Opening::Inside, Closing::Open) => self.is_due(now),
            (_, Closing::Ended(_)) => self.waiting() > PART_BYTES || self.in_flight == 0,
            (_, Closing::Built(..)) => self.in_flight == 0,
        }
    }

    /// The next message, if there is one to send now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Outgoing> {
        if !self.has_next(now) {
            return None;
        }
        let outgoing = match self.again.pop_front() {
            Some(again) => again,
            None => self.make_next()?,
        };
        self.in_flight += 1;
        Some(outgoing)
    }

    /// A message is stored. `true`: it was the last, and the exchange is published.
    pub(super) fn stored(&mut self, outgoing: &Outgoing, sequence: Sequence) -> bool {
        self.in_flight -= 1;
        self.exchange.release(outgoing.charge);
        self.unstored -= outgoing.bytes;
        if self.lane == LaneName::Spool {
            self.spooled += outgoing.bytes;
        }
        match outgoing.what {
            What::Start => {
                self.opening = Opening::Stored;
                self.sequences.push(sequence);
                self.exchange.reached(Stage::Started);
            }
            What::Part | What::Carry => self.sequences.push(sequence),
            What::Manifest => {
                self.manifests.push(sequence);
                self.manifests.sort_unstable();
            }
            What::End => {
                self.opening = Opening::Stored;
                self.exchange.reached(Stage::Ended);
            }
        }
        outgoing.what == What::End
    }

    /// A message was not stored, for now.
    pub(super) fn not_stored(&mut self, outgoing: Outgoing) {
        self.in_flight -= 1;
        self.failed = true;
        match outgoing.what {
            // What it names may be another list when it is sent again.
            What::End => {
                if let Ok(decoded) = decode(outgoing.payload)
                    && let Message::End(end) = decoded.message
                {
                    self.closing = Closing::Built(Box::new(end), outgoing.charge);
                }
            }
            What::Start | What::Carry => self.again.push_front(outgoing),
            What::Part | What::Manifest => self.again.push_back(outgoing),
        }
    }

    /// A part will never be stored: its bytes are lost. `false` for any other message: without it there is no
    /// record.
    pub(super) fn never_stored(&mut self, outgoing: Outgoing) -> bool {
        self.in_flight -= 1;
        self.exchange.release(outgoing.charge);
        self.unstored -= outgoing.bytes;
        let Ok(decoded) = decode(outgoing.payload) else { return false };
        let (Message::Part(part), What::Part) = (decoded.message, outgoing.what) else { return false };
        for piece in part.pieces {
            let request = piece.leg == u32::from(Leg::ClientRequest.number());
            let buffer = if request { &mut self.request } else { &mut self.response };
            buffer.forfeit(piece.data.len());
            self.exchange.count_lost(piece.data.len());
        }
        true
    }

    /// Bytes that it still holds.
    pub(super) fn waiting(&self) -> usize {
        self.request.waiting() + self.response.waiting()
    }

    /// What is lost if nothing more of it is stored, and the spool is never read again if that is not `readable`.
    pub(super) const fn given_up(&self, readable: bool) -> GivenUp {
        let is_in_spool = matches!(self.lane, LaneName::Spool);
        match self.opening {
            Opening::Stored if readable || !is_in_spool => GivenUp::Bytes(self.unstored),
            Opening::Stored if !self.carried.is_empty() => GivenUp::Bytes(self.unstored + self.spooled),
            _ => GivenUp::All,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.waiting() >= FLUSH_BYTES
            || self.waiting_since.is_some_and(|since| now.duration_since(since) >= FLUSH_AFTER)
    }

    /// What waits now has waited since now at the earliest.
    fn touch(&mut self) {
        if self.waiting() == 0 && self.heads.is_empty() {
            self.waiting_since = None;
        }
    }
}

#[cfg(test)]
mod tests;
