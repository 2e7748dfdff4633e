//! Records as a recorder would read them from the log, held to the capture log's order.

use std::collections::HashMap;

use bytes::Bytes;
use verbatim_core::model::{ExchangeId, Leg, Outcome, Timeline};
use verbatim_core::ports::{MessageKind, Sequence};
use verbatim_proto::v1::envelope::Message as Body;
use verbatim_proto::v1::{End, Head, LegSummary, Part, Piece, Start};
use verbatim_proto::{Assembly, decode, delta_decode};
use verbatim_testkit::MemoryLog;

/// One exchange, put together from what its end names.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: ExchangeId,
    pub(crate) start: Start,
    pub(crate) end: End,
    pub(crate) request: Bytes,
    pub(crate) response: Bytes,
    pub(crate) response_times: Timeline,
    pub(crate) parts: usize,
    pub(crate) heads: Vec<Head>,
}

impl Record {
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::from_number(u8::try_from(self.end.outcome).unwrap()).unwrap()
    }

    pub(crate) fn leg(&self, leg: Leg) -> &LegSummary {
        self.end
            .legs
            .iter()
            .find(|summary| summary.leg == u32::from(leg.number()))
            .expect("every leg is summed up")
    }

    pub(crate) fn lost(&self) -> u64 {
        self.end.legs.iter().map(|leg| leg.lost).sum()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let header = self.start.headers.iter().find(|header| header.name == name)?;
        Some(String::from_utf8_lossy(&header.value).into_owned())
    }
}

/// The record that an answer names, if its end is in the log.
pub(crate) fn record_of(log: &MemoryLog, id: &str) -> Option<Record> {
    let id: ExchangeId = id.parse().unwrap();
    records(log).into_iter().find(|record| record.id == id)
}

/// Every exchange whose end is in the log, in the order of their ends.
pub(crate) fn records(log: &MemoryLog) -> Vec<Record> {
    let messages: HashMap<Sequence, _> = log.messages().into_iter().collect();
    let mut ends: Vec<_> = messages.iter().filter(|(_, message)| message.kind == MessageKind::End).collect();
    ends.sort_by_key(|(sequence, _)| **sequence);
    ends.into_iter()
        .map(|(&sequence, message)| {
            let Body::End(end) = decode(message.payload.clone()).unwrap().message else {
                panic!("not an end")
            };
            read(message.exchange, sequence, end, &messages)
        })
        .collect()
}

fn read(
    id: ExchangeId,
    end_at: Sequence,
    end: End,
    messages: &HashMap<Sequence, verbatim_core::ports::Message>,
) -> Record {
    let body = |sequence: Sequence| {
        assert!(sequence < end_at, "an end names only what was there before it");
        let message = messages.get(&sequence).expect("everything an end names is in the log");
        assert_eq!(message.exchange, id);
        decode(message.payload.clone()).unwrap().message
    };
    let mut named: Vec<Sequence> = delta_decode(&end.sequences).collect();
    for manifest in delta_decode(&end.manifests) {
        let Body::Part(part) = body(manifest) else { panic!("a manifest is a part") };
        named.extend(delta_decode(&part.sequences));
    }
    assert!(named.is_sorted(), "sequences rise: {named:?}");
    let (mut start, mut heads, mut parts) = (end.start.clone().map(|start| *start), Vec::new(), 0);
    assert!(start.is_none() || named.is_empty(), "an end with the start in it is all there is");
    let mut assemblies: HashMap<u32, Assembly> = HashMap::new();
    let mut add = |piece: Piece| assemblies.entry(piece.leg).or_default().add(piece);
    start.as_mut().and_then(|start| start.request.take()).into_iter().for_each(&mut add);
    for sequence in named {
        match body(sequence) {
            Body::Start(mut first) => {
                assert!(start.is_none(), "one start");
                first.request.take().into_iter().for_each(&mut add);
                start = Some(first);
            }
            Body::Part(Part { pieces, heads: more, .. }) => {
                assert!(start.is_some(), "the start is named first");
                parts += 1;
                pieces.into_iter().for_each(&mut add);
                heads.extend(more);
            }
            Body::End(_) => panic!("an end names no end"),
        }
    }
    end.pieces.clone().into_iter().for_each(&mut add);
    heads.extend(end.heads.clone());
    let mut leg = |leg: Leg| {
        let (bytes, times) = assemblies.remove(&u32::from(leg.number())).unwrap_or_default().finish();
        // An end that a later process wrote for one that died does not sum up.
        if let Some(summary) = end.legs.iter().find(|summary| summary.leg == u32::from(leg.number())) {
            if !summary.withheld {
                assert_eq!(summary.length, bytes.len() as u64 + summary.lost, "{leg}: {:?}", end.error);
            }
            if !summary.hash.is_empty() && summary.lost == 0 && !summary.withheld {
                let stored =
                    if summary.stored_hash.is_empty() { &summary.hash } else { &summary.stored_hash };
                assert_eq!(stored.as_slice(), blake3::hash(&bytes).as_bytes(), "{leg}");
            }
        }
        (bytes, times)
    };
    let (request, _) = leg(Leg::ClientRequest);
    let (response, response_times) = leg(Leg::ClientResponse);
    Record { id, start: start.expect("a start"), end, request, response, response_times, parts, heads }
}
