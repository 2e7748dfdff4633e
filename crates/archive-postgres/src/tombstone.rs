//! What was deleted: none of it comes back.

use tokio_postgres::{Client, Row};
use uuid::Uuid;
use verbatim_archive_format::bucket::Bucket;
use verbatim_core::model::ExchangeId;

use crate::error::{Doing, Fault};

/// How many bits of a bucket's number tell its part.
const PART_BITS: u32 = 20;

/// A bucket as the database has it.
pub(crate) fn number_of(bucket: Bucket) -> i64 {
    i64::from(bucket.week) << PART_BITS | i64::from(bucket.part & ((1 << PART_BITS) - 1))
}

/// The bucket of a number.
pub(crate) fn bucket_of(number: i64) -> Bucket {
    let number = number.max(0).unsigned_abs();
    let week = u32::try_from(number >> PART_BITS).unwrap_or(u32::MAX);
    Bucket { week, part: (number & ((1 << PART_BITS) - 1)) as u32 }
}

/// How far deletion has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tombstone {
    /// Every record up to this id is deleted.
    pub(crate) erased_through: Option<ExchangeId>,
    /// All bodies below this bucket are deleted.
    pub(crate) bodies_below: Bucket,
}

impl Tombstone {
    /// Selects what [`Self::of_row`] reads, as the first two columns.
    pub(crate) const COLUMNS: &str = "t.erased_through, t.bodies_below";

    pub(crate) fn of_row(row: &Row) -> Self {
        let (through, below): (Uuid, i64) = (row.get(0), row.get(1));
        Self { erased_through: ExchangeId::try_from(through).ok(), bodies_below: bucket_of(below) }
    }

    pub(crate) async fn read(client: &Client) -> Result<Self, Fault> {
        let sql = format!("SELECT {} FROM tombstone AS t", Self::COLUMNS);
        let row = client.query_one(&sql, &[]).await.doing("read what was deleted")?;
        Ok(Self::of_row(&row))
    }

    /// Whether a record with this id was deleted, or would be if it came now.
    pub(crate) fn covers(&self, id: ExchangeId) -> bool {
        Some(id) <= self.erased_through
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buckets_number_tells_it_and_sorts_as_it_does() {
        let buckets =
            [(0, 0), (0, 5), (2945, 0), (2945, 17), (2946, 0)].map(|(week, part)| Bucket { week, part });
        assert!(buckets.map(number_of).is_sorted());
        assert_eq!(buckets.map(number_of).map(bucket_of), buckets);
    }
}
