//! The closed sets of words that describe an exchange. Each word reads the same in code, API, UI and files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A word that is not in the closed set it was read for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {found:?}: expected one of {expected}")]
pub struct UnknownWord {
    /// What was being read, such as `outcome`.
    pub what: &'static str,
    /// What came, shortened.
    pub found: String,
    /// The words that are known, separated by commas.
    pub expected: String,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident ($what:literal) { $($(#[$vmeta:meta])* $variant:ident = $number:literal $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant = $number),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Its number, stable for ever: what files and wires store.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The value with this number.
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord {
                        what: $what,
                        found: text.chars().take(64).collect(),
                        expected: [$($word),+].join(", "),
                    }),
                }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// One direction on one side of an exchange.
    Leg("leg") {
        /// What the application sent.
        ClientRequest = 1 "client_request",
        /// What the provider was sent; stored only where it differs from what the application sent.
        UpstreamRequest = 2 "upstream_request",
        /// What the provider answered; stored only where it differs from what the application got.
        UpstreamResponse = 3 "upstream_response",
        /// What the application got.
        ClientResponse = 4 "client_response",
    }
}

impl Leg {
    /// The leg of the other side in the same direction, which holds the same bytes where only one is stored.
    pub const fn counterpart(self) -> Self {
        match self {
            Self::ClientRequest => Self::UpstreamRequest,
            Self::UpstreamRequest => Self::ClientRequest,
            Self::UpstreamResponse => Self::ClientResponse,
            Self::ClientResponse => Self::UpstreamResponse,
        }
    }

    /// Whether it goes from application to provider.
    pub const fn is_request(self) -> bool {
        matches!(self, Self::ClientRequest | Self::UpstreamRequest)
    }
}

words! {
    /// How an exchange ended.
    Outcome("outcome") {
        /// It is not over yet; the record is a checkpoint.
        Running = 0 "running",
        /// The answer reached the application whole, with a status below 400.
        Completed = 1 "completed",
        /// The provider answered with a status of 400 or above, or with an error inside a stream.
        UpstreamError = 2 "upstream_error",
        /// The application left first.
        ClientAborted = 3 "client_aborted",
        /// The provider could not be reached, or broke off.
        UpstreamAborted = 4 "upstream_aborted",
        /// One of the four timeouts ran out.
        TimedOut = 5 "timed_out",
        /// The gateway refused it: key, limit, bad input.
        Refused = 6 "refused",
        /// The gateway shut down first.
        Interrupted = 7 "interrupted",
        /// The gateway died; the record holds what is known.
        Incomplete = 8 "incomplete",
    }
}

words! {
    /// Whether the record holds every byte that passed.
    Integrity("integrity") {
        /// Every byte is there.
        Whole = 0 "whole",
        /// Bytes are missing, and the record says how many.
        Partial = 1 "partial",
        /// Bytes that should be there are not, or do not match their hash.
        Damaged = 2 "damaged",
    }
}

words! {
    /// What of an exchange is recorded; asked for with `x-verbatim-record`.
    RecordMode("record mode") {
        /// Everything.
        Full = 0 "full",
        /// No bodies.
        Meta = 1 "meta",
        /// Method, path, provider, status, sizes and times only, so that counts stay true.
        Off = 2 "off",
    }
}

words! {
    /// Which of two records of one exchange replaces the other: the one of higher rank.
    Rank("rank") {
        /// A checkpoint of an exchange that is not over.
        Running = 0 "running",
        /// Its gateway died.
        Incomplete = 1 "incomplete",
        /// Ended, but bytes that should be there are not.
        Damaged = 2 "damaged",
        /// Ended, and everything that was captured is there.
        Complete = 3 "complete",
    }
}

impl Rank {
    /// The rank of a record with this outcome and integrity.
    pub const fn of(outcome: Outcome, integrity: Integrity) -> Self {
        match (outcome, integrity) {
            (Outcome::Running, _) => Self::Running,
            (Outcome::Incomplete, _) => Self::Incomplete,
            (_, Integrity::Damaged) => Self::Damaged,
            _ => Self::Complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_number_reads_back() {
        for &outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(outcome));
            assert_eq!(Outcome::from_number(outcome.number()), Some(outcome));
        }
        for &leg in Leg::ALL {
            assert_eq!(leg.as_str().parse(), Ok(leg));
            assert_eq!(leg.counterpart().counterpart(), leg);
            assert_eq!(leg.counterpart().is_request(), leg.is_request());
        }
    }

    #[test]
    fn an_unknown_word_is_told_with_what_was_expected() {
        let error = "maybe".parse::<RecordMode>().unwrap_err();
        assert_eq!(error.to_string(), "unknown record mode \"maybe\": expected one of full, meta, off");
    }

    #[test]
    fn a_settled_exchange_never_replaces_an_ended_one() {
        assert!(
            Rank::of(Outcome::Incomplete, Integrity::Whole)
                < Rank::of(Outcome::ClientAborted, Integrity::Damaged)
        );
        assert!(
            Rank::of(Outcome::Completed, Integrity::Damaged)
                < Rank::of(Outcome::Completed, Integrity::Partial)
        );
    }
}
