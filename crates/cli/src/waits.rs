//! Waiting for engines: told in one line for each change, and to whoever asks meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use verbatim_core::ports::{PortError, PortResult};

/// The waits between two tries.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// What a process waits for, and why. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Waits {
    /// Tries until it works, or fails in a way that waiting does not mend.
    pub(crate) async fn until<T, F>(
        &self,
        what: &'static str,
        mut attempt: impl FnMut() -> F,
    ) -> PortResult<T>
    where
        F: Future<Output = PortResult<T>>,
    {
        let mut wait = FIRST;
        loop {
            match attempt().await {
                Err(PortError::Transient(why)) => self.note(what, why),
                tried => {
                    let waited = self.reasons().remove(what).is_some();
                    if waited && tried.is_ok() {
                        tracing::info!("{what} is there");
                    }
                    return tried;
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST);
        }
    }

    /// Why it waits, a line for each that is waited for.
    pub(crate) fn now(&self) -> Vec<String> {
        self.reasons().values().cloned().collect()
    }

    fn note(&self, what: &'static str, why: String) {
        if self.reasons().get(what) != Some(&why) {
            tracing::warn!("waiting for {what}: {why}");
            self.reasons().insert(what, why);
        }
    }

    fn reasons(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_may_pass_is_waited_for_and_told_meanwhile() {
        let waits = Waits::default();
        let mut tries = 0;
        let there = waits.until("it", || {
            tries += 1;
            let told = waits.now();
            std::future::ready(match tries {
                1 => Err(PortError::Transient("starting".to_owned())),
                2 => Err(PortError::Transient(format!("nearly, after {told:?}"))),
                _ => Ok(told),
            })
        });
        assert_eq!(there.await.unwrap(), ["nearly, after [\"starting\"]"]);
        assert_eq!(waits.now(), [""; 0]);
    }

    #[tokio::test]
    async fn what_will_not_pass_is_not_waited_for() {
        let refused = || std::future::ready(Err::<(), _>(PortError::Permanent("wrong password".to_owned())));
        let told = Waits::default().until("it", refused).await.unwrap_err().to_string();
        assert_eq!(told, "wrong password");
    }
}
