//! Days: what a partition of records holds.

use jiff::civil::Date;
use jiff::tz::Offset;
use uuid::Uuid;
use verbatim_core::model::{ExchangeId, Timestamp};

/// The UTC date inside an id.
pub(crate) fn day_of(id: ExchangeId) -> Date {
    date(id.time())
}

/// The UTC date of a moment.
pub(crate) fn date(time: Timestamp) -> Date {
    Offset::UTC.to_datetime(time.calendar()).date()
}

/// The first moment of a day.
pub(crate) fn begin(day: Date) -> Timestamp {
    let midnight = Offset::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight()));
    Timestamp::from_unix_us(midnight.map_or(i64::MAX, jiff::Timestamp::as_microsecond))
}

/// The first moment after a day.
pub(crate) fn end(day: Date) -> Timestamp {
    day.tomorrow().map_or(Timestamp::from_unix_us(i64::MAX), begin)
}

/// The smallest bytes that an id of this moment can begin with, version and all: the bound of a partition.
pub(crate) fn bound(time: Timestamp) -> Uuid {
    let millis = time.as_unix_ms().clamp(0, (1 << 48) - 1).unsigned_abs();
    Uuid::from_u64_pair(millis << 16, 0)
}

/// The last id of a day.
pub(crate) fn last_of(day: Date) -> ExchangeId {
    ExchangeId::highest_at(end(day).minus(std::time::Duration::from_millis(1)))
}

/// An id as the database has it.
pub(crate) fn uuid(id: ExchangeId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// The name of a day's partition of records.
pub(crate) fn table(day: Date) -> String {
    format!("exchange_{:04}{:02}{:02}", day.year(), day.month(), day.day())
}

/// The day whose partition has this name.
pub(crate) fn of_table(name: &str) -> Option<Date> {
    let digits = name.strip_prefix("exchange_")?;
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i8>().ok();
    let (year, month, day) = (digits.get(0..4)?.parse::<i16>().ok()?, number(4..6)?, number(6..8)?);
    Date::new(year, month, day).ok().filter(|&day| table(day) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_days_bounds_hold_every_id_of_it_and_no_other() {
        let id = ExchangeId::mint();
        let day = day_of(id);
        assert!(bound(begin(day)) <= uuid(id) && uuid(id) < bound(end(day)));
        assert_eq!(day_of(last_of(day)), day);
        assert!(uuid(last_of(day)) < bound(end(day)));
        assert_eq!(day_of(ExchangeId::lowest_at(end(day))), day.tomorrow().unwrap());
        assert!(uuid(ExchangeId::lowest_at(begin(day))) >= bound(begin(day)));
    }

    #[test]
    fn a_partitions_name_tells_its_day() {
        let day = Date::constant(2026, 11, 27);
        assert_eq!((table(day).as_str(), of_table("exchange_20261127")), ("exchange_20261127", Some(day)));
        for other in
            ["exchange_stray", "exchange_2026112", "exchange_20261340", "exchange_20261127_id", "exchange"]
        {
            assert_eq!(of_table(other), None, "{other}");
        }
    }
}
