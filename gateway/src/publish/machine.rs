//! The messages of one exchange and their order, as a state machine without I/O: events and confirmations in,
//! messages out. Nothing is published before the start is confirmed, and the end only after all the others are;
//! the end names every one of them. An exchange that is over before its start was sent, and small, is one message: its
//! end, with the start inside.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use verbatim_core::model::{Leg, RecordMode};
use verbatim_core::ports::{MessageKind, Sequence};
use verbatim_proto::v1::envelope::Message;
use verbatim_proto::v1::{Caller, Head, Part, Start};
use verbatim_proto::{PART_BYTES, decode, encode};

use super::LaneName;
use super::closing::{self, sequence_lists};
use super::leg_buffer::LegBuffer;
use crate::capture::{EndFacts, Event, Exchange, HeadFacts, Stage, StartFacts};
use crate::redact::{BodyKeys, BodyRedactor};

/// A part is cut as soon as so many bytes wait.
const FLUSH_BYTES: usize = 64 * 1024;
/// A part is cut as soon as something waited so long.
pub(super) const FLUSH_AFTER: Duration = Duration::from_millis(250);

/// A message on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    what: What,
    pub(super) payload: Bytes,
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
                self.heads.push(closing::head(*head));
            }
            Event::Chunks { leg, offset, bytes, times } => {
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

    fn make_next(&mut self) -> Option<Outgoing> {
        let (mut start, mut start_charge) = (None, 0);
        if let Opening::Fresh(_) = self.opening {
            let is_over = matches!(self.closing, Closing::Ended(_)) && self.waiting() <= PART_BYTES;
            let opening = if is_over { Opening::Inside } else { Opening::Sent };
            let Opening::Fresh(facts) = std::mem::replace(&mut self.opening, opening) else { return None };
            let (message, charge) = self.start(*facts);
            if !is_over {
                return Some(self.outgoing(What::Start, Message::Start(message), charge));
            }
            (start, start_charge) = (Some(Box::new(message)), charge);
        }
        match &self.closing {
            Closing::Open => return Some(self.part(PART_BYTES)),
            Closing::Ended(_) if self.waiting() > PART_BYTES => return Some(self.part(PART_BYTES)),
            Closing::Ended(_) | Closing::Built(..) => {}
            Closing::Sent => return None,
        }
        let (end, charge) = match std::mem::replace(&mut self.closing, Closing::Sent) {
            Closing::Ended(facts) => {
                let heads = std::mem::take(&mut self.heads);
                let legs = [&mut self.request, &mut self.response];
                let (end, charge) = closing::end(&self.exchange, *facts, heads, legs);
                (verbatim_proto::v1::End { start, ..end }, charge + start_charge)
            }
            Closing::Built(end, charge) => (*end, charge),
            Closing::Open | Closing::Sent => return None,
        };
        Some(self.end(end, charge))
    }

    fn start(&mut self, facts: StartFacts) -> (Start, usize) {
        let off = self.exchange.mode() == RecordMode::Off;
        let (request, charge) = self.request.cut_first(FLUSH_BYTES);
        self.request.hash(request.as_slice());
        self.touch();
        let asked = self.exchange.asked().filter(|_| !off);
        let start = Start {
            began_unix_us: facts.began_at.as_unix_us(),
            method: facts.method,
            path: facts.path,
            version: facts.version.to_owned(),
            headers: facts.headers.into_headers(),
            caller: Some(Caller::from(facts.caller)),
            provider: facts.provider,
            provider_dialect: u32::from(facts.dialect.number()),
            upstream_url: facts.upstream_url,
            session: facts.session,
            tags: facts.tags,
            record: u32::from(self.exchange.mode().number()),
            trace_id: facts.trace_id,
            model_asked: asked.and_then(|asked| asked.model.clone()),
            stream_asked: asked.and_then(|asked| asked.stream),
            request,
        };
        (start, charge)
    }

    fn part(&mut self, most: usize) -> Outgoing {
        let (mut pieces, request_charge) = self.request.cut(most);
        self.request.hash(&pieces);
        let room = most - pieces.iter().map(|piece| piece.data.len()).sum::<usize>();
        let (response, response_charge) = self.response.cut(room);
        self.response.hash(&response);
        pieces.extend(response);
        let part = Part { pieces, heads: std::mem::take(&mut self.heads), ..Default::default() };
        self.touch();
        self.outgoing(What::Part, Message::Part(part), request_charge + response_charge)
    }

    /// The end, or before it the manifests that it needs.
    fn end(&mut self, mut end: verbatim_proto::v1::End, charge: usize) -> Outgoing {
        let (sequences, manifests) = sequence_lists(self.sequences.clone());
        let mut missing = manifests.into_iter().skip(self.manifests.len());
        if let Some(first) = missing.next() {
            let rest: Vec<_> =
                missing.map(|part| self.outgoing(What::Manifest, Message::Part(part), 0)).collect();
            self.again.extend(rest);
            self.closing = Closing::Built(Box::new(end), charge);
            return self.outgoing(What::Manifest, Message::Part(first), 0);
        }
        end.sequences = sequences;
        end.manifests = verbatim_proto::delta_encode(self.manifests.iter().copied());
        self.waiting_since = None;
        self.outgoing(What::End, Message::End(end), charge)
    }

    fn outgoing(&self, what: What, message: Message, charge: usize) -> Outgoing {
        Outgoing { what, payload: encode(self.exchange.id(), &self.gateway, message), charge }
    }

    /// A message is stored. `true`: it was the last, and the exchange is published.
    pub(super) fn stored(&mut self, outgoing: &Outgoing, sequence: Sequence) -> bool {
        self.in_flight -= 1;
        self.exchange.release(outgoing.charge);
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

    /// Goes on after a failure, in `lane`. To change lanes, nothing may be in flight; back to the log only what has
    /// nothing in the spool.
    pub(super) fn resume(&mut self, lane: LaneName) {
        self.failed = false;
        if lane == self.lane {
            return;
        }
        self.lane = lane;
        // Manifests name messages of the lane that is left.
        self.again.retain(|outgoing| outgoing.what != What::Manifest);
        self.manifests.clear();
        match lane {
            LaneName::Spool => {
                self.carried = std::mem::take(&mut self.sequences);
                let carry = |chunk: &[Sequence]| {
                    let carried = verbatim_proto::delta_encode(chunk.iter().copied());
                    let part = Part { carried, ..Default::default() };
                    self.outgoing(What::Carry, Message::Part(part), 0)
                };
                let carries: Vec<_> = self.carried.chunks(closing::SEQUENCES).map(carry).collect();
                carries.into_iter().rev().for_each(|carry| self.again.push_front(carry));
            }
            LaneName::Log => {
                self.sequences = std::mem::take(&mut self.carried);
                self.again.retain(|outgoing| outgoing.what != What::Carry);
            }
        }
    }

    /// What the spool holds of it is about to be taken to the log; until then nothing is sent.
    pub(super) fn leave_spool(&mut self) -> Vec<Sequence> {
        self.failed = true;
        self.in_flight += 1;
        self.sequences.clone()
    }

    /// The log holds now what the spool held, here; it goes on there.
    pub(super) fn brought_back(&mut self, sequences: Vec<Sequence>) {
        self.in_flight -= 1;
        self.failed = false;
        self.lane = LaneName::Log;
        self.sequences = std::mem::take(&mut self.carried);
        self.sequences.extend(sequences);
        self.manifests.clear();
        self.again.retain(|outgoing| !matches!(outgoing.what, What::Carry | What::Manifest));
    }

    /// It could not be taken to the log; another try may go better.
    pub(super) const fn stays_in_spool(&mut self) {
        self.in_flight -= 1;
    }

    /// Bytes that it still holds.
    pub(super) fn waiting(&self) -> usize {
        self.request.waiting() + self.response.waiting()
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
