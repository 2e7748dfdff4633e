//! From an assembled exchange to the record that is archived: columns, heads, bodies. Pure but for the tokenizer's
//! tables; takes CPU time, so it runs on blocking threads.

use verbatim_core::model::{
    Attempt, Caller, Dialect, Exchange, ExchangeHeads, ExchangeRecord, Headers, Integrity, Leg, LegBody,
    LegInfo, MessageHead, Outcome, ProviderDialect, RecordMode, Timestamp, Usage,
};
use verbatim_dialects::{ExchangeView, Reading, text};
use verbatim_proto::v1::{self, End, Start};

use crate::assemble::{self, Assembled};
use crate::collect::Collected;
use crate::price;

/// The record of an exchange whose end was read. What is missing makes it damaged.
pub(crate) fn ended(mut collected: Collected) -> ExchangeRecord {
    let end = collected.end.take().unwrap_or_default();
    let legs = std::mem::take(&mut collected.legs);
    let assembled = if knows(&end) { assemble::ended(legs, &end.legs) } else { assemble::so_far(legs) };
    build(collected, Some(end), assembled, Outcome::Incomplete)
}

/// The record of an exchange that has no end (yet): `running`, or `incomplete` where there will be none.
pub(crate) fn so_far(mut collected: Collected, outcome: Outcome) -> ExchangeRecord {
    let assembled = assemble::so_far(std::mem::take(&mut collected.legs));
    build(collected, None, assembled, outcome)
}

fn build(
    collected: Collected,
    end: Option<End>,
    assembled: Assembled,
    without_end: Outcome,
) -> ExchangeRecord {
    let Collected { id, gateway, start, mut heads, mut notes, .. } = collected;
    let mut integrity = assembled.integrity;
    if start.is_none() {
        integrity = Integrity::Damaged;
        notes.push("its start is missing".to_owned());
    }
    notes.extend(assembled.faults.iter().cloned());
    let start = start.unwrap_or_else(|| Start { began_unix_us: id.time().as_unix_us(), ..Start::default() });
    let ended = end.as_ref().is_some_and(knows);
    let end = end.unwrap_or_default();
    notes.extend(end.notes.iter().cloned());

    let request_head = MessageHead {
        version: start.version.clone(),
        headers: v1::read_headers(start.headers.clone()),
        ..MessageHead::default()
    };
    let response_head = heads
        .remove(&Leg::ClientResponse)
        .map(|head| MessageHead { trailers: assembled.trailers.clone(), ..MessageHead::from(head) });
    let provider_dialect =
        number(start.provider_dialect, ProviderDialect::from_number).unwrap_or(ProviderDialect::Raw);
    let dialect = verbatim_dialects::detect(provider_dialect, &start.method, &start.path);
    let status = if ended {
        end.status.and_then(|code| u16::try_from(code).ok())
    } else {
        response_head.as_ref().and_then(|head| head.status)
    };
    let told =
        if ended { number(end.outcome, Outcome::from_number).unwrap_or(without_end) } else { without_end };

    let no_headers = Headers::default();
    let reading = verbatim_dialects::read(&ExchangeView {
        provider_dialect,
        dialect,
        method: &start.method,
        path: &start.path,
        request_headers: &request_head.headers,
        request_body: body_of(&assembled.bodies, Leg::ClientRequest),
        status,
        response_headers: response_head.as_ref().map_or(&no_headers, |head| &head.headers),
        response_body: body_of(&assembled.bodies, Leg::ClientResponse),
        response_complete: told == Outcome::Completed || told == Outcome::UpstreamError,
    });
    // Only reading the answer shows an error that came inside a stream of status 200.
    let outcome = match told {
        Outcome::Completed if reading.error.is_some() => Outcome::UpstreamError,
        other => other,
    };
    notes.extend(reading.notes.iter().cloned());
    let facts = Facts { start: &start, end: &end, ended, assembled: &assembled, reading: &reading, dialect };
    let usage = facts.usage();
    let provider = if end.provider.is_empty() { start.provider.clone() } else { end.provider.clone() };
    let cost = price::cost(&provider, [reading.model_served.as_deref(), facts.model_asked()], &usage);
    let exchange = Exchange {
        id,
        gateway,
        began_at: Timestamp::from_unix_us(start.began_unix_us),
        outcome,
        integrity,
        record: number(start.record, RecordMode::from_number).unwrap_or(RecordMode::Full),
        method: start.method.clone(),
        path: start.path.clone(),
        status,
        error: facts.error(outcome),
        caller: start.caller.clone().map(Caller::from).unwrap_or_default(),
        provider,
        provider_dialect,
        dialect,
        provider_request_id: reading.provider_request_id.clone(),
        model_asked: facts.model_asked().map(str::to_owned),
        model_served: reading.model_served.clone(),
        session: start.session.clone(),
        tags: start.tags.clone(),
        trace_id: start.trace_id.clone(),
        streamed: reading.streamed,
        finish_reason: reading.finish_reason().map(str::to_owned),
        tools_called: reading.tools_called(),
        first_byte_us: end.first_byte_us.or_else(|| facts.first_byte_us()),
        first_token_us: facts.first_token_us(),
        duration_us: ended.then_some(end.duration_us),
        relay_us: end.relay_us,
        usage,
        cost_micros: cost.as_ref().map(|cost| cost.micros),
        price_version: cost.map(|cost| cost.version),
        asked_preview: text::asked_preview(&reading),
        answered_preview: text::answered_preview(&reading),
        request_bytes: facts.wire_bytes(Leg::ClientRequest),
        response_bytes: facts.wire_bytes(Leg::ClientResponse),
        lost_bytes: assembled.bodies.iter().map(|body| body.info.lost).sum(),
    };
    let attempts = if end.attempts.is_empty() { facts.attempt_so_far() } else { facts.attempts() };
    let mut legs: Vec<LegInfo> = assembled.bodies.iter().map(|body| body.info.clone()).collect();
    legs.extend(assembled.withheld.iter().map(|(leg, length)| LegInfo {
        leg: *leg,
        length: *length,
        stored: 0,
        hash: None,
        stored_hash: None,
        lost: 0,
    }));
    let heads = ExchangeHeads {
        request: request_head,
        response: response_head,
        attempts,
        legs,
        notes,
        facts: v1::read_facts(end.facts.clone()),
    };
    ExchangeRecord { exchange, heads, bodies: assembled.bodies }
}

