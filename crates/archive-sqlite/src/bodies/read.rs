//! Bodies on their way back.

use bytes::Bytes;
use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::encoding::{Manifest, StoredBody};
use verbatim_archive_format::record::{damaged_body, verified};
use verbatim_archive_format::squeeze::Squeezers;
use verbatim_core::model::{ExchangeId, LegBody};
use verbatim_core::ports::{PortError, PortResult};

use super::{Buckets, file_name};

/// The bytes of a body, checked against its hash; `None` where retention deleted them. Blocks its thread.
pub(crate) fn read_body(
    buckets: &Buckets,
    squeezers: &Squeezers,
    id: ExchangeId,
    bucket: Bucket,
    body: StoredBody,
) -> PortResult<Option<LegBody>> {
    let Manifest::Segments(segments) = &body.manifest else { return Ok(None) };
    let Some(file) = buckets.existing(bucket)? else {
        return if buckets.is_deleted(bucket) {
            Ok(None)
        } else {
            let why = format_args!("its file {} is missing", file_name(bucket));
            Err(damaged_body(id, body.info.leg, why))
        };
    };
    let bytes = match file.read(segments, body.info.stored, squeezers) {
        Err(PortError::Permanent(why)) => return Err(damaged_body(id, body.info.leg, why)),
        other => Bytes::from(other?),
    };
    verified(id, body, bytes).map(Some)
}
