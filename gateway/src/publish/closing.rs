//! The last message of an exchange: what it says, and how it names the messages before it.

use bytes::Bytes;
use verbatim_core::model::{Leg, RecordMode};
use verbatim_core::ports::Sequence;
use verbatim_proto::v1::{Attempt, End, Head, Part, Piece};
use verbatim_proto::{MANIFESTS, SEQUENCES, delta_encode};

use super::leg_buffer::LegBuffer;
use crate::capture::{EndFacts, EndWithheld, Exchange, HeadFacts};

/// Splits a list of sequences into what the end itself names, and manifest parts for the rest.
pub(crate) fn sequence_lists(mut sequences: Vec<Sequence>) -> (Vec<u64>, Vec<Part>) {
    // Appends in flight at the same time may have come in another order.
    sequences.sort_unstable();
    let here = sequences.len().min(SEQUENCES);
    let manifests = sequences[here..]
        .chunks(SEQUENCES)
        // An end that names more would be refused, and with it all that it does name.
        .take(MANIFESTS)
        .map(|chunk| Part { sequences: delta_encode(chunk.iter().copied()), ..Default::default() })
        .collect();
    (delta_encode(sequences[..here].iter().copied()), manifests)
}

/// The end of an exchange, but for the sequences.
pub(super) fn end(
    exchange: &Exchange,
    facts: EndFacts,
    heads: Vec<Head>,
    legs: [&mut LegBuffer; 2],
) -> (End, usize) {
    let withheld = exchange.mode() != RecordMode::Full;
    let mut pieces: Vec<Piece> = Vec::with_capacity(2);
    let mut summaries = Vec::with_capacity(2);
    let mut charge = 0;
    let mut notes = facts.notes;
    for (leg, buffer) in [Leg::ClientRequest, Leg::ClientResponse].into_iter().zip(legs) {
        let before = pieces.len();
        charge += buffer.cut(usize::MAX, &mut pieces);
        let missing = exchange.not_handed_over(leg);
        if missing.beyond > 0 {
            notes.push(beyond_limit(leg, missing.beyond, exchange.body_limit()));
        }
        summaries.push(buffer.summary(&pieces[before..], missing, withheld));
    }
    if let (Some(trailers), Some(response)) = (facts.trailers, summaries.last_mut()) {
        response.trailers = trailers.into_headers();
    }
    let mut all_facts: std::collections::HashMap<_, _> =
        facts.facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if withheld && let Some(asked) = exchange.asked().filter(|_| exchange.mode() == RecordMode::Meta) {
        // The bodies that would tell are not recorded.
        all_facts.extend(asked.model.clone().map(|model| ("model_asked".to_owned(), model)));
        all_facts.extend(asked.stream.map(|stream| ("stream_asked".to_owned(), stream.to_string())));
    }
    let end = End {
        outcome: u32::from(facts.outcome.number()),
        status: facts.status.map(u32::from),
        error: facts.error,
        duration_us: facts.duration_us,
        first_byte_us: facts.first_byte_us,
        relay_us: facts.relay_us,
        attempts: facts.attempts.into_iter().map(Attempt::from).collect(),
        legs: summaries,
        heads,
        pieces,
        sequences: Vec::new(),
        notes,
        facts: all_facts,
        manifests: Vec::new(),
        provider: facts.provider,
        start: None,
    };
    (end, charge)
}

/// Has an end say that the caller did not get it.
pub(super) fn without_its_end(end: &mut End, withheld: &EndWithheld) {
    end.outcome = u32::from(withheld.outcome.number());
    end.error = Some(withheld.why.clone());
    end.status = withheld.status.map(u32::from).or(end.status);
}

/// What a record says of a body that was longer than what is recorded of one.
fn beyond_limit(leg: Leg, beyond: u64, limit: u64) -> String {
    let body = if leg.is_request() { "request" } else { "answer" };
    format!(
        "the {body}'s body went on for {beyond} bytes behind the first {limit}, of which no more are recorded \
         (gateway.max_recorded_body_bytes)"
    )
}

/// A head as it is written.
pub(super) fn head(facts: HeadFacts) -> Head {
    Head {
        leg: u32::from(facts.leg.number()),
        version: Bytes::from_static(facts.version.as_bytes()),
        status: Some(u32::from(facts.status)),
        headers: facts.headers.into_headers(),
        at_us: facts.at_us,
    }
}
