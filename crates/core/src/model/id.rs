//! The identity of an exchange.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Timestamp;

/// Identifies one exchange: a UUIDv7 minted by the gateway, so that ids sort by the time an exchange began.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExchangeId(Uuid);

impl ExchangeId {
    /// Mints an id for now. Ids minted in one process strictly increase.
    pub fn mint() -> Self {
        Self(Uuid::now_v7())
    }

    /// The smallest id an exchange that began at `time` can have (millisecond resolution); for keyset bounds.
    pub fn lowest_at(time: Timestamp) -> Self {
        Self::from_parts(time, 0, 0)
    }

    /// The largest id an exchange that began in the millisecond of `time` can have.
    pub fn highest_at(time: Timestamp) -> Self {
        Self::from_parts(time, 0x0fff, u64::MAX >> 2)
    }

    fn from_parts(time: Timestamp, high: u16, low: u64) -> Self {
        let millis = time.as_unix_ms().clamp(0, (1 << 48) - 1).unsigned_abs();
        let upper = (millis << 16) | 0x7000 | u64::from(high & 0x0fff);
        let lower = (0b10 << 62) | (low & (u64::MAX >> 2));
        Self(Uuid::from_u64_pair(upper, lower))
    }

    /// The id as its 16 bytes, which sort as the ids do.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// When the id was minted, to the millisecond.
    pub fn time(&self) -> Timestamp {
        let (upper, _) = self.0.as_u64_pair();
        Timestamp::from_unix_ms(i64::try_from(upper >> 16).expect("48 bits fit an i64"))
    }

    /// The shard (0..64) that the exchange's messages travel in.
    pub fn shard(&self) -> u8 {
        self.as_bytes()[15] & 0x3f
    }
}

/// Bytes or text that are not the id of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an exchange id: expected a UUIDv7 such as 0193a4c2-7b1e-7f02-9c1d-5a0b6c1f2e77, got {0:?}")]
pub struct InvalidExchangeId(String);

impl TryFrom<&[u8]> for ExchangeId {
    type Error = InvalidExchangeId;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        let uuid =
            Uuid::from_slice(bytes).map_err(|_| InvalidExchangeId(format!("{} bytes", bytes.len())))?;
        Self::try_from(uuid)
    }
}

impl TryFrom<Uuid> for ExchangeId {
    type Error = InvalidExchangeId;

    fn try_from(uuid: Uuid) -> Result<Self, Self::Error> {
        if uuid.get_version_num() == 7 { Ok(Self(uuid)) } else { Err(InvalidExchangeId(uuid.to_string())) }
    }
}

impl FromStr for ExchangeId {
    type Err = InvalidExchangeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uuid = Uuid::parse_str(text).map_err(|_| InvalidExchangeId(text.chars().take(64).collect()))?;
        Self::try_from(uuid)
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_enclose_every_id_of_their_millisecond() {
        let id = ExchangeId::mint();
        assert!(ExchangeId::lowest_at(id.time()) <= id);
        assert!(id <= ExchangeId::highest_at(id.time()));
        assert_eq!(ExchangeId::lowest_at(id.time()).time(), id.time());
    }

    #[test]
    fn other_uuid_versions_are_refused() {
        assert!("7c9e6679-7425-40de-944b-e07fc1f90ae7".parse::<ExchangeId>().is_err());
        assert!(ExchangeId::try_from(&[0u8; 3][..]).is_err());
        let id = ExchangeId::mint();
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
