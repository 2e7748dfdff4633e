//! What holds of a record before it is stored, and of a body before it is given out.

use std::time::Duration;

use bytes::Bytes;
use verbatim_core::model::{Exchange, ExchangeId, ExchangeRecord, Leg, LegBody, LegInfo, Timestamp};
use verbatim_core::ports::{PortError, PortResult};

use crate::bucket::Bucket;
use crate::encoding::{Heads, Manifest, StoredBody, encode_heads};
use crate::squeeze::{LARGEST_HEADS, Squeezer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody has records older than this: an id that says so is wrong.
const OLDEST: Duration = Duration::from_secs(3_653 * 24 * 60 * 60);

/// Bytes of heads, notes and times that are kept of an exchange: what is left of [`LARGEST_HEADS`] tells where its bodies
/// are.
const MOST_HEADS: usize = LARGEST_HEADS - (8 << 20);

/// What a reader of an exchange is told whose bodies retention deleted.
pub const BODIES_DELETED: &str = "bodies deleted by retention";

/// Why a record can never be stored, if so.
pub fn unfit(record: &ExchangeRecord) -> Option<String> {
    let takes = heads_bytes(record);
    if takes > MOST_HEADS {
        return Some(format!("its heads, notes and times take {takes} bytes: at most {MOST_HEADS} are kept"));
    }
    record.bodies.iter().find_map(|body| {
        let LegInfo { leg, stored, stored_hash, .. } = body.info;
        let found = body.bytes.len() as u64;
        if stored != found {
            return Some(format!("the {leg} body says that it has {stored} bytes, but has {found}"));
        }
        let hash = blake3::hash(&body.bytes);
        stored_hash
            .is_some_and(|stored| hash != stored)
            .then(|| format!("the {leg} body's bytes do not match the hash that came with them"))
    })
}

/// Bytes that heads, notes and times take at most when they are encoded, about.
fn heads_bytes(record: &ExchangeRecord) -> usize {
    // Lengths and kinds of texts; two numbers that may be of ten bytes each.
    const TEXT: usize = 4;
    const CHUNK: usize = 20;
    let heads = &record.heads;
    let messages = [Some(&heads.request), heads.response.as_ref()].into_iter().flatten();
    let headers = messages.flat_map(|head| head.headers.0.iter().chain(&head.trailers.0));
    let headers = headers.map(|(name, value)| name.len() + value.len() + 2 * TEXT);
    let attempts = heads.attempts.iter().map(|attempt| {
        let error = attempt.error.as_ref().map_or(0, String::len);
        attempt.provider.len() + attempt.url.len() + error + 3 * TEXT + CHUNK
    });
    let notes = heads.notes.iter().map(|note| note.len() + TEXT);
    let facts = heads.facts.iter().map(|(name, fact)| name.len() + fact.len() + 2 * TEXT);
    let chunks = record.bodies.iter().map(|body| body.timeline.chunks.len() * CHUNK);
    headers.chain(attempts).chain(notes).chain(facts).chain(chunks).sum()
}

/// Whose blocks an exchange may share.
pub fn tenant(exchange: &Exchange) -> String {
    match (&exchange.caller.project, &exchange.caller.credential) {
        (Some(project), _) => format!("project {project}"),
        (None, Some(credential)) => format!("credential {credential}"),
        (None, None) => String::new(),
    }
}

/// Whether an id does not tell when its exchange was made: far from now, or from when the exchange began.
pub fn is_stray(id: ExchangeId, began_at: Timestamp, now: Timestamp) -> bool {
    let time = id.time();
    let apart = time.since(began_at).max(began_at.since(time));
    time < now.minus(OLDEST) || time > now.plus(DAY) || apart > DAY
}

/// A record whose bodies are blocks, as it is written.
#[derive(Debug)]
pub struct PackedRecord {
    /// Its columns.
    pub exchange: Exchange,
    /// Heads and manifests, packed.
    pub heads: Vec<u8>,
    /// Bytes of its bodies, before blocks are shared.
    pub captured: u64,
    /// The bucket that its bodies are in, or would have been.
    pub bucket: Bucket,
}

impl PackedRecord {
    /// Packs a record that [fits](unfit); `manifests` has one for each of its bodies, in order.
    ///
    /// # Errors
    /// Transient where there is no memory to compress with.
    pub fn new(
        squeezer: &mut Squeezer,
        record: ExchangeRecord,
        bucket: Bucket,
        manifests: impl IntoIterator<Item = Manifest>,
    ) -> PortResult<Self> {
        let captured = record.bodies.iter().map(|body| body.info.stored).sum();
        let stored = record.bodies.into_iter().zip(manifests).map(|(body, manifest)| StoredBody {
            info: checked(&body),
            timeline: body.timeline,
            manifest,
        });
        let heads = Heads { bodies: stored.collect(), heads: record.heads, bucket };
        let heads = squeezer.pack_heads(&encode_heads(&heads))?;
        Ok(Self { exchange: record.exchange, heads, captured, bucket })
    }
}

/// Lets go of the bytes of a body that is in blocks: its record is packed without them.
pub fn let_go(body: &mut LegBody) {
    body.info = checked(body);
    body.bytes = Bytes::new();
}

/// A body's description with the hash that reading checks.
fn checked(body: &LegBody) -> LegInfo {
    let hash = body.info.stored_hash.unwrap_or_else(|| *blake3::hash(&body.bytes).as_bytes());
    LegInfo { stored_hash: Some(hash), ..body.info.clone() }
}

/// A permanent error that says which body is damaged, and why.
pub fn damaged_body(id: ExchangeId, leg: Leg, why: impl std::fmt::Display) -> PortError {
    PortError::Permanent(format!("the {} body of exchange {id} is damaged: {why}", leg.as_str()))
}

/// A body whose bytes are those that were stored.
///
/// # Errors
/// Permanent where they are not.
pub fn verified(id: ExchangeId, body: StoredBody, bytes: Bytes) -> PortResult<LegBody> {
    let damaged = |why: String| Err(damaged_body(id, body.info.leg, why));
    if bytes.len() as u64 != body.info.stored {
        return damaged(format!("expected {} bytes, found {}", body.info.stored, bytes.len()));
    }
    if body.info.stored_hash != Some(*blake3::hash(&bytes).as_bytes()) {
        return damaged("its bytes do not match their hash".to_owned());
    }
    Ok(LegBody { info: body.info, bytes, timeline: body.timeline })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_far_from_now_or_from_the_beginning_is_stray() {
        let now = Timestamp::from_unix_ms(1_795_300_000_000);
        let stray = |id: Timestamp, began: Timestamp| is_stray(ExchangeId::lowest_at(id), began, now);
        assert!(!stray(now, now));
        assert!(!stray(now.minus(DAY * 3_000), now.minus(DAY * 3_000)));
        assert!(stray(now.plus(DAY * 2), now.plus(DAY * 2)));
        assert!(stray(now.minus(DAY * 4_000), now.minus(DAY * 4_000)));
        assert!(stray(now, now.minus(DAY * 2)));
    }
}