/// Whether an end was written by who saw the exchange end: one that was written for a gateway that died knows neither
/// lengths nor times.
fn knows(end: &End) -> bool {
    end.outcome != u32::from(Outcome::Incomplete.number())
}

fn number<T>(number: u32, from: fn(u8) -> Option<T>) -> Option<T> {
    from(u8::try_from(number).ok()?)
}

fn body_of(bodies: &[LegBody], leg: Leg) -> &[u8] {
    bodies.iter().find(|body| body.info.leg == leg).map_or(&[], |body| &body.bytes)
}

/// What columns are derived from.
struct Facts<'a> {
    start: &'a Start,
    end: &'a End,
    ended: bool,
    assembled: &'a Assembled,
    reading: &'a Reading,
    dialect: Dialect,
}

impl Facts<'_> {
    fn model_asked(&self) -> Option<&str> {
        self.reading.model_asked.as_deref().or(self.start.model_asked.as_deref())
    }

    /// As the provider counted, else estimated where text was generated; unknown is never zero.
    fn usage(&self) -> Usage {
        if let Some(usage) = self.reading.usage {
            return usage;
        }
        let generates = matches!(
            self.dialect,
            Dialect::OpenaiChat
                | Dialect::OpenaiResponses
                | Dialect::OpenaiOther
                | Dialect::Anthropic
                | Dialect::Gemini
                | Dialect::Ollama
        );
        if !generates || !self.ended || self.reading.error.is_some() {
            return Usage::default();
        }
        verbatim_dialects::estimate::usage(self.reading).unwrap_or_default()
    }

    fn error(&self, outcome: Outcome) -> Option<String> {
        let from_provider = self.reading.error.as_ref().map(verbatim_dialects::ProviderError::line);
        let line = match outcome {
            Outcome::UpstreamError => from_provider.or_else(|| self.end.error.clone()),
            _ => self.end.error.clone().or(from_provider),
        };
        line.map(|line| text::preview(&line)).filter(|line| !line.is_empty())
    }

    fn response(&self) -> Option<&LegBody> {
        self.assembled.bodies.iter().find(|body| body.info.leg == Leg::ClientResponse)
    }

    fn first_byte_us(&self) -> Option<u64> {
        self.response()?.timeline.at(0)
    }

    fn first_token_us(&self) -> Option<u64> {
        let body = self.response()?;
        // Offsets are of the wire; where bytes are missing they no longer tell.
        if body.info.stored != body.info.length {
            return None;
        }
        body.timeline.at(self.reading.first_token_offset?)
    }

    fn wire_bytes(&self, leg: Leg) -> u64 {
        let summary = self.end.legs.iter().find(|summary| summary.leg == u32::from(leg.number()));
        let known =
            self.assembled.bodies.iter().find(|body| body.info.leg == leg).map(|body| body.info.length);
        summary.map(|summary| summary.length).or(known).unwrap_or(0)
    }

    fn attempts(&self) -> Vec<Attempt> {
        self.end.attempts.iter().cloned().map(Attempt::from).collect()
    }

    fn attempt_so_far(&self) -> Vec<Attempt> {
        if self.start.upstream_url.is_empty() {
            return Vec::new();
        }
        let provider = self.start.provider.clone();
        vec![Attempt { provider, url: self.start.upstream_url.clone(), ..Attempt::default() }]
    }
}
