//! Heads, attempts, timelines, and where the bodies' blocks are.

use bytes::Bytes;
use verbatim_core::model::{Attempt, ChunkTime, ExchangeHeads, Headers, Leg, LegInfo, MessageHead, Timeline};

use super::wire::{Malformed, Result, Sink, Source};
use crate::bucket::Bucket;

const VERSION: u8 = 1;

/// What the archive keeps of an exchange beside its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Heads {
    /// Heads, attempts, notes.
    pub heads: ExchangeHeads,
    /// The bucket that holds the bodies' blocks.
    pub bucket: Bucket,
    /// One a stored leg.
    pub bodies: Vec<StoredBody>,
}

/// A body as its blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBody {
    /// Lengths and hashes.
    pub info: LegInfo,
    /// When its chunks passed.
    pub timeline: Timeline,
    /// Where its bytes are.
    pub manifest: Manifest,
}

/// Where a body's bytes are.
#[derive(Debug, Clone, PartialEq)]
pub enum Manifest {
    /// Nowhere: retention had deleted that week's bodies before this one came.
    Deleted,
    /// Stretches of blocks that follow each other in it.
    Segments(Vec<Segment>),
}

/// A stretch of a block's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The block's number in its bucket.
    pub block: i64,
    /// Where in the unpacked block it starts, in bytes.
    pub offset: u32,
    /// Its bytes.
    pub length: u32,
}

/// As bytes, for [`decode_heads`].
pub fn encode_heads(stored: &Heads) -> Vec<u8> {
    let mut sink = Sink::default();
    sink.byte(VERSION);
    let heads = &stored.heads;
    head(&mut sink, &heads.request);
    sink.byte(heads.response.is_some().into());
    if let Some(response) = &heads.response {
        head(&mut sink, response);
    }
    sink.list(&heads.attempts, attempt);
    sink.list(&heads.notes, |sink, note| sink.counted(note.as_bytes()));
    sink.number(heads.facts.len() as u64);
    for (name, fact) in &heads.facts {
        sink.counted(name.as_bytes());
        sink.counted(fact.as_bytes());
    }
    sink.number(stored.bucket.week.into());
    sink.number(stored.bucket.part.into());
    sink.list(&stored.bodies, body);
    let mirrored = heads.legs.iter().eq(stored.bodies.iter().map(|body| &body.info));
    sink.byte(mirrored.into());
    if !mirrored {
        sink.list(&heads.legs, leg_info);
    }
    sink.bytes
}

/// What [`encode_heads`] was given.
///
/// # Errors
/// Where these are other bytes.
pub fn decode_heads(bytes: &[u8]) -> Result<Heads> {
    let mut source = Source::new(bytes);
    if source.byte()? != VERSION {
        return Err(Malformed("heads of version 1"));
    }
    let mut heads = ExchangeHeads { request: read_head(&mut source)?, ..ExchangeHeads::default() };
    if source.byte()? == 1 {
        heads.response = Some(read_head(&mut source)?);
    }
    heads.attempts = source.list(read_attempt)?;
    heads.notes = source.list(Source::text)?;
    heads.facts = source.list(|source| Ok((source.text()?, source.text()?)))?.into_iter().collect();
    let bucket = Bucket { week: read_small(&mut source)?, part: read_small(&mut source)? };
    let bodies = source.list(read_body)?;
    heads.legs = match source.byte()? {
        1 => bodies.iter().map(|body: &StoredBody| body.info.clone()).collect(),
        _ => source.list(read_leg_info)?,
    };
    // What was written by others may be beyond the limits that hold for what is written here.
    Ok(Heads { heads: heads.within_limits(), bucket, bodies })
}

fn read_small(source: &mut Source<'_>) -> Result<u32> {
    u32::try_from(source.number()?).map_err(|_| Malformed("a number of 32 bits"))
}

fn head(sink: &mut Sink, head: &MessageHead) {
    sink.counted(head.version.as_bytes());
    sink.maybe(head.status.map(u64::from));
    headers(sink, &head.headers);
    headers(sink, &head.trailers);
    sink.number(head.at_us);
}

