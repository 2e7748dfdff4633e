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

use super::leftovers::{Progress, take_stock};
use super::plan::{Plan, Step};
use super::{PROGRESS, SpoolIndex};
use crate::health::Gauges;

/// So many exchanges are replayed together.
const ENDS: PullLimit = PullLimit { messages: 64, bytes: 4 << 20, wait: Duration::from_secs(1) };
/// So many of their messages are sent together; each can have half a megabyte.
const PIECES: usize = 16;
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
    /// Everything below this was let go.
    purged: Sequence,
}

impl Replayer {
    pub(crate) fn new(config: ReplayerConfig) -> Self {
        Self { config, progress: HashMap::new(), has_begun: HashSet::new(), purged: 1 }
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
        self.config.gauges.spooled.fetch_add(found.spooled, Relaxed);
        self.progress = found.progress;
        self.config.index.stock_taken();
        self.measure().await
    }

    /// Replays the next exchanges.
    async fn round(&mut self) -> PortResult<()> {
        let deliveries = self.config.spool.next(Consumer::Recorder, ENDS).await?;
        if deliveries.is_empty() {
            // Exchanges can leave the spool another way.
            return self.tidy().await;
        }
        let ends: Vec<Sequence> = deliveries.iter().map(|delivery| delivery.sequence).collect();
        let replayed = self.replay(deliveries, &ends).await;
        if replayed.is_err() {
            self.config.spool.hand_back(Consumer::Recorder, &ends).await?;
        }
        replayed
    }

    async fn replay(&mut self, deliveries: Vec<Delivery>, ends: &[Sequence]) -> PortResult<()> {
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
        let places: Vec<(usize, Sequence)> = plans
            .iter()
            .enumerate()
            .flat_map(|(index, plan)| plan.pieces.iter().map(move |sequence| (index, *sequence)))
            .collect();
        for some in places.chunks(PIECES) {
            self.send_pieces(&mut plans, some).await?;
            self.config.spool.progress(Consumer::Recorder, ends).await?;
        }
        self.send_ends(&plans).await?;
        self.config.spool.acknowledge(Consumer::Recorder, ends).await?;
        for plan in &plans {
            self.progress.remove(&plan.id);
            self.has_begun.remove(&plan.id);
            self.config.index.forget(plan.id);
            self.config.index.written(plan.end_at);
        }
        self.config.gauges.spooled.fetch_sub(plans.len() as u64, Relaxed);
        self.tidy().await
    }

