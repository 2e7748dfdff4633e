//! Everything that log and archive hold of one exchange, gathered in whatever order it comes.

use std::collections::BTreeMap;

use verbatim_core::model::{Exchange, ExchangeHeads, ExchangeId, Leg, LegBody};
use verbatim_proto::v1::{self, End, Start, envelope::Message};
use verbatim_proto::{Assembly, PART_BYTES, piece};

/// What is known of one exchange so far.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) id: ExchangeId,
    pub(crate) gateway: String,
    pub(crate) start: Option<Start>,
    pub(crate) end: Option<End>,
    pub(crate) legs: BTreeMap<Leg, Assembly>,
    pub(crate) heads: BTreeMap<Leg, v1::Head>,
    /// What a reader of the record should know.
    pub(crate) notes: Vec<String>,
    /// How long its end says that each leg is.
    lengths: BTreeMap<Leg, u64>,
    /// The bytes of bodies that its end speaks of.
    announced: Option<u64>,
}

/// Bytes of bodies that an end speaks of; whatever it says, there is a number for it.
pub(crate) fn announced(end: &End) -> u64 {
    end.legs.iter().fold(0, |bytes, leg| bytes.saturating_add(leg.length))
}

impl Collected {
    /// Nothing yet.
    pub(crate) fn new(id: ExchangeId, gateway: impl Into<String>) -> Self {
        Self {
            id,
            gateway: gateway.into(),
            start: None,
            end: None,
            legs: BTreeMap::new(),
            heads: BTreeMap::new(),
            notes: Vec::new(),
            lengths: BTreeMap::new(),
            announced: None,
        }
    }

    /// Takes a message in. What came first stays: a repeated message changes nothing.
    pub(crate) fn add(&mut self, message: Message) {
        match message {
            Message::Start(mut start) => {
                self.add_pieces(start.request.take());
                self.start.get_or_insert(start);
            }
            Message::Part(part) => {
                self.add_pieces(part.pieces);
                self.add_heads(part.heads);
            }
            Message::End(mut end) => {
                if self.end.is_none() {
                    let length = |leg: &v1::LegSummary| Some((leg_of(leg.leg)?, leg.length));
                    self.lengths = end.legs.iter().filter_map(length).collect();
                    self.announced = Some(announced(&end));
                }
                if let Some(start) = end.start.take() {
                    self.add(Message::Start(*start));
                }
                self.add_pieces(std::mem::take(&mut end.pieces));
                self.add_heads(std::mem::take(&mut end.heads));
                self.end.get_or_insert(end);
            }
        }
    }

    fn add_pieces(&mut self, pieces: impl IntoIterator<Item = v1::Piece>) {
        for piece in pieces {
            match leg_of(piece.leg) {
                Some(leg) => self.leg(leg).add(piece),
                None => self.note(format!("a piece of an unknown leg {} was left out", piece.leg)),
            }
        }
    }

    fn leg(&mut self, leg: Leg) -> &mut Assembly {
        let length = self.lengths.get(&leg).copied().unwrap_or_default();
        self.legs.entry(leg).or_insert_with(|| Assembly::of_length(length))
    }

    fn add_heads(&mut self, heads: Vec<v1::Head>) {
        for head in heads {
            match leg_of(head.leg) {
                Some(leg) => {
                    self.heads.entry(leg).or_insert(head);
                }
                None => self.note(format!("a head of an unknown leg {} was left out", head.leg)),
            }
        }
    }

    /// Takes in what a checkpoint or a settled record holds, for what the log no longer does. Such bodies are
    /// prefixes: they begin at the body's first byte and have no holes.
    pub(crate) fn add_archived(&mut self, exchange: Exchange, heads: ExchangeHeads, bodies: Vec<LegBody>) {
        for body in bodies {
            let leg = body.info.leg;
            self.leg(leg).add(piece(leg, 0, body.bytes, &body.timeline.chunks));
        }
        if let Some(response) = heads.response.clone() {
            self.heads.entry(Leg::ClientResponse).or_insert_with(|| v1::Head {
                leg: u32::from(Leg::ClientResponse.number()),
                version: response.version.into(),
                status: response.status.map(u32::from),
                headers: v1::write_headers(response.headers),
                at_us: response.at_us,
            });
        }
        self.start.get_or_insert_with(|| start_of(exchange, heads));
    }

    pub(crate) fn note(&mut self, note: String) {
        if self.notes.len() < ExchangeHeads::MOST_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Bytes of bodies that are held in memory for it.
    pub(crate) fn bytes(&self) -> u64 {
        self.legs.values().map(Assembly::present).sum()
    }

    /// Bytes of bodies that its end speaks of, if it is here.
    pub(crate) fn announced(&self) -> u64 {
        self.announced.unwrap_or_default()
    }

    /// Whether it has more bytes of bodies than its end speaks of: it is damaged, and what else it names is not read.
    pub(crate) fn has_enough(&self) -> bool {
        self.announced.is_some_and(|announced| self.bytes() > announced.saturating_add(PART_BYTES as u64))
    }
}

fn leg_of(number: u32) -> Option<Leg> {
    Leg::from_number(u8::try_from(number).ok()?)
}

/// The start that an archived record was made from.
fn start_of(exchange: Exchange, heads: ExchangeHeads) -> Start {
    Start {
        began_unix_us: exchange.began_at.as_unix_us(),
        method: exchange.method,
        path: exchange.path,
        version: heads.request.version.into(),
        headers: v1::write_headers(heads.request.headers),
        caller: Some(exchange.caller.into()),
        provider: exchange.provider,
        provider_dialect: u32::from(exchange.provider_dialect.number()),
        upstream_url: heads.attempts.first().map(|attempt| attempt.url.clone()).unwrap_or_default(),
        session: exchange.session,
        tags: exchange.tags,
        record: u32::from(exchange.record.number()),
        trace_id: exchange.trace_id,
        model_asked: exchange.model_asked,
        stream_asked: Some(exchange.streamed),
        request: None,
    }
}
