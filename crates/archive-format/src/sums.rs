//! Sums over minutes, hours and days: what a record adds to them, and what is read from them.

mod changes;
mod over_time;
mod runs;

pub use changes::{Change, Changes, Counted, Key, subtract};
pub use over_time::{SumsOfModels, SumsOverTime};
pub use runs::Run;

/// The lengths of stretches that sums are kept over, in seconds.
pub const SPANS: [i64; 3] = [DAY, HOUR, MINUTE];
/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// Seconds of an hour.
pub const HOUR: i64 = 3_600;
/// Seconds of a minute, the shortest stretch.
pub const MINUTE: i64 = 60;

/// The beginning of the stretch of `span` seconds that a second lies in.
pub fn floor(seconds: i64, span: i64) -> i64 {
    seconds.div_euclid(span) * span
}
