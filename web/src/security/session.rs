//! The password, and the cookie that says it was given.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use verbatim_core::model::Timestamp;
use verbatim_core::ports::{Control, Logout, PortResult};

/// The session cookie's name.
pub(crate) const COOKIE: &str = "verbatim_session";

/// How long a session lasts.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Checks passwords and signs session cookies. Without a password everyone is let in. A cookie says by itself that it
/// is ours; only which sessions were logged out is kept, where every process of the installation looks.
pub(crate) struct Sessions {
    key: [u8; 32],
    /// The password's keyed hash; `None` without a password.
    password: Option<blake3::Hash>,
    control: Arc<dyn Control>,
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
    pub(crate) fn new(secret: &[u8; 32], password: &str, control: Arc<dyn Control>) -> Self {
        let key = blake3::derive_key(
            "verbatim 2026 web session",
            &[secret.as_slice(), password.as_bytes()].concat(),
        );
        let password = (!password.is_empty()).then(|| blake3::keyed_hash(&key, password.as_bytes()));
        Self { key, password, control, newest: AtomicI64::new(0) }
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

    /// Whether a token is one of ours that has neither ended nor been logged out, in whichever process. An error says
    /// that this can't be told.
    pub(crate) async fn is_valid(&self, token: &str, now: Timestamp) -> PortResult<bool> {
        match self.session(token, now) {
            Some(session) => Ok(!self.control.is_logged_out(session.number).await?),
            None => Ok(false),
        }
    }

    /// Logs out the session of a token, if it is ours: from now on it is not valid anywhere. An error says that it still
    /// is.
    pub(crate) async fn log_out(&self, token: &str, now: Timestamp) -> PortResult<()> {
        let Some(session) = self.session(token, now) else { return Ok(()) };
        let until = Timestamp::from_unix_ms(session.ends.saturating_mul(1000));
        self.control.log_out(Logout { number: session.number, until }, now).await
    }

    /// What a token says, if it is ours and has not ended.
    fn session(&self, token: &str, now: Timestamp) -> Option<Session> {
        let mut fields = token.splitn(3, '.');
        let (ends, number, signature) = (fields.next()?, fields.next()?, fields.next()?);
        let session = Session { number: number.parse().ok()?, ends: ends.parse().ok()? };
        let signature = blake3::Hash::from_hex(signature).ok()?;
        // Comparing BLAKE3 hashes takes constant time.
        let ours = signature == self.sign(session.ends, session.number);
        let open = now.as_unix_ms() / 1000 < session.ends;
        (ours && open).then_some(session)
    }

    fn sign(&self, ends: i64, number: i64) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("session {number} ends {ends}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};

    use async_trait::async_trait;

    use super::*;

    #[derive(Default)]
    struct Memory(Mutex<BTreeSet<i64>>);

    #[async_trait]
    impl Control for Memory {
        async fn log_out(&self, logout: Logout, _now: Timestamp) -> PortResult<()> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(logout.number);
            Ok(())
        }

        async fn is_logged_out(&self, number: i64) -> PortResult<bool> {
            Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&number))
        }
    }

    fn sessions(secret: u8, password: &str) -> Sessions {
        Sessions::new(&[secret; 32], password, Arc::new(Memory::default()))
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

    #[tokio::test]
    async fn a_session_holds_until_it_ends_or_the_password_changes() {
        let sessions = sessions(7, "a");
        let token = sessions.issue(NOW);
        assert!(sessions.is_valid(&token, NOW).await.unwrap());
        assert!(!sessions.is_valid(&token, NOW.plus(LIFETIME)).await.unwrap());
        assert!(!self::sessions(7, "b").is_valid(&token, NOW).await.unwrap());
        assert!(!self::sessions(8, "a").is_valid(&token, NOW).await.unwrap());
    }

    #[tokio::test]
    async fn a_token_with_a_later_end_is_not_ours() {
        let sessions = sessions(7, "a");
        let token = sessions.issue(NOW);
        let (ends, rest) = token.split_once('.').unwrap();
        let later = ends.parse::<i64>().unwrap() + 1;
        for forged in [&format!("{later}.{rest}"), "", "1.2.3"] {
            assert!(!sessions.is_valid(forged, NOW).await.unwrap(), "{forged}");
        }
    }

    #[tokio::test]
    async fn logging_out_ends_one_session_and_no_other() {
        let sessions = sessions(7, "a");
        let (mine, theirs) = (sessions.issue(NOW), sessions.issue(NOW));
        assert_ne!(mine, theirs);
        sessions.log_out(&mine, NOW).await.unwrap();
        assert!(!sessions.is_valid(&mine, NOW).await.unwrap());
        assert!(sessions.is_valid(&theirs, NOW).await.unwrap());
        sessions.log_out("1.2.3", NOW).await.unwrap();
    }
}
