//! From an assembled exchange to the record that is archived: columns, heads, bodies. Pure but for the tokenizer's
//! tables; takes CPU time, so it runs on blocking threads.

use verbatim_core::model::{
    Attempt, Caller, Exchange, ExchangeHeads, ExchangeRecord, Headers, Integrity, Leg, LegBody, LegInfo,
    MessageHead, Outcome, ProviderDialect, RecordMode, Timestamp,
};
use verbatim_dialects::text;
use verbatim_proto::v1::{self, End, Start};

use crate::assemble::{self, Assembled};
use crate::collect::Collected;
use crate::price;
use crate::said::{Bytes, Read, Said};

/// The record of an exchange whose end was read. What is missing makes it damaged.
///
/// Whatever happens in `read`, there is a record of the bytes.
pub(crate) fn ended(mut collected: Collected, read: Read) -> ExchangeRecord {
    let end = collected.end.take().unwrap_or_default();
    let legs = std::mem::take(&mut collected.legs);
    let assembled = if knows(&end) { assemble::ended(legs, &end.legs) } else { assemble::so_far(legs) };
    build(collected, Some(end), assembled, Outcome::Incomplete, read)
}

/// The record of an exchange that has no end (yet): `running`, or `incomplete` where there will be none.
/// Whatever happens in `read`, there is a record of the bytes.
pub(crate) fn so_far(mut collected: Collected, outcome: Outcome, read: Read) -> ExchangeRecord {
    let assembled = assemble::so_far(std::mem::take(&mut collected.legs));
    build(collected, None, assembled, outcome, read)
}

fn build(
    collected: Collected,
    end: Option<End>,
    assembled: Assembled,
    without_end: Outcome,
    read: Read,
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
        version: v1::read_ascii(&start.version),
        headers: v1::read_headers(start.headers.clone()),
        ..MessageHead::default()
    };
    let response_head = heads
        .remove(&Leg::ClientResponse)
        .map(|head| MessageHead { trailers: assembled.trailers.clone(), ..MessageHead::from(head) });
    let provider_dialect =
        number(start.provider_dialect, ProviderDialect::from_number).unwrap_or(ProviderDialect::Raw);
    let status = if ended {
        end.status.and_then(|code| u16::try_from(code).ok())
    } else {
        response_head.as_ref().and_then(|head| head.status)
    };
    let told =
        if ended { number(end.outcome, Outcome::from_number).unwrap_or(without_end) } else { without_end };

    let no_headers = Headers::default();
    let bytes = Bytes {
        provider_dialect,
        method: &start.method,
        path: &start.path,
        request_headers: &request_head.headers,
        request_body: body_of(&assembled.bodies, Leg::ClientRequest),
        status,
        response_headers: response_head.as_ref().map_or(&no_headers, |head| &head.headers),
        response_body: body_of(&assembled.bodies, Leg::ClientResponse),
        response_complete: told == Outcome::Completed || told == Outcome::UpstreamError,
    };
    let said = Said::read(&bytes, read, ended);
    // Only reading the answer shows an error that came inside a stream of status 200.
    let outcome = match told {
        Outcome::Completed if said.error.is_some() => Outcome::UpstreamError,
        other => other,
    };
    notes.extend(said.notes.iter().cloned());
    let facts = Facts { start: &start, end: &end, assembled: &assembled, said: &said };
    let usage = said.usage;
    let provider = if end.provider.is_empty() { start.provider.clone() } else { end.provider.clone() };
    let cost = price::cost(&provider, [said.model_served.as_deref(), facts.model_asked()], &usage);
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
        dialect: said.dialect,
        provider_request_id: said.provider_request_id.clone(),
        model_asked: facts.model_asked().map(str::to_owned),
        model_served: said.model_served.clone(),
        session: start.session.clone(),
        tags: start.tags.clone(),
        trace_id: start.trace_id.clone(),
        streamed: said.streamed,
        finish_reason: said.finish_reason.clone(),
        tools_called: said.tools_called.clone(),
        first_byte_us: end.first_byte_us.or_else(|| facts.first_byte_us()),
        first_token_us: facts.first_token_us(),
        duration_us: ended.then_some(end.duration_us),
        relay_us: end.relay_us,
        usage,
        cost_micros: cost.as_ref().map(|cost| cost.micros),
        price_version: cost.map(|cost| cost.version),
        asked_preview: said.asked_preview.clone(),
        answered_preview: said.answered_preview.clone(),
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
    ExchangeRecord {
        exchange: exchange.within_limits(),
        heads: heads.within_limits(),
        bodies: assembled.bodies,
    }
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
    assembled: &'a Assembled,
    said: &'a Said,
}

