//! Bodies on their way back.

use bytes::Bytes;
use verbatim_core::model::{ExchangeId, LegBody};
use verbatim_core::ports::{PortError, PortResult};

use super::Buckets;
use crate::bucket::Bucket;
use crate::encoding::{Manifest, StoredBody};
use crate::squeeze::Squeezers;

/// The bytes of a body, checked against its hash; `None` where retention deleted them. Blocks its thread.
pub(crate) fn read_body(
    buckets: &Buckets,
    squeezers: &Squeezers,
    id: ExchangeId,
    bucket: Bucket,
    body: StoredBody,
) -> PortResult<Option<LegBody>> {
    let Manifest::Segments(segments) = &body.manifest else { return Ok(None) };
    let damaged = |why: String| {
        PortError::Permanent(format!(
            "the {} body of exchange {id} is damaged: {why}",
            body.info.leg.as_str()
        ))
    };
    let Some(file) = buckets.existing(bucket)? else {
        return if buckets.is_deleted(bucket) {
            Ok(None)
        } else {
            Err(damaged(format!("its file {} is missing", bucket.file_name())))
        };
    };
    let bytes = match file.read(segments, squeezers) {
        Err(PortError::Permanent(why)) => return Err(damaged(why)),
        other => Bytes::from(other?),
    };
    if bytes.len() as u64 != body.info.stored {
        return Err(damaged(format!("expected {} bytes, found {}", body.info.stored, bytes.len())));
    }
    let hash = *blake3::hash(&bytes).as_bytes();
    if body.info.stored_hash != Some(hash) {
        return Err(damaged("its bytes do not match their hash".to_owned()));
    }
    Ok(Some(LegBody { info: body.info, bytes, timeline: body.timeline }))
}