fn read_head(source: &mut Source<'_>) -> Result<MessageHead> {
    Ok(MessageHead {
        version: source.text()?,
        status: read_status(source)?,
        headers: read_headers(source)?,
        trailers: read_headers(source)?,
        at_us: source.number()?,
    })
}

fn read_status(source: &mut Source<'_>) -> Result<Option<u16>> {
    source.maybe()?.map(|status| u16::try_from(status).map_err(|_| Malformed("a status"))).transpose()
}

fn headers(sink: &mut Sink, headers: &Headers) {
    sink.list(&headers.0, |sink, (name, value)| {
        sink.counted(name.as_bytes());
        sink.counted(value);
    });
}

fn read_headers(source: &mut Source<'_>) -> Result<Headers> {
    source.list(|source| Ok((source.text()?, Bytes::copy_from_slice(source.counted()?)))).map(Headers)
}

fn attempt(sink: &mut Sink, attempt: &Attempt) {
    sink.counted(attempt.provider.as_bytes());
    sink.counted(attempt.url.as_bytes());
    sink.maybe(attempt.status.map(u64::from));
    sink.maybe_text(attempt.error.as_deref());
    sink.number(attempt.started_us);
    sink.maybe(attempt.ended_us);
}

fn read_attempt(source: &mut Source<'_>) -> Result<Attempt> {
    Ok(Attempt {
        provider: source.text()?,
        url: source.text()?,
        status: read_status(source)?,
        error: source.maybe_text()?,
        started_us: source.number()?,
        ended_us: source.maybe()?,
    })
}

/// Hashes are bytes that no compression makes smaller: the second is left out where it equals the first.
fn leg_info(sink: &mut Sink, info: &LegInfo) {
    sink.byte(info.leg.number());
    sink.number(info.length);
    sink.number(info.stored);
    sink.number(info.lost);
    let same = info.hash == info.stored_hash;
    sink.byte(
        u8::from(info.hash.is_some()) | u8::from(info.stored_hash.is_some()) << 1 | u8::from(same) << 2,
    );
    if let Some(hash) = &info.hash {
        sink.raw(hash);
    }
    if let Some(hash) = info.stored_hash.as_ref().filter(|_| !same) {
        sink.raw(hash);
    }
}

fn read_leg_info(source: &mut Source<'_>) -> Result<LegInfo> {
    let leg = Leg::from_number(source.byte()?).ok_or(Malformed("a leg"))?;
    let (length, stored, lost) = (source.number()?, source.number()?, source.number()?);
    let flags = source.byte()?;
    let hash = if flags & 1 != 0 { Some(source.hash()?) } else { None };
    let stored_hash = match flags & 0b110 {
        0b110 => hash,
        0b010 => Some(source.hash()?),
        _ => None,
    };
    Ok(LegInfo { leg, length, stored, hash, stored_hash, lost })
}

fn body(sink: &mut Sink, body: &StoredBody) {
    leg_info(sink, &body.info);
    let mut last = ChunkTime { offset: 0, at_us: 0 };
    sink.list(&body.timeline.chunks, |sink, chunk| {
        sink.signed(chunk.offset.wrapping_sub(last.offset).cast_signed());
        sink.signed(chunk.at_us.wrapping_sub(last.at_us).cast_signed());
        last = *chunk;
    });
    match &body.manifest {
        Manifest::Deleted => sink.byte(0),
        Manifest::Segments(segments) => {
            sink.byte(1);
            let mut last = 0;
            sink.list(segments, |sink, segment| {
                sink.signed(segment.block.wrapping_sub(last));
                sink.number(segment.offset.into());
                sink.number(segment.length.into());
                last = segment.block;
            });
        }
    }
}

