//! From an assembled exchange to the record that is archived: columns, heads, bodies. Pure but for the tokenizer's
//! tables; takes CPU time, so it runs on blocking threads.

use verbatim_core::model::{
    Attempt, Caller, Dialect, Exchange, ExchangeHeads, ExchangeId, ExchangeRecord, Integrity, Leg, LegBody,
    LegInfo, MessageHead, Outcome, ProviderDialect, RecordMode, Timestamp, Usage,
};
use verbatim_dialects::text;
use verbatim_proto::v1::{self, End, Start};

use crate::assemble::{self, Assembled};
use crate::collect::Collected;
use crate::price;
use crate::said::{Read, Said};

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
    let Collected { id, gateway, start, heads: mut messages, mut notes, .. } = collected;
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

    let facts = Facts {
        id,
        gateway: &gateway,
        start: &start,
        end: &end,
        ended,
        assembled: &assembled,
        outcome: number(end.outcome, Outcome::from_number).filter(|_| ended).unwrap_or(without_end),
        integrity,
    };
    let mut heads = facts.heads_of(messages.remove(&Leg::ClientResponse), notes);
    let mut exchange = facts.columns(heads.response.as_ref());
    let said = Said::read(&exchange, &heads, &assembled.bodies, read, ended);
    heads.notes.extend(said.notes.iter().cloned());
    facts.add_said(&mut exchange, said);
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

/// What is known of each leg.
fn legs_of(assembled: &Assembled) -> Vec<LegInfo> {
    let kept = assembled.bodies.iter().map(|body| body.info.clone());
    let withheld = assembled.withheld.iter().map(|(leg, length)| LegInfo {
        leg: *leg,
        length: *length,
        stored: 0,
        hash: None,
        stored_hash: None,
        lost: 0,
    });
    kept.chain(withheld).collect()
}

/// What a record is made from.
struct Facts<'a> {
    id: ExchangeId,
    gateway: &'a str,
    start: &'a Start,
    end: &'a End,
    /// Whether the end was written by who saw it.
    ended: bool,
    assembled: &'a Assembled,
    /// What the end says, if there is one that knows.
    outcome: Outcome,
    integrity: Integrity,
}

