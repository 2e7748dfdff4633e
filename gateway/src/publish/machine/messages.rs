//! What the messages of an exchange say.

use bytes::Bytes;
use verbatim_core::model::RecordMode;
use verbatim_proto::v1::envelope::Message;
use verbatim_proto::v1::{Caller, Part, Piece, Start};
use verbatim_proto::{PART_BYTES, encode};

use super::{Closing, FLUSH_BYTES, Machine, Opening, Outgoing, What};
use crate::capture::StartFacts;
use crate::publish::closing::{self, sequence_lists};

impl Machine {
    pub(super) fn make_next(&mut self) -> Option<Outgoing> {
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
        let (mut end, charge) = match std::mem::replace(&mut self.closing, Closing::Sent) {
            Closing::Ended(facts) => {
                let heads = std::mem::take(&mut self.heads);
                let legs = [&mut self.request, &mut self.response];
                let (end, charge) = closing::end(&self.exchange, *facts, heads, legs);
                (verbatim_proto::v1::End { start, ..end }, charge + start_charge)
            }
            Closing::Built(end, charge) => (*end, charge),
            Closing::Open | Closing::Sent => return None,
        };
        if let Some(withheld) = self.exchange.end_withheld() {
            closing::without_its_end(&mut end, withheld);
        }
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
            version: Bytes::from_static(facts.version.as_bytes()),
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
        let mut pieces = Vec::new();
        let request_charge = self.request.cut(most, &mut pieces);
        self.request.hash(&pieces);
        let asked = pieces.len();
        let room = most - pieces.iter().map(|piece| piece.data.len()).sum::<usize>();
        let response_charge = self.response.cut(room, &mut pieces);
        self.response.hash(&pieces[asked..]);
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

    pub(super) fn outgoing(&self, what: What, message: Message, charge: usize) -> Outgoing {
        let bytes = bytes_of(&message);
        Outgoing { what, payload: encode(self.exchange.id(), &self.gateway, message), bytes, charge }
    }
}

/// How many bytes of bodies a message carries.
fn bytes_of(message: &Message) -> usize {
    let of_pieces = |pieces: &[Piece]| pieces.iter().map(|piece| piece.data.len()).sum::<usize>();
    let of_start = |start: &Start| start.request.as_ref().map_or(0, |piece| piece.data.len());
    match message {
        Message::Start(start) => of_start(start),
        Message::Part(part) => of_pieces(&part.pieces),
        Message::End(end) => of_pieces(&end.pieces) + end.start.as_deref().map_or(0, of_start),
    }
}