    /// Sends some messages, and saves where they stand now before others are sent.
    async fn send_pieces(&mut self, plans: &mut [Plan], places: &[(usize, Sequence)]) -> PortResult<()> {
        let sequences: Vec<Sequence> = places.iter().map(|(_, sequence)| *sequence).collect();
        let read = self.config.spool.read(&sequences).await?;
        let mut messages = Vec::new();
        let mut owners = Vec::new();
        let mut dealt_with: HashMap<usize, Progress> = HashMap::new();
        for ((owner, _), message) in places.iter().zip(read) {
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
        let results = self.append(messages).await?;
        for (owner, result) in owners.into_iter().zip(results) {
            match result {
                Some(sequence) => {
                    plans[owner].stand(&[sequence]);
                    dealt_with.entry(owner).or_default().stand.push(sequence);
                }
                None => plans[owner].lost(),
            }
        }
        self.save(plans, dealt_with).await
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

    async fn send_ends(&self, plans: &[Plan]) -> PortResult<()> {
        let mut ends = Vec::with_capacity(plans.len());
        for plan in plans {
            let mut manifests = Vec::new();
            for part in plan.manifests() {
                let payload = encode(plan.id, &self.config.gateway, Body::Part(part));
                let sent = self.append(vec![self.message(MessageKind::Part, plan.id, payload)]).await?;
                manifests.extend(sent.into_iter().flatten());
            }
            let payload = plan.end(&self.config.gateway, &manifests);
            ends.push(self.message(MessageKind::End, plan.id, payload));
        }
        let refused = self.append(ends).await?.iter().filter(|sent| sent.is_none()).count();
        if refused > 0 {
            self.config.gauges.count_unrecorded(refused as u64);
        }
        Ok(())
    }

    fn message(&self, kind: MessageKind, exchange: ExchangeId, payload: bytes::Bytes) -> Message {
        Message { kind, gateway: self.config.gateway.to_string(), exchange, payload }
    }

    /// Appends to the log, and then leaves it alone for as long as that took: the calls of the day come first.
    /// `None` stands for a message that the log will never take.
    async fn append(&self, messages: Vec<Message>) -> PortResult<Vec<Option<Sequence>>> {
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
        sent
    }

    async fn set_aside(&self, delivery: Delivery, reason: &str) -> PortResult<()> {
        let Delivery { sequence, message, .. } = delivery;
        self.config.gauges.count_unrecorded(1);
        self.config.index.forget(message.exchange);
        self.config.spool.dead_letter(vec![DeadLetter { sequence, message, reason: reason.to_owned() }]).await
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
mod tests {
    use std::sync::atomic::AtomicU32;

    use verbatim_proto::v1::envelope::Message as Body;
    use verbatim_proto::v1::{End, Piece, Start};
    use verbatim_proto::{decode, delta_decode};
    use verbatim_testkit::{Fault, FaultyLog, MemoryLog};

    use super::super::SPOOLED;
    use super::*;

    fn replayer(gateway: &str, log: &Arc<FaultyLog>, spool: &Arc<FaultyLog>) -> Replayer {
        Replayer::new(ReplayerConfig {
            gateway: gateway.into(),
            log: Arc::clone(log) as _,
            spool: Arc::clone(spool) as _,
            index: Arc::default(),
            gauges: Arc::default(),
            acknowledge: Duration::from_secs(5),
        })
    }

    #[tokio::test]
    async fn what_was_sent_but_could_not_be_noted_is_named_by_the_end_that_the_next_process_sends() {
        let memory = || Arc::new(MemoryLog::new(Duration::from_secs(60)));
        let (log_memory, spool_memory) = (memory(), memory());
        let log = Arc::new(FaultyLog::new(Arc::clone(&log_memory) as _));
        let spool = Arc::new(FaultyLog::new(Arc::clone(&spool_memory) as _));
        let id = ExchangeId::mint();
        let message = |kind, body| Message {
            kind,
            gateway: SPOOLED.to_owned(),
            exchange: id,
            payload: encode(id, "before", body),
        };
        let mut messages = vec![message(MessageKind::Start, Body::Start(Start::default()))];
        for offset in 0..PIECES as u64 + 3 {
            let part = Part { pieces: vec![Piece { offset, ..Default::default() }], ..Default::default() };
            messages.push(message(MessageKind::Part, Body::Part(part)));
        }
        let count = messages.len();
        let stand: Vec<_> = spool.append(messages).await.into_iter().map(Result::unwrap).collect();
        let end = End { sequences: delta_encode(stand), ..Default::default() };
        assert!(spool.append(vec![message(MessageKind::End, Body::End(end))]).await[0].is_ok());

        // The note that it begins is taken, the first one of what was sent is not; nor does the log take its end.
        let noted = AtomicU32::new(0);
        spool.set_for_messages(Fault::Fail, move |message| {
            message.gateway == PROGRESS && noted.fetch_add(1, Relaxed) > 0
        });
        log.set_for_messages(Fault::Fail, |message| message.kind == MessageKind::End);
        let mut first = replayer("first", &log, &spool);
        first.take_stock().await.unwrap();
        first.round().await.unwrap_err();
        spool.recover();
        first.round().await.unwrap_err();
        log.recover();
        spool_memory.restart();
        let mut second = replayer("second", &log, &spool);
        second.take_stock().await.unwrap();
        second.round().await.unwrap();

        let (_, end) = log_memory.messages().pop().unwrap();
        let Body::End(end) = decode(end.payload).unwrap().message else { panic!("an end") };
        let named: Vec<_> = delta_decode(&end.sequences).collect();
        let named = log_memory.read(&named).await.unwrap().into_iter().flatten();
        let mut offsets: Vec<_> = named
            .map(|message| match decode(message.payload).unwrap().message {
                Body::Part(part) => Some(part.pieces[0].offset),
                _ => None,
            })
            .collect();
        offsets.sort_unstable();
        offsets.dedup();
        assert_eq!(offsets.len(), count);
    }

    #[tokio::test]
    async fn an_end_for_a_process_that_died_behind_its_manifests_names_messages_of_the_exchange_alone() {
        let memory = || Arc::new(MemoryLog::new(Duration::from_secs(60)));
        let (log_memory, spool_memory) = (memory(), memory());
        let log = Arc::new(FaultyLog::new(Arc::clone(&log_memory) as _));
        let spool = Arc::new(FaultyLog::new(Arc::clone(&spool_memory) as _));
        let (id, other) = (ExchangeId::mint(), ExchangeId::mint());
        let message = |gateway: &str, exchange, kind, body| Message {
            kind,
            gateway: gateway.to_owned(),
            exchange,
            payload: encode(exchange, "before", body),
        };
        let start = || Body::Start(Start::default());
        let part = |part| Body::Part(part);
        // Where the spool's messages stand there, others stand in the log.
        let mut before = vec![message("before", id, MessageKind::Start, start())];
        before.extend((0..5).map(|_| message("before", other, MessageKind::Start, start())));
        assert!(log.append(before).await.iter().all(Result::is_ok));
        let carry = Part { carried: delta_encode([1]), ..Default::default() };
        let piece = Part { pieces: vec![Piece::default()], ..Default::default() };
        let manifest = Part { sequences: delta_encode([2, 3]), ..Default::default() };
        let parts = [carry, piece.clone(), piece, manifest];
        let spooled = parts.map(|one| message(SPOOLED, id, MessageKind::Part, part(one)));
        assert!(spool.append(spooled.to_vec()).await.iter().all(Result::is_ok));

        let mut next = replayer("next", &log, &spool);
        next.take_stock().await.unwrap();
        next.round().await.unwrap();
        let (_, end) = log_memory.messages().pop().unwrap();
        let Body::End(end) = decode(end.payload).unwrap().message else { panic!("an end") };
        let named: Vec<_> = delta_decode(&end.sequences).collect();
        assert_eq!(named, [1, 7, 8], "its start, and its parts behind those of others");
    }
}
