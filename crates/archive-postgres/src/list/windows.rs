//! Days, looked through from the newest, ever more at a time; and how many matched so far.

use deadpool_postgres::Object;
use jiff::civil::Date;
use uuid::Uuid;
use verbatim_archive_format::seek::Bounds;
use verbatim_core::model::Timestamp;

use crate::day;
use crate::error::{Doing, Fault};
use crate::records::totals;
use crate::tombstone::Tombstone;

/// Most days in one statement.
const WIDEST: usize = 64;

/// Ids that are looked through at once.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// The days that it is made of, newest first.
    pub(super) days: Vec<Date>,
    /// From this one.
    pub(super) from: Uuid,
    /// To below this one.
    pub(super) below: Uuid,
    /// Only above this one.
    pub(super) above: Option<Uuid>,
    /// To below this one go all rows of its days, wanted or not.
    pub(super) end: Uuid,
}

impl Window {
    /// For how long exchanges could come into it until now, in milliseconds.
    fn millis(&self, now: Timestamp) -> u64 {
        let millis = |id: Uuid| id.as_u64_pair().0 >> 16;
        let from = self.above.map_or(self.from, |above| above.max(self.from));
        millis(self.below.min(day::bound(now))).saturating_sub(millis(from))
    }
}

/// The days that may have what is looked for.
pub(super) struct Windows {
    /// Oldest first.
    pub(super) days: Vec<Date>,
    /// So many of them are yet to come: partitions that were made ahead.
    ahead: usize,
    width: usize,
    above: Option<Uuid>,
    below: Option<Uuid>,
    now: Timestamp,
    seen: Seen,
}

/// What was looked through to its end.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    millis: u64,
    matched: u64,
}

impl Seen {
    /// How many are likely to match in so long; any number where nothing is known yet.
    fn likely(self, millis: u64) -> Option<u64> {
        // One more than was seen, for none was seen where one is rare, too.
        let likely = u128::from(self.matched.saturating_add(1)) * u128::from(millis);
        Some(u64::try_from(likely.checked_div(self.millis.into())?).unwrap_or(u64::MAX))
    }
}

impl Windows {
    pub(super) async fn read(client: &Object, bounds: &Bounds) -> Result<Self, Fault> {
        const DOING: &str = "look which days there are";
        let sql = format!(
            "SELECT {}, ARRAY(SELECT day FROM exchange_day ORDER BY day),
             (extract(epoch FROM now()) * 1000)::bigint FROM tombstone AS t",
            Tombstone::COLUMNS
        );
        let statement = client.prepare_cached(&sql).await.doing(DOING)?;
        let row = client.query_one(&statement, &[]).await.doing(DOING)?;
        let above = bounds.above.max(Tombstone::of_row(&row).erased_through);
        let below = bounds.below;
        let mut days: Vec<Date> = row.get(2);
        days.retain(|&day| {
            above.is_none_or(|id| day::day_of(id) <= day) && below.is_none_or(|id| day <= day::day_of(id))
        });
        let now = Timestamp::from_unix_ms(row.get(3));
        let ahead = days.iter().filter(|&&day| now < day::begin(day)).count();
        let (above, below) = (above.map(day::uuid), below.map(day::uuid));
        Ok(Self { days, ahead, width: 1, above, below, now, seen: Seen::default() })
    }

    /// Passes over whole days by their totals; gives how many exchanges they have.
    pub(super) async fn pass_over(&mut self, client: &Object, skip: u64) -> Result<u64, Fault> {
        // A day that is bounded is only partly wanted.
        if self.above.is_some() || self.below.is_some() {
            return Ok(0);
        }
        let totals: std::collections::HashMap<_, _> = totals::by_day(client).await?.into_iter().collect();
        let mut passed = 0;
        while let Some(newest) = self.days.last()
            && passed + totals.get(newest).copied().unwrap_or(0) <= skip
        {
            passed += totals.get(newest).copied().unwrap_or(0);
            self.days.pop();
            self.ahead = self.ahead.saturating_sub(1);
        }
        Ok(passed)
    }

    /// The next days back in time, more of them than before.
    pub(super) fn next(&mut self) -> Option<Window> {
        let newest = *self.days.last()?;
        // In days to come there is next to nothing.
        let rest = self.days.len().saturating_sub(self.width + std::mem::take(&mut self.ahead));
        let oldest = *self.days.get(rest)?;
        let days = self.days.drain(rest..).rev().collect();
        self.width = (self.width * 2).min(WIDEST);
        let end = day::bound(day::end(newest));
        Some(Window {
            days,
            from: day::bound(day::begin(oldest)),
            below: self.below.map_or(end, |bound| bound.min(end)),
            above: self.above,
            end,
        })
    }

    /// Notes how many matched in a window that was looked through to its end.
    pub(super) fn note(&mut self, window: &Window, matched: u64) {
        self.seen.millis = self.seen.millis.saturating_add(window.millis(self.now));
        self.seen.matched = self.seen.matched.saturating_add(matched);
    }

    /// Whether a window is likely to have fewer matches than are wanted, by those of the windows before.
    pub(super) fn are_few(&self, window: &Window, wanted: u64) -> bool {
        self.seen.likely(window.millis(self.now)).is_some_and(|likely| likely < wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_us(1_795_300_000_000_000);

    /// Windows over the last days before `NOW` and two days to come.
    fn windows(days: i64) -> Windows {
        let today = day::date(NOW);
        let day = |back: i64| today.checked_sub(jiff::Span::new().days(back)).unwrap();
        Windows {
            days: (-2..days).rev().map(day).collect(),
            ahead: 2,
            width: 1,
            above: None,
            below: None,
            now: NOW,
            seen: Seen::default(),
        }
    }

    #[test]
    fn windows_widen_and_the_first_has_the_days_to_come() {
        let mut windows = windows(10);
        let mut left = Vec::new();
        while windows.next().is_some() {
            left.push(windows.days.len());
        }
        assert_eq!(left, [9, 7, 3, 0]);
    }

    #[test]
    fn what_was_rare_is_taken_to_be_rare_and_of_a_moment_nothing_is_concluded() {
        let mut windows = windows(10);
        let today = windows.next().unwrap();
        assert!(!windows.are_few(&today, u64::MAX), "nothing was seen");
        let since = today.millis(NOW);
        assert!((3_600_000..86_400_000).contains(&since), "of today what is over: {since}");
        // Just after midnight, or where a page begins: none in a second may be thousands in two days.
        let second = Uuid::from_u64_pair(((NOW.as_unix_us() / 1000 - 1000) as u64) << 16, 0);
        let moment = Window { above: Some(second), ..today.clone() };
        windows.note(&moment, 0);
        let next = windows.next().unwrap();
        assert!(!windows.are_few(&next, 51) && windows.are_few(&next, 1_000_000));
        windows.note(&today, 0);
        assert!(windows.are_few(&next, 51));
        windows.note(&next, 1_000);
        let last = windows.next().unwrap();
        assert!(!windows.are_few(&last, 51));
    }
}
