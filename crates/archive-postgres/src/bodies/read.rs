//! Bodies on their way back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use deadpool_postgres::Object;
use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::encoding::{Manifest, StoredBody};
use verbatim_archive_format::record::{damaged_body, verified};
use verbatim_archive_format::squeeze::Squeezer;
use verbatim_core::model::{ExchangeId, LegBody};
use verbatim_core::ports::PortResult;

use crate::error::{Doing, Fault};
use crate::tombstone::{Tombstone, bucket_of, number_of};

/// Packed blocks, by bucket and number.
pub(crate) type Blocks = HashMap<(Bucket, i64), Vec<u8>>;

/// The blocks that these bodies are made of, and what was deleted as of later than they were read.
pub(crate) async fn read_blocks(
    client: &Object,
    bodies: impl IntoIterator<Item = (Bucket, &StoredBody)>,
) -> Result<(Blocks, Tombstone), Fault> {
    const DOING: &str = "read blocks";
    let mut wanted: BTreeMap<Bucket, BTreeSet<i64>> = BTreeMap::new();
    for (bucket, body) in bodies {
        if let Manifest::Segments(segments) = &body.manifest {
            wanted.entry(bucket).or_default().extend(segments.iter().map(|segment| segment.block));
        }
    }
    let mut blocks = Blocks::new();
    if !wanted.is_empty() {
        // One bucket a statement: only its partition is opened.
        let sql = "SELECT bucket, number, data FROM block WHERE bucket = $1 AND number = ANY($2)";
        let statement = client.prepare_cached(sql).await.doing(DOING)?;
        for (bucket, numbers) in wanted {
            let numbers: Vec<i64> = numbers.into_iter().collect();
            let rows = client.query(&statement, &[&number_of(bucket), &numbers]).await.doing(DOING)?;
            blocks.extend(rows.iter().map(|row| ((bucket_of(row.get(0)), row.get(1)), row.get(2))));
        }
    }
    Ok((blocks, Tombstone::read(client).await?))
}

/// The block that was unpacked last: the next stretch is mostly of the same.
#[derive(Default)]
pub(crate) struct Unpacked {
    at: Option<(Bucket, i64)>,
    bytes: Vec<u8>,
}

/// The bytes of a body, checked against its hash; `None` where retention deleted them.
pub(crate) fn unpack_body(
    squeezer: &mut Squeezer,
    id: ExchangeId,
    bucket: Bucket,
    body: StoredBody,
    blocks: &Blocks,
    tombstone: &Tombstone,
    unpacked: &mut Unpacked,
) -> PortResult<Option<LegBody>> {
    let Manifest::Segments(segments) = &body.manifest else { return Ok(None) };
    let damaged = |block: i64, why: &dyn std::fmt::Display| {
        damaged_body(id, body.info.leg, format_args!("block {block} of bucket {bucket} {why}"))
    };
    let mut bytes = Vec::with_capacity(usize::try_from(body.info.stored).unwrap_or(0).min(64 << 20));
    for segment in segments {
        // Of a body that is damaged so, no more is put together than says so.
        if bytes.len() as u64 > body.info.stored {
            break;
        }
        let at = (bucket, segment.block);
        if unpacked.at != Some(at) {
            let Some(packed) = blocks.get(&at) else {
                if bucket < tombstone.bodies_below {
                    return Ok(None);
                }
                return Err(damaged(segment.block, &"is missing"));
            };
            unpacked.at = None;
            unpacked.bytes = squeezer.unpack_block(packed).map_err(|error| damaged(segment.block, &error))?;
            unpacked.at = Some(at);
        }
        let (start, length) = (segment.offset as usize, segment.length as usize);
        let stretch = unpacked.bytes.get(start..).and_then(|rest| rest.get(..length));
        bytes.extend_from_slice(stretch.ok_or_else(|| damaged(segment.block, &"is too short"))?);
    }
    verified(id, body, Bytes::from(bytes)).map(Some)
}

#[cfg(test)]
mod tests {
    use verbatim_archive_format::encoding::Segment;
    use verbatim_archive_format::squeeze::Squeezers;
    use verbatim_core::model::{Leg, LegInfo, Timeline};
    use verbatim_core::ports::PortError;

    use super::*;

    #[test]
    fn a_body_whose_stretches_are_more_than_it_stored_is_damaged_and_not_put_together() {
        let bucket = Bucket { week: 1, part: 0 };
        let stretch = Segment { block: 1, offset: 0, length: 1000 };
        let info = LegInfo {
            leg: Leg::ClientResponse,
            length: 3000,
            stored: 3000,
            hash: None,
            stored_hash: None,
            lost: 0,
        };
        let manifest = Manifest::Segments(vec![stretch; 100_000]);
        let body = StoredBody { info, timeline: Timeline::default(), manifest };
        let tombstone = Tombstone { erased_through: None, bodies_below: Bucket { week: 0, part: 0 } };
        let read = Squeezers::default().with(|squeezer| {
            let blocks = Blocks::from([((bucket, 1), squeezer.pack_block(&[b'x'; 1000])?)]);
            let mut unpacked = Unpacked::default();
            unpack_body(squeezer, ExchangeId::mint(), bucket, body, &blocks, &tombstone, &mut unpacked)
        });
        let Err(PortError::Permanent(why)) = read else { panic!("it is put together: {read:?}") };
        assert!(why.contains("expected 3000 bytes, found 4000"), "{why}");
    }
}
