//! Calls that are under way through all gateways while something happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::calls::Call;
use crate::client::{Seen, make_all};
use crate::place::Place;

/// The calls; those through each gateway are its own.
pub(crate) struct Load {
    done: Arc<AtomicUsize>,
    total: usize,
    gateways: JoinSet<(usize, Vec<Seen>)>,
}

impl Load {
    /// Begins to make calls over so many connections to each gateway.
    pub(crate) fn begin(gateways: &[Place], calls: Vec<Call>, connections: usize) -> Self {
        let (total, count) = (calls.len(), gateways.len());
        let mut shares = vec![Vec::new(); count];
        for (number, call) in calls.into_iter().enumerate() {
            // Neighbours are of different kinds: each gateway gets some of every kind.
            shares[number / 12 % count].push(call);
        }
        let done = Arc::new(AtomicUsize::new(0));
        let mut load = Self { done: Arc::clone(&done), total, gateways: JoinSet::new() };
        for (index, calls) in shares.into_iter().enumerate() {
            let (relay, done) = (gateways[index].address(), Arc::clone(&done));
            load.gateways.spawn(async move { (index, make_all(&relay, calls, connections, done).await) });
        }
        load
    }

    /// Waits until this share of the calls is over.
    pub(crate) async fn reached(&self, part: usize, of: usize) {
        while self.done.load(Ordering::Relaxed) < self.total * part / of {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all are over; gives what was seen through each gateway.
    pub(crate) async fn finish(self) -> Vec<Vec<Seen>> {
        let mut all = self.gateways.join_all().await;
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, seen)| seen).collect()
    }
}
