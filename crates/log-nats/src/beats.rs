//! Who said of late that it lives. Sans-IO.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use verbatim_core::ports::Liveness;

/// A gateway that is silent for so long is dead, if it could have been heard.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
/// Gateways beat every five seconds: where nobody was heard for so long, nobody could be.
const DEAF: Duration = Duration::from_secs(15);

/// The last sign of life of each gateway.
///
/// Only a judge who was connected and heard others all along can tell that somebody was silent. Where it heard nobody
/// for a while (cut off, stopped, all gateways gone), it starts anew with the first that it hears again.
#[derive(Debug, Default)]
pub(crate) struct Beats {
    at: HashMap<String, Instant>,
    /// Since then somebody was heard all along, up to the last time that anybody was.
    hearing: Option<(Instant, Instant)>,
}

impl Beats {
    /// A gateway lives.
    pub(crate) fn beat(&mut self, gateway: &str, now: Instant) {
        let since = match self.hearing {
            Some((since, last)) if now.duration_since(last) < DEAF => since,
            _ => now,
        };
        self.hearing = Some((since, now));
        self.at.retain(|_, at| now.duration_since(*at) < SILENCE);
        self.at.insert(gateway.to_owned(), now);
    }

    /// The connection is lost, or was.
    pub(crate) fn cut_off(&mut self) {
        self.hearing = None;
    }

    /// When this gateway was heard last.
    pub(crate) fn heard(&self, gateway: &str) -> Option<Instant> {
        self.at.get(gateway).copied()
    }

    pub(crate) fn liveness(&self, gateway: &str, now: Instant) -> Liveness {
        if self.heard(gateway).is_some_and(|at| now.duration_since(at) < SILENCE) {
            return Liveness::Alive;
        }
        let Some((since, last)) = self.hearing.filter(|(_, last)| now.duration_since(*last) < DEAF) else {
            return Liveness::Unknown;
        };
        let was_silent = |from: Instant| last.duration_since(from) >= SILENCE;
        match was_silent(since) && self.heard(gateway).is_none_or(was_silent) {
            true => Liveness::Dead,
            false => Liveness::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(5);

    /// Beats of one gateway, every five seconds; gives the last.
    fn beat(beats: &mut Beats, gateway: &str, from: Instant, times: u32) -> Instant {
        (0..times).for_each(|n| beats.beat(gateway, from + TICK * n));
        from + TICK * (times - 1)
    }

    #[test]
    fn nobody_is_dead_before_another_was_heard_for_as_long_as_it_was_silent() {
        let (start, mut beats) = (Instant::now(), Beats::default());
        assert_eq!(beats.liveness("earlier", start + SILENCE * 9), Liveness::Unknown);
        beats.beat("earlier", start);
        assert_eq!(beats.liveness("earlier", start), Liveness::Alive);
        let now = beat(&mut beats, "now", start, 6);
        assert_eq!(beats.liveness("earlier", now), Liveness::Alive);
        assert_eq!(beats.liveness("never heard", now), Liveness::Unknown);
        beats.beat("now", start + SILENCE);
        assert_eq!(beats.liveness("earlier", start + SILENCE), Liveness::Dead);
        assert_eq!(beats.liveness("never heard", start + SILENCE), Liveness::Dead);
        beats.beat("earlier", start + SILENCE);
        assert_eq!(beats.liveness("earlier", start + SILENCE), Liveness::Alive);
    }

    #[test]
    fn a_judge_who_was_cut_off_or_stood_still_finds_nobody_dead_for_a_while() {
        let (start, mut beats) = (Instant::now(), Beats::default());
        let now = beat(&mut beats, "now", start, 8);
        assert_eq!(beats.liveness("silent", now), Liveness::Dead);
        beats.cut_off();
        assert_eq!(beats.liveness("silent", now), Liveness::Unknown);
        let now = beat(&mut beats, "now", now + TICK, 7);
        assert_eq!(beats.liveness("silent", now), Liveness::Dead);
        // Stopped for a minute, without a word from the connection.
        let later = now + SILENCE * 2;
        assert_eq!(beats.liveness("silent", later), Liveness::Unknown);
        beats.beat("now", later);
        assert_eq!(beats.liveness("silent", later), Liveness::Unknown);
        assert_eq!(beats.liveness("other", later), Liveness::Unknown);
    }
}
