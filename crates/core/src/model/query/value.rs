//! Reads numbers, amounts of money, durations and moments.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::super::Timestamp;

/// What a number counts, and the units it may be typed in.
pub(super) struct Scale {
    /// Suffixes with what one of them is worth. The first is what a bare number is in.
    units: &'static [(&'static str, u64)],
    /// A sign that may stand before the number.
    prefix: Option<char>,
    /// Whether `4xx` stands for 400 to 499.
    classes: bool,
    /// What to type, for a message.
    pub(super) expected: &'static str,
}

pub(super) const STATUS: Scale = Scale {
    units: &[("", 1)],
    prefix: None,
    classes: true,
    expected: "a status such as 404, 4xx, >=400 or 400..499",
};

pub(super) const TOKENS: Scale = Scale {
    units: &[("", 1), ("k", 1_000), ("m", 1_000_000)],
    prefix: None,
    classes: false,
    expected: "a number of tokens such as >1000, 10k or 500..2000",
};

/// In millionths of a US dollar.
pub(super) const COST: Scale = Scale {
    units: &[("", 1_000_000)],
    prefix: Some('$'),
    classes: false,
    expected: "US dollars such as >0.01 or 0.5..2",
};

/// In microseconds.
pub(super) const DURATION: Scale = Scale {
    units: &[
        ("", 1_000_000),
        ("us", 1),
        ("µs", 1),
        ("ms", 1_000),
        ("s", 1_000_000),
        ("m", 60_000_000),
        ("min", 60_000_000),
        ("h", 3_600_000_000),
    ],
    prefix: None,
    classes: false,
    expected: "a duration such as >2s, <500ms or 1.5m..5m",
};

/// In microseconds, before now.
const AGO: &[(&str, u64)] = &[
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
];

pub(super) const MOMENT: &str =
    "a moment such as 2h, 7d, today, yesterday, 2026-11-20 or 2026-11-20T08:30:00Z";

/// What one number stands for, rounded to whole units: `4xx` for many numbers, `0.5` for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Whole {
    /// The lowest whole number that is not below it.
    low: u64,
    /// The highest whole number that is not above it.
    high: u64,
}

/// The bounds, inclusive, that a comparison, a range or a single number sets.
pub(super) fn bounds(text: &str, scale: &Scale) -> Result<(Option<u64>, Option<u64>), String> {
    let expected = || format!("expected {}, got `{}`", scale.expected, super::print::shortened(text));
    let number = |text: &str| number(text.trim(), scale).ok_or_else(expected);
    if let Some((from, to)) = text.split_once("..") {
        let min = if from.is_empty() { None } else { Some(number(from)?.low) };
        let max = if to.is_empty() { None } else { Some(number(to)?.high) };
        return match (min, max) {
            (None, None) => Err(expected()),
            (Some(min), Some(max)) if min > max => {
                Err("nothing lies in this range: its first bound is above its second".to_owned())
            }
            bounds => Ok(bounds),
        };
    }
    let (comparison, rest) = comparison(text);
    let whole = number(rest)?;
    match comparison {
        "" | "=" if whole.low > whole.high => {
            Err("nothing is exactly this: it is finer than what is counted".to_owned())
        }
        "" | "=" => Ok((Some(whole.low), Some(whole.high))),
        ">=" => Ok((Some(whole.low), None)),
        "<=" => Ok((None, Some(whole.high))),
        ">" => Ok((Some(whole.high.checked_add(1).ok_or_else(expected)?), None)),
        _ => match whole.low.checked_sub(1) {
            Some(max) => Ok((None, Some(max))),
            None => Err("nothing is below zero".to_owned()),
        },
    }
}

/// Splits a comparison sign off, full-width ones read as their ASCII equals.
fn comparison(text: &str) -> (&'static str, &str) {
    const SIGNS: [(&str, &str); 11] = [
        (">=", ">="),
        ("<=", "<="),
        ("＞=", ">="),
        ("＜=", "<="),
        ("≥", ">="),
        ("≤", "<="),
        (">", ">"),
        ("<", "<"),
        ("＞", ">"),
        ("＜", "<"),
        ("=", "="),
    ];
    SIGNS.iter().find_map(|(typed, sign)| Some((*sign, text.strip_prefix(typed)?))).unwrap_or(("", text))
}

/// Whether a value is a single number, neither compared nor a range.
pub(super) fn is_single(text: &str) -> bool {
    matches!(comparison(text).0, "" | "=") && !text.contains("..")
}

fn number(text: &str, scale: &Scale) -> Option<Whole> {
    if scale.classes
        && let [class @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] = text.as_bytes()
    {
        let low = u64::from(class - b'0') * 100;
        return Some(Whole { low, high: low + 99 });
    }
    let text = scale.prefix.and_then(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    scaled(text, scale.units)
}

/// A decimal number with a unit behind it, multiplied out. `None` where it is neither or does not fit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<Whole> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let worth = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, worth)| u128::from(*worth))?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Eighteen digits behind the point are finer than any unit; what is behind them only says "a little more".
    let (kept, rest) = fraction.split_at(fraction.len().min(18));
    let part: u128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    let divisor = 10u128.pow(u32::try_from(kept.len()).ok()?);
    let product = part * worth;
    let more = !product.is_multiple_of(divisor) || rest.bytes().any(|digit| digit != b'0');
    let high = u64::try_from(whole.checked_mul(worth)?.checked_add(product / divisor)?).ok()?;
    Some(Whole { low: high.checked_add(u64::from(more))?, high })
}

/// A moment, or a whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// When it begins.
    pub(super) first: Timestamp,
    /// Its last microsecond.
    pub(super) last: Timestamp,
    /// Whether it is a day.
    pub(super) day: bool,
}

/// Reads a moment; `now` is what `2h` and `today` count from. Days are days in UTC.
pub(super) fn moment(text: &str, now: Timestamp) -> Option<Moment> {
    let today = || TimeZone::UTC.to_datetime(now.calendar()).date();
    match text.to_ascii_lowercase().as_str() {
        "now" => return Some(instant(now)),
        "today" => return day(today()),
        "yesterday" => return day(today().yesterday().ok()?),
        _ => {}
    }
    if let Some(ago) = scaled(text, AGO) {
        let then = now.as_unix_us().checked_sub(i64::try_from(ago.high).ok()?)?;
        // Kept within the calendar, so that it can be shown.
        jiff::Timestamp::from_microsecond(then).ok()?;
        return Some(instant(Timestamp::from_unix_us(then)));
    }
    // A date alone is a day; jiff would also read one off the front of a date and time.
    if !text.contains(['T', 't', ' ', ':']) {
        return day(text.parse::<Date>().ok()?);
    }
    let then = match text.parse::<jiff::Timestamp>() {
        Ok(then) => then,
        Err(_) => TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    Some(instant(Timestamp::from_unix_us(then.as_microsecond())))
}

fn instant(at: Timestamp) -> Moment {
    Moment { first: at, last: at, day: false }
}

fn day(date: Date) -> Option<Moment> {
    let first = TimeZone::UTC.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()?;
    let first = Timestamp::from_unix_us(first.as_microsecond());
    let last = first.plus(Duration::from_micros(86_400_000_000 - 1));
    Some(Moment { first, last, day: true })
}
