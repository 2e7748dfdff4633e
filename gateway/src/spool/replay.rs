//! Sends what is in the spool to the log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{
    CaptureLog, Consumer, DeadLetter, Delivery, Message, MessageKind, PortError, PortResult, PullLimit,
    Sequence,
};
use verbatim_proto::v1::Part;
use verbatim_proto::v1::envelope::Message as Body;
use verbatim_proto::{delta_encode, encode};

use super::batches::batches;
use super::leftovers::{Progress, end, take_stock};
use super::plan::{Plan, Step};
use super::{PROGRESS, SpoolIndex};
use crate::health::Gauges;

/// So many exchanges are replayed together.
const ENDS: PullLimit = PullLimit { messages: 64, bytes: 4 << 20, wait: Duration::from_secs(1) };
/// Ends of more bytes than that are sent alone, smaller ones along with the pieces of others.
const ENDS_BYTES: usize = 1 << 20;
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_AT_MOST: Duration = Duration::from_secs(2);

/// What a replayer works with.
pub(crate) struct ReplayerConfig {
    pub(crate) gateway: Arc<str>,
    pub(crate) log: Arc<dyn CaptureLog>,
    pub(crate) spool: Arc<dyn CaptureLog>,
    pub(crate) index: Arc<SpoolIndex>,
    pub(crate) gauges: Arc<Gauges>,
    /// The log has so long to confirm.
    pub(crate) acknowledge: Duration,
}

/// The replayer of one gateway.
pub(crate) struct Replayer {
    config: ReplayerConfig,
    progress: HashMap<ExchangeId, Progress>,
    /// Exchanges whose replay this process has begun.
    has_begun: HashSet<ExchangeId>,
    /// Ends that were set aside, and come again until their round succeeds.
    set_aside: HashSet<Sequence>,
    /// Everything below this was let go.
    purged: Sequence,
}

/// The ends in hand.
struct Round {
    ends: Vec<Sequence>,
}

impl Round {
    /// These are done with, up to this one: in order, so that a later process finds none acknowledged behind one that
    /// is not.
    async fn acknowledge(&mut self, spool: &dyn CaptureLog, last: Sequence) -> PortResult<()> {
        let (done, left): (Vec<_>, Vec<_>) = self.ends.iter().partition(|sequence| **sequence <= last);
        if !done.is_empty() {
            spool.acknowledge(Consumer::Recorder, &done).await?;
        }
        self.ends = left;
        Ok(())
    }
}

impl Replayer {
    pub(crate) fn new(config: ReplayerConfig) -> Self {
        let (progress, has_begun, set_aside) = (HashMap::new(), HashSet::new(), HashSet::new());
        Self { config, progress, has_begun, set_aside, purged: 1 }
    }

