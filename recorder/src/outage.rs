//! Telling of what can't be done now: in one line for each reason, not for each try.

use verbatim_core::ports::PortError;

/// Something that is tried again and again.
#[derive(Debug)]
pub(crate) struct Outage {
    doing: &'static str,
    told: Option<String>,
}

impl Outage {
    /// `doing` completes "can't ... now" and "can ... again".
    pub(crate) const fn of(doing: &'static str) -> Self {
        Self { doing, told: None }
    }

    /// It failed; whether that is news.
    pub(crate) fn failed(&mut self, error: &PortError) -> bool {
        let why = error.to_string();
        let is_news = self.told.as_ref() != Some(&why);
        if is_news {
            tracing::warn!(%error, "can't {} now; trying again", self.doing);
            self.told = Some(why);
        }
        is_news
    }

    /// It worked; whether that is news.
    pub(crate) fn over(&mut self) -> bool {
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
}
