//! Who said of late that it lives. Sans-IO.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use verbatim_core::ports::Liveness;

/// Three beats may be missed.
const SILENCE: Duration = Duration::from_secs(15);

/// The last sign of life of each gateway since the log was opened.
///
/// A gateway is judged by what the others said meanwhile, not by the clock: where the whole process stood still,
/// nobody died of it. And until one was heard, nobody is dead: whoever speaks first also speaks for those whose
/// messages are still to come from its spool.
#[derive(Debug, Default)]
pub(crate) struct Beats {
    at: HashMap<String, Instant>,
    newest: Option<Instant>,
}

impl Beats {
    /// A gateway lives.
    pub(crate) fn beat(&mut self, gateway: &str, now: Instant) {
        // Where nobody was heard, nobody could be.
        let quiet = self.newest.replace(now).map_or(Duration::ZERO, |newest| now.duration_since(newest));
        if quiet >= SILENCE {
            self.at.values_mut().for_each(|at| *at += quiet);
        }
        self.at.retain(|_, at| now.duration_since(*at) < SILENCE);
        self.at.insert(gateway.to_owned(), now);
    }

    pub(crate) fn liveness(&self, gateway: &str) -> Liveness {
        let Some(newest) = self.newest else { return Liveness::Unknown };
        let heard = self.at.get(gateway).is_some_and(|at| newest.duration_since(*at) < SILENCE);
        if heard { Liveness::Alive } else { Liveness::Dead }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_dead_before_someone_lives_and_the_silent_die_by_the_others_beats() {
        let (start, mut beats) = (Instant::now(), Beats::default());
        assert_eq!(beats.liveness("earlier"), Liveness::Unknown);
        beats.beat("earlier", start);
        beats.beat("now", start);
        assert_eq!(beats.liveness("never heard"), Liveness::Dead);
        beats.beat("now", start + SILENCE / 2);
        assert_eq!(beats.liveness("earlier"), Liveness::Alive);
        beats.beat("now", start + SILENCE);
        assert_eq!((beats.liveness("earlier"), beats.liveness("now")), (Liveness::Dead, Liveness::Alive));
        beats.beat("earlier", start + SILENCE);
        assert_eq!(beats.liveness("earlier"), Liveness::Alive);
    }

    #[test]
    fn a_process_that_stood_still_finds_nobody_dead_whoever_beats_first() {
        let (start, mut beats) = (Instant::now(), Beats::default());
        beats.beat("earlier", start);
        beats.beat("now", start);
        let later = start + SILENCE * 3;
        beats.beat("earlier", later);
        assert_eq!((beats.liveness("earlier"), beats.liveness("now")), (Liveness::Alive, Liveness::Alive));
        beats.beat("earlier", later + SILENCE);
        assert_eq!(
            beats.liveness("now"),
            Liveness::Alive,
            "it was silent for no longer than nobody was heard"
        );
        beats.beat("earlier", later + SILENCE + SILENCE / 3);
        beats.beat("earlier", later + SILENCE * 2);
        assert_eq!(beats.liveness("now"), Liveness::Dead);
    }
}
