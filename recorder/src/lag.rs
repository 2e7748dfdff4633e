//! Since when ends wait to be archived: told by how far the log had come at earlier moments, for the log has no times.

use std::collections::VecDeque;

use verbatim_core::model::Timestamp;
use verbatim_core::ports::{Floors, Sequence};

/// More moments than these are thinned out; with a look every two seconds, two hours of them.
const MOMENTS: usize = 4096;
/// Of those, so many stay.
const KEPT: i64 = 2048;

/// Moments, and how far the log had come at each.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    /// Those of which not all is archived, oldest first.
    moments: VecDeque<(Sequence, Timestamp)>,
    /// All that the log had taken by then is archived.
    archived_until: Option<Timestamp>,
    /// Microseconds between two moments, at least: more the longer it lasts.
    apart_us: i64,
}

/// What one look tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// No end waits.
    Nothing,
    /// The oldest end that waits came after this.
    Since(Timestamp),
    /// An end waits that was there before the first look.
    Unknown,
}

impl Lag {
    /// Looks at how far the log was read at `now`.
    pub(crate) fn look(&mut self, floors: Floors, now: Timestamp) -> Waiting {
        while let Some((last, moment)) = self.moments.front()
            && *last <= floors.recorder
        {
            self.archived_until = Some(*moment);
            self.moments.pop_front();
        }
        if floors.last <= floors.recorder {
            (self.archived_until, self.apart_us) = (Some(now), 0);
            return Waiting::Nothing;
        }
        match self.moments.back_mut() {
            // Nothing was written since: what comes next comes after this moment, too.
            Some((last, moment)) if *last == floors.last => *moment = now,
            Some((_, moment)) if now.as_unix_us() - moment.as_unix_us() < self.apart_us => {}
            _ => self.moments.push_back((floors.last, now)),
        }
        if self.moments.len() > MOMENTS {
            let since = self.moments.front().map_or(now, |(_, moment)| *moment);
            self.apart_us = (now.as_unix_us() - since.as_unix_us()) / KEPT;
            let mut is_kept = false;
            self.moments.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
        }
        self.archived_until.map_or(Waiting::Unknown, Waiting::Since)
    }

    /// Says what is known otherwise of the end that [`Waiting::Unknown`] told of.
    pub(crate) fn came_after(&mut self, moment: Timestamp) {
        self.archived_until = Some(moment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_795_300_000_000 + second * 1000)
    }

    const fn floors(recorder: Sequence, last: Sequence) -> Floors {
        Floors { recorder, watch: 0, last }
    }

    #[test]
    fn what_waits_came_after_the_last_moment_of_which_all_is_archived() {
        let mut lag = Lag::default();
        assert_eq!(lag.look(floors(10, 10), at(0)), Waiting::Nothing);
        assert_eq!(lag.look(floors(10, 15), at(2)), Waiting::Since(at(0)));
        assert_eq!(lag.look(floors(12, 20), at(4)), Waiting::Since(at(0)));
        assert_eq!(lag.look(floors(15, 20), at(6)), Waiting::Since(at(2)));
        // Nothing was written between the fourth and the sixth second.
        assert_eq!(lag.look(floors(19, 30), at(8)), Waiting::Since(at(2)));
        assert_eq!(lag.look(floors(20, 30), at(10)), Waiting::Since(at(6)));
        assert_eq!(lag.look(floors(30, 30), at(12)), Waiting::Nothing);
    }

    #[test]
    fn what_was_there_before_the_first_look_is_as_old_as_is_said_otherwise() {
        let mut lag = Lag::default();
        assert_eq!(lag.look(floors(3, 10), at(0)), Waiting::Unknown);
        lag.came_after(at(-60));
        assert_eq!(lag.look(floors(5, 12), at(2)), Waiting::Since(at(-60)));
        assert_eq!(lag.look(floors(10, 12), at(4)), Waiting::Since(at(0)));
    }

    #[test]
    fn a_long_outage_takes_bounded_memory_and_its_age_is_known() {
        let mut lag = Lag::default();
        lag.look(floors(1, 1), at(0));
        for second in 1..100_000 {
            let last = u64::try_from(second).unwrap() + 1;
            assert_eq!(lag.look(floors(1, last), at(second)), Waiting::Since(at(0)));
        }
        assert!(lag.moments.len() <= MOMENTS);
        let Waiting::Since(since) = lag.look(floors(50_000, 100_000), at(100_000)) else {
            panic!("it waits")
        };
        assert!(since > at(40_000) && since <= at(50_000), "{since}");
    }
}
