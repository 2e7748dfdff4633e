//! Times of day where the reader is.

use http::HeaderMap;
use jiff::tz::{Offset, TimeZone};
use verbatim_core::model::Timestamp;

use crate::security::cookie;

/// The reader's time zone, as the browser tells it; UTC until it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zone(Offset);

impl Zone {
    /// Minutes east of UTC.
    pub(crate) const COOKIE: &'static str = "verbatim_tz";

    pub(crate) const UTC: Self = Self(Offset::UTC);

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        cookie(headers, Self::COOKIE)
            .and_then(|minutes| minutes.parse::<i32>().ok())
            .filter(|minutes| (-14 * 60..=14 * 60).contains(minutes))
            .and_then(|minutes| Offset::from_seconds(minutes * 60).ok())
            .map_or(Self::UTC, Self)
    }

    fn local(self, time: Timestamp) -> jiff::civil::DateTime {
        TimeZone::fixed(self.0).to_datetime(time.calendar())
    }

    /// `18:02:11` today, `11-20 18:02` this year, `2025-11-20` before.
    pub(crate) fn short(self, time: Timestamp, now: Timestamp) -> String {
        let (local, today) = (self.local(time), self.local(now).date());
        if local.date() == today {
            local.strftime("%H:%M:%S").to_string()
        } else if local.year() == today.year() {
            local.strftime("%m-%d %H:%M").to_string()
        } else {
            local.strftime("%Y-%m-%d").to_string()
        }
    }

    /// `2026-11-20 18:02:11.123 +08:00`.
    pub(crate) fn full(self, time: Timestamp) -> String {
        format!("{} {}", self.local(time).strftime("%Y-%m-%d %H:%M:%S%.3f"), self.name())
    }

    fn name(self) -> String {
        let minutes = self.0.seconds() / 60;
        if minutes == 0 {
            return "UTC".to_owned();
        }
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    fn zone(cookie: &'static str) -> Zone {
        Zone::of(&[(header::COOKIE, HeaderValue::from_static(cookie))].into_iter().collect())
    }

    const NOW: Timestamp = Timestamp::from_unix_ms(1_795_300_000_123);

    #[test]
    fn times_are_told_where_the_reader_is() {
        assert_eq!(zone("verbatim_tz=480").full(NOW), "2026-11-22 06:26:40.123 +08:00");
        assert_eq!(zone("").full(NOW), "2026-11-21 22:26:40.123 UTC");
        assert_eq!(zone("verbatim_tz=-210").short(NOW, NOW), "18:56:40");
    }

    #[test]
    fn an_older_time_says_its_day() {
        let zone = zone("");
        assert_eq!(zone.short(Timestamp::from_unix_ms(1_795_200_000_000), NOW), "11-20 18:40");
        assert_eq!(zone.short(Timestamp::from_unix_ms(1_700_000_000_000), NOW), "2023-11-14");
    }

    #[test]
    fn nonsense_is_utc() {
        assert_eq!(zone("verbatim_tz=99999999999"), Zone::UTC);
        assert_eq!(zone("verbatim_tz=abc"), Zone::UTC);
    }
}
