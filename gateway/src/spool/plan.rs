//! What has to be sent of an exchange that is in the spool.

use bytes::Bytes;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Delivery, Message, PortResult, Sequence};
use verbatim_proto::v1::envelope::Message as Body;
use verbatim_proto::v1::{End, Part};
use verbatim_proto::{decode, delta_decode, delta_encode, encode};

use crate::publish::sequence_lists;

/// One exchange to be replayed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) id: ExchangeId,
    /// Where its end stands in the spool.
    pub(super) end_at: Sequence,
    /// What its end takes there.
    pub(super) end_bytes: usize,
    end: End,
    /// Where its other messages stand in the spool.
    pub(super) pieces: Vec<Sequence>,
    /// Where they stand in the log, as far as they do.
    logged: Vec<Sequence>,
    missing: u64,
}

/// What is to be done with one message from the spool.
#[derive(Debug)]
pub(super) enum Step {
    /// It goes to the log, in this form.
    Send(Message),
    /// It only told what the log holds already: these. None, where it is a manifest of a process that could not write
    /// its end any more: what that names stands in the spool.
    Held(Vec<Sequence>),
    /// Nothing is left of it.
    Missing,
}

impl Plan {
    /// Reads an end from the spool, and what it names. `None`: it can't be read.
    pub(super) async fn of(spool: &dyn CaptureLog, delivery: &Delivery) -> PortResult<Option<Self>> {
        let Ok(decoded) = decode(delivery.message.payload.clone()) else { return Ok(None) };
        let Body::End(end) = decoded.message else { return Ok(None) };
        let mut pieces: Vec<Sequence> = delta_decode(&end.sequences).collect();
        let manifests: Vec<Sequence> = delta_decode(&end.manifests).collect();
        for manifest in spool.read(&manifests).await?.into_iter().flatten() {
            if let Some(part) = part_of(manifest.payload) {
                pieces.extend(delta_decode(&part.sequences));
            }
        }
        let plan = Self {
            id: delivery.message.exchange,
            end_at: delivery.sequence,
            end_bytes: delivery.message.payload.len(),
            end,
            pieces,
            logged: Vec::new(),
            missing: 0,
        };
        Ok(Some(plan))
    }

    /// So many of its first messages were dealt with before, and these stand in the log now.
    pub(super) fn resume(&mut self, sent: &[Sequence], done: usize) {
        self.stand(sent);
        self.pieces.drain(..done.min(self.pieces.len()));
    }

    /// Looks at one of its messages.
    pub(super) fn step(&mut self, gateway: &str, message: Option<Message>) -> Step {
        let decoded = message.and_then(|message| Some((message.kind, decode(message.payload).ok()?)));
        let Some((kind, decoded)) = decoded else {
            self.missing += 1;
            return Step::Missing;
        };
        if let Body::Part(part) = &decoded.message
            && part.pieces.is_empty()
            && part.heads.is_empty()
        {
            return Step::Held(delta_decode(&part.carried).collect());
        }
        // From now on this process answers for it: the one that wrote it may be gone.
        let payload = encode(self.id, gateway, decoded.message);
        Step::Send(Message { kind, gateway: gateway.to_owned(), exchange: self.id, payload })
    }

    /// Messages of it stand in the log.
    pub(super) fn stand(&mut self, sequences: &[Sequence]) {
        self.logged.extend_from_slice(sequences);
    }

    /// One of its messages will never be in the log.
    pub(super) const fn lost(&mut self) {
        self.missing += 1;
    }

    /// The manifests that its end needs in the log.
    pub(super) fn manifests(&self) -> Vec<Part> {
        sequence_lists(self.logged.clone()).1
    }

    /// Its end, for the log.
    pub(super) fn end(&self, gateway: &str, manifests: &[Sequence]) -> Bytes {
        let mut end = self.end.clone();
        end.sequences = sequence_lists(self.logged.clone()).0;
        end.manifests = delta_encode(manifests.iter().copied());
        if self.missing > 0 {
            end.notes.push(format!("{} messages were lost in the spool", self.missing));
        }
        encode(self.id, gateway, Body::End(end))
    }
}

/// The part in an envelope, if it is one.
pub(super) fn part_of(payload: Bytes) -> Option<Part> {
    match decode(payload).ok()?.message {
        Body::Part(part) => Some(part),
        Body::Start(_) | Body::End(_) => None,
    }
}
