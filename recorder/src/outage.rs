//! Telling of what can't be done now: in one line for each reason, not for each try, and again while it lasts.

use std::time::Duration;

use tokio::time::Instant;
use verbatim_core::ports::PortError;

/// What lasts is told again so often: somebody may have to mend it.
const AGAIN: Duration = Duration::from_secs(60);

/// Something that is tried again and again.
#[derive(Debug)]
pub(crate) struct Outage {
    doing: &'static str,
    since: Option<Instant>,
    told: Option<(String, Instant)>,
}

impl Outage {
    /// `doing` completes "can't ... now" and "can ... again".
    pub(crate) const fn of(doing: &'static str) -> Self {
        Self { doing, since: None, told: None }
    }

    /// It failed; whether that was told.
    pub(crate) fn failed(&mut self, error: &PortError) -> bool {
        let (why, now) = (error.to_string(), Instant::now());
        let lasted = now.duration_since(*self.since.get_or_insert(now)).as_secs();
        match &self.told {
            Some((told, at)) if *told == why && now.duration_since(*at) < AGAIN => return false,
            Some((told, _)) if *told == why => {
                tracing::error!(%error, "can't {} for {lasted} s now; still trying", self.doing);
            }
            _ => tracing::warn!(%error, "can't {} now; trying again", self.doing),
        }
        self.told = Some((why, now));
        true
    }

    /// It worked; whether that is news.
    pub(crate) fn over(&mut self) -> bool {
        self.since = None;
        let is_news = self.told.take().is_some();
        if is_news {
            tracing::info!("can {} again", self.doing);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_told() {
        let mut outage = Outage::of("do it");
        let (gone, starting) =
            (PortError::Transient("gone".to_owned()), PortError::Transient("starting".to_owned()));
        assert!(!outage.over());
        assert_eq!(
            [&gone, &gone, &starting, &starting].map(|error| outage.failed(error)),
            [true, false, true, false]
        );
        assert!(outage.over() && !outage.over());
        assert!(outage.failed(&starting));
    }

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_told_again_now_and_then() {
        let (mut outage, denied) = (Outage::of("do it"), PortError::Transient("wrong password".to_owned()));
        let mut told = 0;
        for _ in 0..600 {
            told += u64::from(outage.failed(&denied));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(told, 600 / AGAIN.as_secs());
    }
}