impl Facts<'_> {
    fn model_asked(&self) -> Option<&str> {
        self.said.model_asked.as_deref().or(self.start.model_asked.as_deref())
    }

    fn error(&self, outcome: Outcome) -> Option<String> {
        let from_provider = self.said.error.clone();
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
        body.timeline.at(self.said.first_token_offset?)
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

#[cfg(test)]
mod tests {
    use verbatim_core::model::ExchangeId;
    use verbatim_dialects::{Answer, Choice, Part, ProviderError, Reading, Role, ToolCall};
    use verbatim_proto::piece;
    use verbatim_proto::v1::envelope::Message;

    use super::*;

    fn collected(request: &'static str) -> Collected {
        let mut collected = Collected::new(ExchangeId::mint(), "gateway");
        let request = piece(Leg::ClientRequest, 0, bytes::Bytes::from_static(request.as_bytes()), &[]);
        collected.add(Message::Start(Start {
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            model_asked: Some("m".to_owned()),
            request: Some(request),
            ..Start::default()
        }));
        collected
    }

    fn end(request: &str) -> End {
        let leg = v1::LegSummary {
            leg: u32::from(Leg::ClientRequest.number()),
            length: request.len() as u64,
            hash: blake3::hash(request.as_bytes()).as_bytes().to_vec(),
            ..v1::LegSummary::default()
        };
        End {
            outcome: u32::from(Outcome::Completed.number()),
            status: Some(200),
            legs: vec![leg],
            ..End::default()
        }
    }

    #[test]
    fn bytes_that_reading_fails_over_are_recorded_raw_with_a_note() {
        const REQUEST: &str = r#"{"messages":[]}"#;
        let mut one = collected(REQUEST);
        one.add(Message::End(end(REQUEST)));
        let over = ended(one, |_| panic!("a fault in a dialect"));
        let running = so_far(collected(REQUEST), Outcome::Running, |_| panic!("a fault in a dialect"));
        for (record, outcome) in [(over, Outcome::Completed), (running, Outcome::Running)] {
            assert_eq!((record.exchange.outcome, record.exchange.integrity), (outcome, Integrity::Whole));
            assert_eq!(record.bodies[0].bytes, REQUEST);
            assert_eq!(record.exchange.model_asked.as_deref(), Some("m"));
            assert!(record.heads.notes[0].contains("could not be read"), "{:?}", record.heads.notes);
        }
    }

    #[test]
    fn no_text_of_a_record_is_longer_than_its_limit() {
        let read: Read = |view| {
            let long = || "字".repeat(1 << 20);
            let call = |at: usize| {
                Part::ToolCall(ToolCall { name: format!("{at}{}", "é".repeat(1000)), ..ToolCall::default() })
            };
            let choice = Choice {
                parts: (0..1000).map(call).collect(),
                finish_reason: Some(long()),
                ..Choice::default()
            };
            Reading {
                model_asked: Some(long()),
                model_served: Some(long()),
                provider_request_id: Some(long()),
                error: Some(ProviderError { message: long(), ..ProviderError::default() }),
                notes: (0..1000).map(|at| format!("{at}{}", "é".repeat(5000))).collect(),
                messages: vec![verbatim_dialects::Message::text(Role::User, long())],
                answer: Answer { choices: vec![choice], ..Answer::default() },
                ..Reading::new(view.dialect)
            }
        };
        let mut one = collected("");
        if let Some(start) = &mut one.start {
            let long = "字".repeat(1 << 20);
            start.tags = vec!["字".repeat(1000); 1000];
            start.session = Some(long.clone());
            start.caller = Some(v1::Caller { app: Some(long), ..v1::Caller::default() });
        }
        let ExchangeRecord { exchange, heads, .. } = ended(one, read);
        let chars = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
        let names = [
            &exchange.model_asked,
            &exchange.model_served,
            &exchange.provider_request_id,
            &exchange.finish_reason,
            &exchange.session,
            &exchange.caller.app,
        ];
        assert_eq!(names.map(chars), [Exchange::NAME_CHARS; 6]);
        assert_eq!((exchange.tags.len(), exchange.tools_called.len()), (64, 64));
        assert!(exchange.tools_called[63].starts_with("63é"));
        assert!(chars(&exchange.error) <= Exchange::ERROR_CHARS && chars(&exchange.error) > 100);
        assert!(heads.notes.len() <= ExchangeHeads::MOST_NOTES);
        let all = serde_json::to_string(&(exchange, heads)).unwrap();
        assert!(all.len() < 1 << 20, "{}", all.len());
    }
}
