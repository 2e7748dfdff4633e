//! Slows down whoever guesses passwords.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Wrong passwords that cost nothing.
const FREE: u32 = 5;
/// The longest wait; also how long a wrong password is remembered.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Addresses that are remembered at most.
const ADDRESSES: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Guesses {
    wrong: u32,
    last: Instant,
    /// The one address that they came from; `None`: from several of a neighbourhood.
    from: Option<IpAddr>,
}

/// Counts wrong passwords by address; each beyond the first few doubles the wait.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    guesses: Mutex<HashMap<IpAddr, Guesses>>,
}

impl Throttle {
    /// Counts an attempt before it is checked, so that many at once don't slip through. `Err`: wait so long.
    pub(crate) fn attempt(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut guesses = self.guesses.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let whose = neighbourhood(from);
        if guesses.len() >= ADDRESSES && !guesses.contains_key(&whose) {
            guesses.retain(|_, guess| now.duration_since(guess.last) < LONGEST);
            // Whoever guesses from very many addresses must not lock out everybody else.
            if guesses.len() >= ADDRESSES
                && let Some(oldest) = guesses.iter().min_by_key(|(_, guess)| guess.last).map(|(of, _)| *of)
            {
                guesses.remove(&oldest);
            }
        }
        let guess = guesses.entry(whose).or_insert(Guesses { wrong: 0, last: now, from: Some(from) });
        let since = now.duration_since(guess.last);
        if since >= LONGEST {
            *guess = Guesses { wrong: 0, from: Some(from), ..*guess };
        }
        let wait = wait_after(guess.wrong);
        if since < wait {
            return Err(wait - since);
        }
        let only = guess.from.filter(|only| *only == from);
        *guess = Guesses { wrong: guess.wrong.saturating_add(1), last: now, from: only };
        Ok(())
    }

    /// The attempt was right: it and those before from this address are forgotten, and not those of its neighbours.
    pub(crate) fn succeeded(&self, from: IpAddr) {
        let mut guesses = self.guesses.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let whose = neighbourhood(from);
        match guesses.get_mut(&whose) {
            Some(guess) if guess.from != Some(from) => guess.wrong = guess.wrong.saturating_sub(1),
            _ => {
                guesses.remove(&whose);
            }
        }
    }
}

fn wait_after(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(beyond) => Duration::from_secs(1 << beyond.min(10)).min(LONGEST),
    }
}

/// One customer of an internet provider has a whole /64 of IPv6 addresses.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

    #[test]
    fn guessing_gets_slower_and_slower() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..FREE {
            assert_eq!(throttle.attempt(GUESSER, start), Ok(()));
        }
        assert_eq!(throttle.attempt(GUESSER, start), Err(Duration::from_secs(1)));
        let later = start + Duration::from_secs(1);
        assert_eq!(throttle.attempt(GUESSER, later), Ok(()));
        assert_eq!(throttle.attempt(GUESSER, later), Err(Duration::from_secs(2)));
    }

    #[test]
    fn others_are_not_slowed_down_and_a_right_password_clears() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..FREE {
            throttle.attempt(GUESSER, start).unwrap();
        }
        assert!(throttle.attempt(GUESSER, start).is_err());
        assert!(throttle.attempt(IpAddr::from([127, 0, 0, 1]), start).is_ok());
        throttle.succeeded(GUESSER);
        assert!(throttle.attempt(GUESSER, start).is_ok());
    }

    #[test]
    fn who_guesses_from_very_many_addresses_locks_nobody_out() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for number in 0..u32::try_from(ADDRESSES).unwrap() {
            let at = start + Duration::from_millis(number.into());
            throttle.attempt(IpAddr::V4((0x0a00_0000 + number).into()), at).unwrap();
        }
        let later = start + Duration::from_secs(60);
        assert_eq!(throttle.attempt(GUESSER, later), Ok(()));
        let guesses = throttle.guesses.lock().unwrap();
        assert_eq!(guesses.len(), ADDRESSES);
        assert!(!guesses.contains_key(&IpAddr::from([10, 0, 0, 0])), "the oldest is forgotten");
    }

    #[test]
    fn a_right_password_from_a_neighbour_does_not_clear_a_guessers_count() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let neighbour = |last| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        for _ in 0..FREE - 1 {
            throttle.attempt(neighbour(1), start).unwrap();
        }
        throttle.attempt(neighbour(2), start).unwrap();
        throttle.succeeded(neighbour(2));
        throttle.attempt(neighbour(1), start).unwrap();
        assert_eq!(throttle.attempt(neighbour(1), start), Err(Duration::from_secs(1)));
    }

    #[test]
    fn neighbours_in_ipv6_count_as_one() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for last in 0..5 {
            throttle.attempt(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]), start).unwrap();
        }
        assert!(throttle.attempt(IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]), start).is_err());
    }
}
