//! Where a document stands: row numbers that follow the ids.
//!
//! An id begins with the millisecond it was minted in, and so does its row's number, with a count within the
//! millisecond behind it. Rows of different milliseconds thus stand in the order of their ids, and a query may stop
//! once it has a page; only within a millisecond the ids themselves have to be compared. Row numbers that rise by
//! little also keep the lists of postings small.

use std::ops::RangeInclusive;

use verbatim_core::model::ExchangeId;

/// 4,096 rows a millisecond: with a 48-bit millisecond, 60 of 63 bits.
const BITS: u32 = 12;

/// The rows of the millisecond that an id was minted in.
pub(crate) fn rows_of(id: ExchangeId) -> RangeInclusive<i64> {
    let first = id.time().as_unix_ms() << BITS;
    first..=first + (1 << BITS) - 1
}

/// The millisecond of a row, to tell whether two rows share theirs.
pub(crate) fn millisecond_of(row: i64) -> i64 {
    row >> BITS
}

#[cfg(test)]
mod tests {
    use verbatim_core::model::Timestamp;

    use super::*;

    #[test]
    fn rows_follow_the_ids() {
        let earlier = ExchangeId::highest_at(Timestamp::from_unix_ms(1_795_300_000_123));
        let later = ExchangeId::lowest_at(Timestamp::from_unix_ms(1_795_300_000_124));
        assert!(rows_of(earlier).end() < rows_of(later).start());
        assert_eq!(millisecond_of(*rows_of(later).end()), 1_795_300_000_124);
    }

    #[test]
    fn every_id_has_rows() {
        let last = ExchangeId::highest_at(Timestamp::from_unix_ms((1 << 48) - 1));
        assert!(*rows_of(last).end() > 0);
        assert!(*rows_of(ExchangeId::lowest_at(Timestamp::from_unix_ms(0))).start() >= 0);
    }
}