    /// Replays until `stop`; what is not replayed by then stays in the spool for the next process.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = self.work() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn work(&mut self) {
        let mut backoff = BACKOFF;
        let mut has_stock = false;
        loop {
            let round = async {
                if !has_stock {
                    self.take_stock().await?;
                    has_stock = true;
                }
                self.round().await
            };
            match round.await {
                Ok(()) => backoff = BACKOFF,
                Err(error) => {
                    tracing::debug!(%error, "the spool's exchanges wait");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_AT_MOST);
                }
            }
        }
    }

    async fn take_stock(&mut self) -> PortResult<()> {
        let found = take_stock(&*self.config.spool, &self.config.index, &self.config.gateway).await?;
        if found.spooled > 0 {
            tracing::info!(exchanges = found.spooled, "an earlier process left exchanges in the spool");
        }
        self.progress = found.progress;
        self.config.index.stock_taken();
        // A full spool has no room for ends before it let go of what nobody needs.
        self.tidy().await?;
        for (id, pieces) in found.open {
            end(&*self.config.spool, &self.config.gateway, id, &pieces).await?;
            self.config.index.ended(id);
        }
        self.measure().await
    }

    /// Replays the next exchanges.
    async fn round(&mut self) -> PortResult<()> {
        let deliveries = self.config.spool.next(Consumer::Recorder, ENDS).await?;
        if deliveries.is_empty() {
            // Exchanges can leave the spool another way.
            return self.tidy().await;
        }
        let mut round = Round { ends: deliveries.iter().map(|delivery| delivery.sequence).collect() };
        let replayed = self.replay(deliveries, &mut round).await;
        let handed_back = match replayed {
            Ok(()) => Ok(()),
            Err(_) => self.config.spool.hand_back(Consumer::Recorder, &round.ends).await,
        };
        // A full spool may take nothing, not even how far a replay has come, before it let go of something.
        let tidied = self.tidy().await;
        replayed.and(handed_back).and(tidied)
    }

    async fn replay(&mut self, deliveries: Vec<Delivery>, round: &mut Round) -> PortResult<()> {
        let mut plans = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match Plan::of(&*self.config.spool, &delivery).await? {
                Some(mut plan) => {
                    if let Some(progress) = self.progress.get(&plan.id) {
                        plan.resume(&progress.stand, progress.done);
                    }
                    plans.push(plan);
                }
                None => self.set_aside(delivery, "it is no end that can be read").await?,
            }
        }
        // Whoever goes on after this process has to know that it sent some, before it does.
        let begun = (0..plans.len()).filter(|index| !self.has_begun.contains(&plans[*index].id));
        let begun: HashMap<usize, Progress> = begun.map(|index| (index, Progress::default())).collect();
        self.save(&plans, begun).await?;
        self.has_begun.extend(plans.iter().map(|plan| plan.id));
        let mut whole = Vec::new();
        for batch in batches(plans.iter().map(|plan| plan.pieces.as_slice())) {
            self.send(round, &mut plans, &whole, &batch.pieces).await?;
            whole = batch.whole;
            let end_bytes: usize = whole.iter().map(|index| plans[*index].end_bytes).sum();
            if batch.is_last_of_large || end_bytes > ENDS_BYTES {
                self.send(round, &mut plans, &std::mem::take(&mut whole), &[]).await?;
            }
            self.config.spool.progress(Consumer::Recorder, &round.ends).await?;
        }
        self.send(round, &mut plans, &whole, &[]).await?;
        // What was set aside behind the last of them.
        round.acknowledge(&*self.config.spool, Sequence::MAX).await?;
        self.set_aside.clear();
        Ok(())
    }

    /// Sends the ends of exchanges whose pieces are all sent, and pieces of others; saves where these stand now before
    /// more are sent.
    async fn send(
        &mut self,
        round: &mut Round,
        plans: &mut [Plan],
        whole: &[usize],
        pieces: &[(usize, Sequence)],
    ) -> PortResult<()> {
        if whole.is_empty() && pieces.is_empty() {
            return Ok(());
        }
        let mut messages = self.ends(plans, whole).await?;
        let sequences: Vec<Sequence> = pieces.iter().map(|(_, sequence)| *sequence).collect();
        let read = self.config.spool.read(&sequences).await?;
        let mut owners = Vec::new();
        let mut dealt_with: HashMap<usize, Progress> = HashMap::new();
        for ((owner, _), message) in pieces.iter().zip(read) {
            let more = dealt_with.entry(*owner).or_default();
            more.done += 1;
            match plans[*owner].step(&self.config.gateway, message) {
                Step::Send(message) => {
                    messages.push(message);
                    owners.push(*owner);
                }
                Step::Held(sequences) => {
                    plans[*owner].stand(&sequences);
                    more.stand.extend(sequences);
                }
                Step::Missing => {}
            }
        }
        let mut of_ends = self.append(messages).await?;
        let of_pieces = of_ends.split_off(whole.len().min(of_ends.len()));
        let taken = of_ends.iter().take_while(|result| result.is_ok()).count();
        self.replayed(round, whole[..taken].iter().map(|index| &plans[*index])).await?;
        for result in of_ends {
            if result?.is_none() {
                self.config.gauges.count_unrecorded(1);
            }
        }
        for (owner, result) in owners.into_iter().zip(of_pieces) {
            match result? {
                Some(sequence) => {
                    plans[owner].stand(&[sequence]);
                    dealt_with.entry(owner).or_default().stand.push(sequence);
                }
                None => plans[owner].lost(),
            }
        }
        self.save(plans, dealt_with).await
    }

    /// The ends of these exchanges for the log, which takes the manifests that they need.
    async fn ends(&self, plans: &[Plan], whole: &[usize]) -> PortResult<Vec<Message>> {
        let mut ends = Vec::with_capacity(whole.len());
        for plan in whole.iter().map(|index| &plans[*index]) {
            let mut manifests = Vec::new();
            for part in plan.manifests() {
                let payload = encode(plan.id, &self.config.gateway, Body::Part(part));
                for sent in self.append(vec![self.message(MessageKind::Part, plan.id, payload)]).await? {
                    manifests.extend(sent?);
                }
            }
            let payload = plan.end(&self.config.gateway, &manifests);
            ends.push(self.message(MessageKind::End, plan.id, payload));
        }
        Ok(ends)
    }

    /// These exchanges are in the log, as far as it takes them.
    async fn replayed(
        &mut self,
        round: &mut Round,
        plans: impl Iterator<Item = &Plan> + Clone,
    ) -> PortResult<()> {
        let Some(last) = plans.clone().last() else { return Ok(()) };
        round.acknowledge(&*self.config.spool, last.end_at).await?;
        for plan in plans {
            self.progress.remove(&plan.id);
            self.has_begun.remove(&plan.id);
            self.config.index.forget(plan.id);
            self.config.index.written(plan.end_at);
        }
        Ok(())
    }

    async fn save(&mut self, plans: &[Plan], dealt_with: HashMap<usize, Progress>) -> PortResult<()> {
        let mut saved = Vec::with_capacity(dealt_with.len());
        for (owner, more) in &dealt_with {
            let id = plans[*owner].id;
            let before = self.progress.get(&id).map_or(0, |progress| progress.done);
            let sequences = std::iter::once((before + more.done) as u64).chain(more.stand.iter().copied());
            let part = Part { sequences: delta_encode(sequences), ..Default::default() };
            saved.push(Message {
                kind: MessageKind::Part,
                gateway: PROGRESS.to_owned(),
                exchange: id,
                payload: encode(id, &self.config.gateway, Body::Part(part)),
            });
        }
        for result in self.config.spool.append(saved).await {
            self.config.index.written(result?);
        }
        // What could not be saved is sent again: the next process knows nothing of it.
        for (owner, more) in dealt_with {
            let progress = self.progress.entry(plans[owner].id).or_default();
            progress.done += more.done;
            progress.stand.extend(more.stand);
        }
        Ok(())
    }

    fn message(&self, kind: MessageKind, exchange: ExchangeId, payload: bytes::Bytes) -> Message {
        Message { kind, gateway: self.config.gateway.to_string(), exchange, payload }
    }

    /// Appends to the log, and then leaves it alone for as long as that took: the calls of the day come first.
    /// `None` stands for a message that the log will never take.
    async fn append(&self, messages: Vec<Message>) -> PortResult<Vec<PortResult<Option<Sequence>>>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let began = Instant::now();
        let appending = self.config.log.append(messages);
        let results = timeout(self.config.acknowledge, appending)
            .await
            .map_err(|_| PortError::transient("append", "the log did not confirm in time"))?;
        let sent = results
            .into_iter()
            .map(|result| match result {
                Ok(sequence) => Ok(Some(sequence)),
                Err(PortError::Permanent(error)) => {
                    tracing::error!(%error, "a spooled message can never be stored");
                    Ok(None)
                }
                Err(error) => Err(error),
            })
            .collect();
        sleep(began.elapsed()).await;
        Ok(sent)
    }

    async fn set_aside(&mut self, delivery: Delivery, reason: &str) -> PortResult<()> {
        let Delivery { sequence, message, .. } = delivery;
        if self.set_aside.contains(&sequence) {
            return Ok(());
        }
        let (exchange, reason) = (message.exchange, reason.to_owned());
        self.config.spool.dead_letter(vec![DeadLetter { sequence, message, reason }]).await?;
        self.set_aside.insert(sequence);
        self.config.index.forget(exchange);
        self.config.gauges.count_unrecorded(1);
        Ok(())
    }

    /// Lets go of what nobody needs any more.
    async fn tidy(&mut self) -> PortResult<()> {
        let floor = self.config.index.floor();
        if floor > self.purged {
            self.config.spool.purge(floor).await?;
            self.purged = floor;
            self.measure().await?;
        }
        Ok(())
    }

    async fn measure(&self) -> PortResult<()> {
        let health = self.config.spool.health().await?;
        self.config.gauges.spool_bytes.store(health.bytes, Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
