//! How far back one looks: the choices of the dashboard's list, which an export understands too.

use std::time::Duration;

/// A stretch of time that ends now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Range {
    Hour,
    Day,
    Week,
    Month,
    #[default]
    All,
}

impl Range {
    pub(crate) const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::All];

    /// The word in addresses.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::All => "all",
        }
    }

    /// Its length; `None` without bounds.
    pub(crate) fn span(self) -> Option<Duration> {
        let hours = match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 30 * 24,
            Self::All => return None,
        };
        Some(Duration::from_secs(hours * 3600))
    }

    /// The range with this word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_found_by_its_word() {
        for range in Range::ALL {
            assert_eq!(Range::of(range.word()), Some(range));
        }
        assert_eq!(Range::of("2h"), None);
    }
}
