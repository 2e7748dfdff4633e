//! Watches over the roles of this process: none dies unnoticed, and they end in order.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow};
use tokio::runtime::Handle;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The running roles, in the order in which they end: who feeds another ends before it.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    running: JoinSet<Result<()>>,
    names: HashMap<Id, &'static str>,
    order: Vec<(&'static str, CancellationToken)>,
    /// What they rest on, which ends after them.
    beneath: Vec<(&'static str, CancellationToken)>,
}

impl Roles {
    /// Runs a role on a runtime. It is to go on until its token is cancelled, then to finish what it has begun.
    pub(crate) fn add<F>(
        &mut self,
        name: &'static str,
        on: &Handle,
        role: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let token = self.spawn(name, on, role);
        self.order.push((name, token));
    }

    /// Runs a role that feeds all the others, so that it ends before them.
    pub(crate) fn add_first<F>(
        &mut self,
        name: &'static str,
        on: &Handle,
        role: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let token = self.spawn(name, on, role);
        self.order.insert(0, (name, token));
    }

    /// Runs what roles rest on, so that it ends after all of them.
    pub(crate) fn add_beneath<F>(
        &mut self,
        name: &'static str,
        on: &Handle,
        role: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let token = self.spawn(name, on, role);
        self.beneath.push((name, token));
    }

    fn spawn<F>(
        &mut self,
        name: &'static str,
        on: &Handle,
        role: impl FnOnce(CancellationToken) -> F,
    ) -> CancellationToken
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let token = CancellationToken::new();
        let running = self.running.spawn_on(role(token.clone()), on);
        self.names.insert(running.id(), name);
        token
    }

    /// Waits for a role to end that nobody told to. That is always an error.
    pub(crate) async fn first_failure(&mut self) -> anyhow::Error {
        match self.next().await {
            Some((name, Ok(()))) => anyhow!("{name} ended by itself"),
            Some((_, Err(error))) => error,
            None => anyhow!("no role is running"),
        }
    }

    /// Tells the roles to end, one after the other, and waits for each. Gives the first error.
    pub(crate) async fn drain(&mut self) -> Result<()> {
        let mut result = Ok(());
        let order = std::mem::take(&mut self.order);
        for (name, token) in order.into_iter().chain(std::mem::take(&mut self.beneath)) {
            tracing::debug!(role = name, "ending");
            token.cancel();
            while self.names.values().any(|running| *running == name) {
                let Some((_, ended)) = self.next().await else { break };
                result = result.and(ended);
            }
        }
        result
    }

    /// The next role that ends, with its name in its error.
    async fn next(&mut self) -> Option<(&'static str, Result<()>)> {
        let joined = self.running.join_next_with_id().await?;
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let name = self.names.remove(&id).unwrap_or("a role");
        let result = match joined {
            Ok((_, result)) => result,
            Err(error) if error.is_panic() => Err(anyhow!("panicked; the log has more")),
            Err(error) => Err(error.into()),
        };
        Some((name, result.with_context(|| format!("{name} failed"))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn roles_end_in_order_each_after_the_one_before_it() {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let mut roles = Roles::default();
        let role = |name| {
            let ended = Arc::clone(&ended);
            move |token: CancellationToken| async move {
                token.cancelled().await;
                ended.lock().unwrap().push(name);
                Ok(())
            }
        };
        roles.add_beneath("fourth", &Handle::current(), role("fourth"));
        roles.add("second", &Handle::current(), role("second"));
        roles.add("third", &Handle::current(), role("third"));
        roles.add_first("first", &Handle::current(), role("first"));
        roles.drain().await.unwrap();
        assert_eq!(*ended.lock().unwrap(), ["first", "second", "third", "fourth"]);
    }

    #[tokio::test]
    async fn a_role_that_fails_panics_or_ends_by_itself_is_named() {
        for (expected, fails) in [("lost it", 0), ("panicked", 1), ("ended by itself", 2)] {
            let mut roles = Roles::default();
            roles.add("patient", &Handle::current(), |token| async move {
                token.cancelled().await;
                Ok(())
            });
            roles.add("hasty", &Handle::current(), |_| async move {
                match fails {
                    0 => Err(anyhow!("lost it")),
                    1 => panic!("oh"),
                    _ => Ok(()),
                }
            });
            let failure = format!("{:#}", roles.first_failure().await);
            assert!(failure.contains("hasty") && failure.contains(expected), "{failure}");
            roles.drain().await.unwrap();
        }
    }
}