fn read_body(source: &mut Source<'_>) -> Result<StoredBody> {
    let info = read_leg_info(source)?;
    let mut last = ChunkTime { offset: 0, at_us: 0 };
    let chunks = source.list(|source| {
        last.offset = last.offset.wrapping_add(source.signed()?.cast_unsigned());
        last.at_us = last.at_us.wrapping_add(source.signed()?.cast_unsigned());
        Ok(last)
    })?;
    let manifest = match source.byte()? {
        0 => Manifest::Deleted,
        1 => {
            let mut last = 0_i64;
            Manifest::Segments(source.list(|source| {
                last = last.wrapping_add(source.signed()?);
                Ok(Segment { block: last, offset: read_small(source)?, length: read_small(source)? })
            })?)
        }
        _ => return Err(Malformed("a kind of manifest")),
    };
    Ok(StoredBody { info, timeline: Timeline { chunks }, manifest })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers_of(pairs: Vec<(String, Vec<u8>)>) -> Headers {
        Headers(pairs.into_iter().map(|(name, value)| (name, value.into())).collect())
    }

    fn any_info() -> impl Strategy<Value = LegInfo> {
        let hashes = (any::<Option<[u8; 32]>>(), any::<Option<[u8; 32]>>(), any::<bool>());
        (0..4_usize, any::<(u64, u64, u64)>(), hashes).prop_map(
            |(leg, (length, stored, lost), (one, two, same))| {
                let stored_hash = if same { one } else { two };
                LegInfo { leg: Leg::ALL[leg], length, stored, hash: one, stored_hash, lost }
            },
        )
    }

    fn any_body() -> impl Strategy<Value = StoredBody> {
        let manifest = prop_oneof![
            Just(Manifest::Deleted),
            any::<Vec<(i64, u32, u32)>>().prop_map(|segments| {
                let segment = |(block, offset, length)| Segment { block, offset, length };
                Manifest::Segments(segments.into_iter().map(segment).collect())
            }),
        ];
        (any_info(), any::<Vec<(u64, u64)>>(), manifest).prop_map(|(info, chunks, manifest)| {
            let chunks = chunks.into_iter().map(|(offset, at_us)| ChunkTime { offset, at_us }).collect();
            StoredBody { info, timeline: Timeline { chunks }, manifest }
        })
    }

    fn any_head() -> impl Strategy<Value = MessageHead> {
        let pairs = any::<Vec<(String, Vec<u8>)>>();
        (any::<String>(), any::<Option<u16>>(), pairs, any::<u64>()).prop_map(
            |(version, status, pairs, at_us)| {
                let trailers = headers_of(pairs.iter().take(1).cloned().collect());
                MessageHead { version, status, headers: headers_of(pairs), trailers, at_us }
            },
        )
    }

    fn any_attempt() -> impl Strategy<Value = Attempt> {
        let ended = any::<Option<u32>>().prop_map(|ended| ended.map(u64::from));
        (any::<(String, String, Option<u16>, Option<String>, u64)>(), ended).prop_map(
            |(attempt, ended_us)| {
                let (provider, url, status, error, started_us) = attempt;
                Attempt { provider, url, status, error, started_us, ended_us }
            },
        )
    }

    #[test]
    fn limits_hold_for_what_is_read_too() {
        let heads = ExchangeHeads { notes: vec!["n".repeat(5_000); 5_000], ..ExchangeHeads::default() };
        let stored = Heads { heads, bucket: Bucket { week: 0, part: 0 }, bodies: Vec::new() };
        let read = decode_heads(&encode_heads(&stored)).unwrap().heads;
        assert_eq!(read.notes.len(), ExchangeHeads::MOST_NOTES);
        assert!(read.notes.iter().all(|note| note.len() <= verbatim_core::model::Exchange::ERROR_CHARS));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn heads_read_back(
            request in any_head(),
            response in proptest::option::of(any_head()),
            attempts in proptest::collection::vec(any_attempt(), 0..3),
            bodies in proptest::collection::vec(any_body(), 0..4),
            notes: Vec<String>,
            facts: std::collections::BTreeMap<String, String>,
            (week, part, mirrored) in any::<(u32, u32, bool)>(),
        ) {
            let legs = if mirrored { bodies.iter().map(|body| body.info.clone()).collect() } else { Vec::new() };
            let heads = ExchangeHeads { request, response, attempts, legs, notes, facts };
            let stored = Heads { heads, bucket: Bucket { week, part }, bodies };
            prop_assert_eq!(decode_heads(&encode_heads(&stored)), Ok(stored));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>) {
            bytes.insert(0, VERSION);
            let _ = decode_heads(&bytes);
        }
    }
}