impl Facts<'_> {
    fn heads_of(&self, response: Option<v1::Head>, notes: Vec<String>) -> ExchangeHeads {
        let trailers = self.assembled.trailers.clone();
        ExchangeHeads {
            request: MessageHead {
                version: v1::read_ascii(&self.start.version),
                headers: v1::read_headers(self.start.headers.clone()),
                ..MessageHead::default()
            },
            response: response.map(|head| MessageHead { trailers, ..MessageHead::from(head) }),
            attempts: self.attempts(),
            legs: legs_of(self.assembled),
            notes,
            facts: v1::read_facts(self.end.facts.clone()),
        }
    }

    /// The columns that are known without reading the bodies.
    fn columns(&self, response: Option<&MessageHead>) -> Exchange {
        let Self { start, end, .. } = self;
        let told = end.status.and_then(|code| u16::try_from(code).ok());
        Exchange {
            id: self.id,
            gateway: self.gateway.to_owned(),
            began_at: Timestamp::from_unix_us(start.began_unix_us),
            outcome: self.outcome,
            integrity: self.integrity,
            record: number(start.record, RecordMode::from_number).unwrap_or(RecordMode::Full),
            method: start.method.clone(),
            path: start.path.clone(),
            status: if self.ended { told } else { response.and_then(|head| head.status) },
            error: end.error.clone(),
            caller: start.caller.clone().map(Caller::from).unwrap_or_default(),
            provider: if end.provider.is_empty() { start.provider.clone() } else { end.provider.clone() },
            provider_dialect: number(start.provider_dialect, ProviderDialect::from_number)
                .unwrap_or(ProviderDialect::Raw),
            dialect: Dialect::Raw,
            provider_request_id: None,
            model_asked: start.model_asked.clone(),
            model_served: None,
            session: start.session.clone(),
            tags: start.tags.clone(),
            trace_id: start.trace_id.clone(),
            streamed: false,
            finish_reason: None,
            tools_called: Vec::new(),
            first_byte_us: end.first_byte_us.or_else(|| self.response()?.timeline.at(0)),
            first_token_us: None,
            duration_us: self.ended.then_some(end.duration_us),
            relay_us: end.relay_us,
            usage: Usage::default(),
            cost_micros: None,
            price_version: None,
            asked_preview: String::new(),
            answered_preview: String::new(),
            request_bytes: self.wire_bytes(Leg::ClientRequest),
            response_bytes: self.wire_bytes(Leg::ClientResponse),
            lost_bytes: self
                .assembled
                .bodies
                .iter()
                .fold(0, |lost, body| lost.saturating_add(body.info.lost)),
        }
    }

    /// Adds what the bodies say.
    fn add_said(&self, exchange: &mut Exchange, said: Said) {
        // Only reading the answer shows an error that came inside a stream of status 200.
        if exchange.outcome == Outcome::Completed && said.error.is_some() {
            exchange.outcome = Outcome::UpstreamError;
        }
        let told = exchange.error.take();
        let line = match exchange.outcome {
            Outcome::UpstreamError => said.error.or(told),
            _ => told.or(said.error),
        };
        exchange.error = line.map(|line| text::preview(&line)).filter(|line| !line.is_empty());
        exchange.dialect = said.dialect;
        exchange.provider_request_id = said.provider_request_id;
        exchange.model_asked = said.model_asked.or_else(|| exchange.model_asked.take());
        exchange.model_served = said.model_served;
        exchange.streamed = said.streamed;
        exchange.finish_reason = said.finish_reason;
        exchange.tools_called = said.tools_called;
        exchange.first_token_us = said.first_token_offset.and_then(|offset| self.first_token_us(offset));
        exchange.usage = said.usage;
        exchange.asked_preview = said.asked_preview;
        exchange.answered_preview = said.answered_preview;
        let models = [exchange.model_served.as_deref(), exchange.model_asked.as_deref()];
        if let Some(cost) = price::cost(&exchange.provider, models, &exchange.usage) {
            exchange.cost_micros = Some(cost.micros);
            exchange.price_version = Some(cost.version);
        }
    }

    fn response(&self) -> Option<&LegBody> {
        self.assembled.bodies.iter().find(|body| body.info.leg == Leg::ClientResponse)
    }

    /// When the byte at this offset of the answer passed.
    fn first_token_us(&self, offset: u64) -> Option<u64> {
        let body = self.response()?;
        // Offsets are of the wire; where bytes are missing they no longer tell.
        if body.info.stored != body.info.length {
            return None;
        }
        body.timeline.at(offset)
    }

    fn wire_bytes(&self, leg: Leg) -> u64 {
        let summary = self.end.legs.iter().find(|summary| summary.leg == u32::from(leg.number()));
        let known =
            self.assembled.bodies.iter().find(|body| body.info.leg == leg).map(|body| body.info.length);
        summary.map(|summary| summary.length).or(known).unwrap_or(0)
    }

    /// Each try to reach a provider; the one under way where no end tells of any.
    fn attempts(&self) -> Vec<Attempt> {
        if !self.end.attempts.is_empty() {
            return self.end.attempts.iter().cloned().map(Attempt::from).collect();
        }
        if self.start.upstream_url.is_empty() {
            return Vec::new();
        }
        let provider = self.start.provider.clone();
        vec![Attempt { provider, url: self.start.upstream_url.clone(), ..Attempt::default() }]
    }
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::Provenance;
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
    fn tokens_that_the_provider_told_stay_and_the_others_are_estimated() {
        let read: Read = |view| {
            let choice = Choice { parts: vec![Part::text("Sunny, with some clouds.")], ..Choice::default() };
            Reading {
                usage: Some(Usage {
                    input_tokens: Some(99),
                    provenance: Some(Provenance::Provider),
                    ..Usage::default()
                }),
                answer: Answer { choices: vec![choice], ..Answer::default() },
                ..Reading::new(view.dialect)
            }
        };
        let mut one = collected("");
        one.add(Message::End(end("")));
        let usage = ended(one, read).exchange.usage;
        assert_eq!((usage.input_tokens, usage.provenance), (Some(99), Some(Provenance::Estimated)));
        assert!(usage.output_tokens.is_some_and(|tokens| (4..10).contains(&tokens)), "{usage:?}");
        assert_eq!(usage.total_tokens, Some(99 + usage.output_tokens.unwrap_or(0)));
        // A call that is under way is not estimated: its answer is not all there yet.
        let running = so_far(collected(""), Outcome::Running, read).exchange.usage;
        assert_eq!((running.input_tokens, running.output_tokens), (Some(99), None));
        assert_eq!(running.provenance, Some(Provenance::Provider));
    }

    #[test]
    fn no_name_that_a_caller_or_provider_sent_steers_a_terminal() {
        const BAD: &str = "a\u{1b}]0;x\u{7}\u{202e}b\nc";
        let read: Read = |view| {
            let call = Part::ToolCall(ToolCall { name: BAD.to_owned(), ..ToolCall::default() });
            let choice =
                Choice { parts: vec![call], finish_reason: Some(BAD.to_owned()), ..Choice::default() };
            Reading {
                model_asked: Some(BAD.to_owned()),
                model_served: Some(BAD.to_owned()),
                provider_request_id: Some(BAD.to_owned()),
                answer: Answer { choices: vec![choice], ..Answer::default() },
                ..Reading::new(view.dialect)
            }
        };
        let mut one = collected("");
        one.add(Message::End(end("")));
        let exchange = ended(one, read).exchange;
        let names = [
            exchange.model_asked,
            exchange.model_served,
            exchange.provider_request_id,
            exchange.finish_reason,
            exchange.tools_called.into_iter().next(),
        ];
        for name in names {
            let name = name.unwrap();
            assert!(name.contains('a') && !name.contains(['\u{1b}', '\u{7}', '\u{202e}', '\n']), "{name:?}");
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
