//! What a leg's chunks become on their way into the queue.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Bytes, BytesMut};
use verbatim_core::model::{ChunkTime, Leg, RecordMode};
use verbatim_proto::TIMED_CHUNKS;

use super::{EVENT_BYTES, Exchange, side};
use crate::capture::Event;

/// Chunks under this length are copied: a clone would pin the whole read buffer.
const COPY_BELOW: usize = 4096;
/// So many bytes of small chunks go over as one event at most.
const GATHERED_BYTES: usize = 16 * 1024;

/// Small chunks of one leg that passed one after the other: handed over together, they cost the queue once.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Where they begin.
    offset: u64,
    bytes: BytesMut,
    times: Vec<ChunkTime>,
    /// How many chunks of the leg were recorded with their times so far.
    timed: usize,
}

impl Exchange {
    /// Records a chunk that passes now; `false` where there is no room for it.
    pub(crate) fn try_chunk(self: &Arc<Self>, leg: Leg, offset: u64, bytes: &Bytes) -> bool {
        let mut alone = Gathered::default();
        let time = ChunkTime { offset, at_us: self.now_us() };
        let has_room = self.try_gather(leg, time, bytes, &mut alone);
        self.hand_over(leg, &mut alone);
        has_room
    }

    /// Records a chunk that follows those in `gathered`, which is to be handed over before anything else happens to
    /// the exchange; `false` where there is no room for it now. `time` says where it begins, and when it came.
    pub(crate) fn try_gather(
        self: &Arc<Self>,
        leg: Leg,
        time: ChunkTime,
        bytes: &Bytes,
        gathered: &mut Gathered,
    ) -> bool {
        if bytes.is_empty() || !self.recorded {
            return true;
        }
        if self.mode != RecordMode::Full {
            self.withheld[side(leg)].fetch_add(bytes.len() as u64, Relaxed);
            return true;
        }
        let room = self.queue.body_limit().saturating_sub(time.offset);
        let kept = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        if kept > 0 && !self.try_keep(leg, time, bytes.slice(..kept), gathered) {
            return false;
        }
        if kept < bytes.len() {
            self.pass_beyond(leg, bytes.len() - kept);
        }
        true
    }

    fn try_keep(self: &Arc<Self>, leg: Leg, time: ChunkTime, bytes: Bytes, gathered: &mut Gathered) -> bool {
        let is_timed = gathered.timed < TIMED_CHUNKS;
        let charge = bytes.len() + if is_timed { EVENT_BYTES } else { 0 };
        if !self.queue.try_reserve(&self.charged, charge) {
            return false;
        }
        let offset = time.offset;
        let time = is_timed.then_some(time);
        gathered.timed += usize::from(is_timed);
        let is_large = bytes.len() >= COPY_BELOW;
        if is_large || gathered.bytes.len() + bytes.len() > GATHERED_BYTES {
            self.hand_over(leg, gathered);
        }
        if is_large {
            self.push(Event::Chunks { leg, offset, bytes, times: time.into_iter().collect() });
        } else {
            if gathered.bytes.is_empty() {
                gathered.offset = offset;
            }
            gathered.bytes.extend_from_slice(&bytes);
            gathered.times.extend(time);
        }
        true
    }

    /// Hands over what was gathered of a leg.
    pub(crate) fn hand_over(self: &Arc<Self>, leg: Leg, gathered: &mut Gathered) {
        if !gathered.bytes.is_empty() {
            let (offset, bytes) = (gathered.offset, std::mem::take(&mut gathered.bytes).freeze());
            let times = std::mem::take(&mut gathered.times);
            self.push(Event::Chunks { leg, offset, bytes, times });
        }
    }

    /// Counts bytes beyond what is recorded of a body.
    fn pass_beyond(&self, leg: Leg, bytes: usize) {
        self.beyond[side(leg)].fetch_add(bytes as u64, Relaxed);
        ::metrics::counter!("verbatim_bytes_beyond_limit_total").increment(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use verbatim_core::model::{ExchangeId, ProviderDialect, Timestamp};

    use super::*;
    use crate::capture::{HeadBytes, Queue, StartFacts};
    use crate::config::QueueLimits;
    use crate::health::Gauges;

    const LEG: Leg = Leg::ClientResponse;

    fn exchange(body_limit: u64) -> (Arc<Queue>, Arc<Exchange>) {
        let limits = QueueLimits { total: 1 << 30, exchange: 1 << 30 };
        let queue = Arc::new(Queue::new(limits, body_limit, Arc::new(Gauges::default())));
        let facts = StartFacts {
            began_at: Timestamp::from_unix_ms(1),
            method: "POST".to_owned(),
            path: "/v1/x".to_owned(),
            version: "HTTP/1.1",
            headers: HeadBytes::default(),
            caller: Default::default(),
            provider: "p".to_owned(),
            dialect: ProviderDialect::Openai,
            upstream_url: String::new(),
            session: None,
            tags: Vec::new(),
            trace_id: None,
        };
        let id = ExchangeId::mint();
        let exchange = Exchange::begin(&queue, id, Instant::now(), RecordMode::Full, false, facts);
        (queue, exchange)
    }

    /// Lets chunks of this length pass; gives what was recorded of them, in order.
    fn pass(body_limit: u64, chunks: usize, length: usize) -> (Vec<u8>, Vec<ChunkTime>, Arc<Exchange>) {
        let (queue, exchange) = exchange(body_limit);
        let mut gathered = Gathered::default();
        for index in 0..chunks {
            let time = ChunkTime { offset: (index * length) as u64, at_us: index as u64 };
            assert!(exchange.try_gather(LEG, time, &vec![index as u8; length].into(), &mut gathered));
        }
        exchange.hand_over(LEG, &mut gathered);
        let mut events = Vec::new();
        queue.take(&mut events);
        let (mut recorded, mut timeline) = (Vec::new(), Vec::new());
        for queued in events {
            if let Event::Chunks { offset, bytes, times, .. } = queued.event {
                assert_eq!(offset, recorded.len() as u64, "no gap");
                recorded.extend_from_slice(&bytes);
                timeline.extend(times);
            }
        }
        (recorded, timeline, exchange)
    }

    #[test]
    fn of_very_many_chunks_all_bytes_are_recorded_and_the_first_times() {
        let (recorded, timeline, _) = pass(u64::MAX, TIMED_CHUNKS + 500, 1);
        assert!(recorded.iter().enumerate().all(|(index, byte)| *byte == index as u8));
        assert_eq!(recorded.len(), TIMED_CHUNKS + 500);
        assert_eq!(timeline.len(), TIMED_CHUNKS);
        assert!(timeline.iter().enumerate().all(|(index, time)| time.at_us == index as u64));
    }

    #[test]
    fn what_goes_beyond_the_limit_of_a_body_is_counted_to_the_byte() {
        for length in [1, 7, COPY_BELOW + 1] {
            let chunks = 60_000 / length + 1;
            let (recorded, timeline, exchange) = pass(50_000, chunks, length);
            assert_eq!(recorded.len(), 50_000);
            assert_eq!(timeline.len(), 50_000_usize.div_ceil(length));
            let beyond = (chunks * length - 50_000) as u64;
            let expected = super::super::NotHandedOver { beyond, ..Default::default() };
            assert_eq!(exchange.not_handed_over(LEG), expected);
        }
    }
}
