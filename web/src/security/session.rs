//! The password, and the cookie that says it was given.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use verbatim_core::model::Timestamp;

use super::Revoked;

/// The session cookie's name.
pub(crate) const COOKIE: &str = "verbatim_session";

/// How long a session lasts.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Checks passwords and signs session cookies. Without a password everyone is let in. A cookie says by itself that it
/// is ours; only which sessions were logged out is kept.
pub(crate) struct Sessions {
    key: [u8; 32],
    /// The password's keyed hash; `None` without a password.
    password: Option<blake3::Hash>,
    revoked: Revoked,
    /// The number of the newest session of this process.
    newest: AtomicI64,
}

/// What a valid token says.
struct Session {
    number: i64,
    /// In Unix seconds.
    ends: i64,
}

impl Sessions {
    /// The signing key depends on the password too: changing it logs everybody out.
    pub(crate) fn new(secret: &[u8; 32], password: &str, revoked: Revoked) -> Self {
        let key = blake3::derive_key(
            "verbatim 2026 web session",
            &[secret.as_slice(), password.as_bytes()].concat(),
        );
        let password = (!password.is_empty()).then(|| blake3::keyed_hash(&key, password.as_bytes()));
        Self { key, password, revoked, newest: AtomicI64::new(0) }
    }

    /// Whether a password is asked for.
    pub(crate) fn required(&self) -> bool {
        self.password.is_some()
    }

    /// Whether this is the password; takes the same time whatever is wrong with it.
    pub(crate) fn is_password(&self, given: &str) -> bool {
        // Comparing BLAKE3 hashes takes constant time.
        self.password.is_some_and(|password| password == blake3::keyed_hash(&self.key, given.as_bytes()))
    }

    /// A new session's token: when it ends, its number, and a signature of both.
    pub(crate) fn issue(&self, now: Timestamp) -> String {
        let ends = now.plus(LIFETIME).as_unix_ms() / 1000;
        // The microsecond it began in; two of the same one get different numbers.
        let began = now.as_unix_us();
        let later = |newest: i64| Some(began.max(newest.saturating_add(1)));
        let newest = self.newest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        let number = newest.map_or(began, |newest| began.max(newest.saturating_add(1)));
        format!("{ends}.{number}.{}", self.sign(ends, number).to_hex())
    }

    /// Whether a token is one of ours that has neither ended nor been logged out.
    pub(crate) fn is_valid(&self, token: &str, now: Timestamp) -> bool {
        self.session(token, now).is_some()
    }

    /// Logs out the session of a token, if it is valid: from now on it is not. An error says that this does not hold
    /// over a restart. Waits for the disk.
    pub(crate) fn revoke(&self, token: &str, now: Timestamp) -> io::Result<()> {
        match self.session(token, now) {
            Some(session) => self.revoked.add(session.number, session.ends, now.as_unix_ms() / 1000),
            None => Ok(()),
        }
    }

    fn session(&self, token: &str, now: Timestamp) -> Option<Session> {
        let mut fields = token.splitn(3, '.');
        let (ends, number, signature) = (fields.next()?, fields.next()?, fields.next()?);
        let session = Session { number: number.parse().ok()?, ends: ends.parse().ok()? };
        let signature = blake3::Hash::from_hex(signature).ok()?;
        // Comparing BLAKE3 hashes takes constant time.
        let ours = signature == self.sign(session.ends, session.number);
        let open = now.as_unix_ms() / 1000 < session.ends && !self.revoked.holds(session.number);
        (ours && open).then_some(session)
    }

    fn sign(&self, ends: i64, number: i64) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("session {number} ends {ends}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(secret: u8, password: &str) -> Sessions {
        Sessions::new(&[secret; 32], password, Revoked::default())
    }

    const NOW: Timestamp = Timestamp::from_unix_ms(1_795_300_000_000);

    #[test]
    fn only_the_password_opens() {
        let sessions = sessions(7, "open sesame");
        assert!(sessions.is_password("open sesame"));
        assert!(!sessions.is_password("open sesam"));
        assert!(!sessions.is_password(""));
        assert!(!self::sessions(7, "").is_password(""));
    }

    #[test]
    fn a_session_holds_until_it_ends_or_the_password_changes() {
        let sessions = sessions(7, "a");
        let token = sessions.issue(NOW);
        assert!(sessions.is_valid(&token, NOW));
        assert!(!sessions.is_valid(&token, NOW.plus(LIFETIME)));
        assert!(!self::sessions(7, "b").is_valid(&token, NOW));
        assert!(!self::sessions(8, "a").is_valid(&token, NOW));
    }

    #[test]
    fn a_token_with_a_later_end_is_not_ours() {
        let sessions = sessions(7, "a");
        let token = sessions.issue(NOW);
        let (ends, rest) = token.split_once('.').unwrap();
        let later = ends.parse::<i64>().unwrap() + 1;
        assert!(!sessions.is_valid(&format!("{later}.{rest}"), NOW));
        assert!(!sessions.is_valid("", NOW));
        assert!(!sessions.is_valid("1.2.3", NOW));
    }

    #[test]
    fn logging_out_ends_one_session_and_no_other() {
        let sessions = sessions(7, "a");
        let (mine, theirs) = (sessions.issue(NOW), sessions.issue(NOW));
        assert_ne!(mine, theirs);
        sessions.revoke(&mine, NOW).unwrap();
        assert!(!sessions.is_valid(&mine, NOW));
        assert!(sessions.is_valid(&theirs, NOW));
        sessions.revoke("1.2.3", NOW).unwrap();
    }
}
