//! Figures as people read them. Every figure that is not known is a dash.

use verbatim_core::model::{Provenance, Usage};

/// What stands for a figure that is not known.
pub(crate) const UNKNOWN: &str = "–";

/// 12408 as `12,408`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// 31200000 as `31.2 M`; up to five digits are written out.
pub(crate) fn compact(number: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    if number < 100_000 {
        return count(number);
    }
    for (unit, sign) in STEPS {
        if number >= unit {
            return format!("{} {sign}", three_digits(number as f64 / unit as f64));
        }
    }
    count(number)
}

fn three_digits(value: f64) -> String {
    if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Microseconds as `0.11 ms`, `412 ms`, `1.84 s`, `2 m 05 s`, `3 h 20 m`.
pub(crate) fn duration(us: u64) -> String {
    let ms = us as f64 / 1000.0;
    match us {
        0..10_000 => format!("{ms:.2} ms"),
        10_000..99_950 => format!("{ms:.1} ms"),
        99_950..999_500 => format!("{ms:.0} ms"),
        999_500..59_950_000 => format!("{} s", three_digits(ms / 1000.0)),
        59_950_000..3_600_000_000 => {
            let seconds = (us + 500_000) / 1_000_000;
            format!("{} m {:02} s", seconds / 60, seconds % 60)
        }
        _ => {
            let minutes = us / 60_000_000;
            format!("{} h {:02} m", minutes / 60, minutes % 60)
        }
    }
}

/// A duration that may not be known.
pub(crate) fn duration_or(us: Option<u64>) -> String {
    us.map_or_else(|| UNKNOWN.to_owned(), duration)
}

/// Millionths of a dollar as `$0.0004`, `$0.42`, `$84.10`.
pub(crate) fn cost(micros: u64) -> String {
    let dollars = micros as f64 / 1e6;
    match micros {
        0 => "$0".to_owned(),
        1..100 => format!("${dollars:.6}"),
        100..100_000 => format!("${dollars:.4}"),
        100_000..1_000_000_000 => format!("${dollars:.2}"),
        _ => format!("${}", count(micros / 1_000_000)),
    }
}

/// Bytes as `812 B`, `1.20 KiB`, `20.0 MiB`: in the units of the configuration.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// A share as `99.2 %`; never rounded up to all, nor down to none.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if share >= 1.0 {
        format!("{percent:.0} %")
    } else if percent > 99.9 {
        "99.9 %".to_owned()
    } else if share > 0.0 && percent < 0.1 {
        "0.1 %".to_owned()
    } else {
        format!("{percent:.1} %")
    }
}

/// The mark behind an estimate.
pub(crate) fn mark(usage: &Usage) -> &'static str {
    if usage.provenance == Some(Provenance::Estimated) { " ≈" } else { "" }
}

/// A count that may not be known.
pub(crate) fn count_or(number: Option<u64>) -> String {
    number.map_or_else(|| UNKNOWN.to_owned(), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_large_ones_shortened() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(12_408), "12,408");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(compact(99_999), "99,999");
        assert_eq!(compact(31_200_000), "31.2 M");
        assert_eq!(compact(u64::MAX), "18446744074 G");
    }

    #[test]
    fn durations_have_three_digits_whatever_their_size() {
        for (us, shown) in [
            (110, "0.11 ms"),
            (12_300, "12.3 ms"),
            (412_000, "412 ms"),
            (999_600, "1.00 s"),
            (1_840_000, "1.84 s"),
            (12_340_000, "12.3 s"),
            (59_990_000, "1 m 00 s"),
            (125_000_000, "2 m 05 s"),
            (12_000_000_000, "3 h 20 m"),
        ] {
            assert_eq!(duration(us), shown);
        }
    }

    #[test]
    fn costs_keep_what_matters() {
        for (micros, shown) in [
            (0, "$0"),
            (7, "$0.000007"),
            (410, "$0.0004"),
            (58_100, "$0.0581"),
            (420_000, "$0.42"),
            (84_100_000, "$84.10"),
            (12_345_678_900, "$12,345"),
        ] {
            assert_eq!(cost(micros), shown);
        }
    }

    #[test]
    fn sizes_and_shares_read_well() {
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_536), "1.50 KiB");
        assert_eq!(bytes(20 << 20), "20.0 MiB");
        assert_eq!(bytes(1023 << 10), "1.00 MiB");
        assert_eq!(percent(0.9996), "99.9 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0), "0.0 %");
        assert_eq!(percent(0.5), "50.0 %");
    }
}
