//! The password, and the cookie that says it was given.

use std::time::Duration;

use verbatim_core::model::Timestamp;

/// The session cookie's name.
pub(crate) const COOKIE: &str = "verbatim_session";

/// How long a session lasts.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Checks passwords and signs session cookies. Without a password everyone is let in.
pub(crate) struct Sessions {
    key: [u8; 32],
    /// The password's keyed hash; `None` without a password.
    password: Option<blake3::Hash>,
}

impl Sessions {
    /// The signing key depends on the password too: changing it logs everybody out.
    pub(crate) fn new(secret: &[u8; 32], password: &str) -> Self {
        let key = blake3::derive_key(
            "verbatim 2026 web session",
            &[secret.as_slice(), password.as_bytes()].concat(),
        );
        let password = (!password.is_empty()).then(|| blake3::keyed_hash(&key, password.as_bytes()));
        Self { key, password }
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

    /// A new session's token: when it ends, and a signature of that.
    pub(crate) fn issue(&self, now: Timestamp) -> String {
        let ends = now.plus(LIFETIME).as_unix_ms() / 1000;
        format!("{ends}.{}", self.sign(ends).to_hex())
    }

    /// Whether a token is one of ours that has not ended.
    pub(crate) fn is_valid(&self, token: &str, now: Timestamp) -> bool {
        let Some((ends, signature)) = token.split_once('.') else { return false };
        let (Ok(ends), Ok(signature)) = (ends.parse::<i64>(), blake3::Hash::from_hex(signature)) else {
            return false;
        };
        signature == self.sign(ends) && now.as_unix_ms() / 1000 < ends
    }

    fn sign(&self, ends: i64) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("session ends {ends}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_795_300_000_000);

    #[test]
    fn only_the_password_opens() {
        let sessions = Sessions::new(&[7; 32], "open sesame");
        assert!(sessions.is_password("open sesame"));
        assert!(!sessions.is_password("open sesam"));
        assert!(!sessions.is_password(""));
        assert!(!Sessions::new(&[7; 32], "").is_password(""));
    }

    #[test]
    fn a_session_holds_until_it_ends_or_the_password_changes() {
        let sessions = Sessions::new(&[7; 32], "a");
        let token = sessions.issue(NOW);
        assert!(sessions.is_valid(&token, NOW));
        assert!(!sessions.is_valid(&token, NOW.plus(LIFETIME)));
        assert!(!Sessions::new(&[7; 32], "b").is_valid(&token, NOW));
        assert!(!Sessions::new(&[8; 32], "a").is_valid(&token, NOW));
    }

    #[test]
    fn a_token_with_a_later_end_is_not_ours() {
        let sessions = Sessions::new(&[7; 32], "a");
        let token = sessions.issue(NOW);
        let (ends, signature) = token.split_once('.').unwrap();
        let later = ends.parse::<i64>().unwrap() + 1;
        assert!(!sessions.is_valid(&format!("{later}.{signature}"), NOW));
        assert!(!sessions.is_valid("", NOW));
        assert!(!sessions.is_valid("1.2", NOW));
    }
}
