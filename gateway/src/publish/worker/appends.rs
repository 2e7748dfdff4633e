//! What is under way to log and spool, and what became of it.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{Message, PortError, PortResult, Sequence};

use super::Publisher;
use crate::capture::Stage;
use crate::publish::LaneName;
use crate::publish::backoff::Backoff;
use crate::publish::lane::Lane;
use crate::publish::machine::Outgoing;
use crate::publish::return_path::{NotReturned, bring_back, mark_returned};
use crate::spool::SPOOLED;

pub(super) type Batch = Vec<(ExchangeId, Outgoing)>;

pub(super) struct Appended {
    lane: LaneName,
    batch: Batch,
    results: Vec<PortResult<Sequence>>,
}

/// What was under way and is done now.
pub(super) enum Done {
    Appended(Appended),
    BroughtBack(ExchangeId, Result<Vec<Sequence>, NotReturned>),
}

impl Publisher {
    pub(super) fn append(&mut self, lane: LaneName, batch: Batch) {
        let Some(to) = lane_mut(&mut self.log, &mut self.spool, lane).filter(|_| !batch.is_empty()) else {
            return;
        };
        to.begun();
        let store = to.store();
        let message = |(id, outgoing): &(ExchangeId, Outgoing)| Message {
            kind: outgoing.kind(),
            // In the spool all messages bear one name, so that a later process finds them whoever wrote them.
            gateway: match lane {
                LaneName::Log => String::from(&*self.config.gateway),
                LaneName::Spool => SPOOLED.to_owned(),
            },
            exchange: *id,
            payload: outgoing.payload.clone(),
        };
        let messages: Vec<_> = batch.iter().map(message).collect();
        if lane == LaneName::Spool {
            batch.iter().for_each(|(id, _)| self.config.spool_index.expect(*id));
        }
        let wait = self.config.acknowledge;
        self.appends.push(Box::pin(async move {
            let expected = batch.len();
            let mut results = timeout(wait, store.append(messages)).await.unwrap_or_default();
            let silent = || Err(PortError::transient("append", format!("not confirmed within {wait:?}")));
            results.resize_with(expected, silent);
            Done::Appended(Appended { lane, batch, results })
        }));
    }

    pub(super) fn bring_back(&mut self, id: ExchangeId, stored: Vec<Sequence>) {
        let Some(spool) = self.spool.as_ref().map(Lane::store) else { return };
        self.log.begun();
        let (log, gateway, wait) =
            (self.log.store(), Arc::clone(&self.config.gateway), self.config.acknowledge);
        let index = Arc::clone(&self.config.spool_index);
        self.appends.push(Box::pin(async move {
            let brought_back = bring_back(&*spool, &*log, &gateway, stored, wait).await;
            if brought_back.is_ok()
                && let Some(sequence) = mark_returned(&*spool, &gateway, id, wait).await
            {
                index.written(sequence);
            }
            Done::BroughtBack(id, brought_back)
        }));
    }

    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Appended(appended) => self.settle(appended),
            Done::BroughtBack(id, result) => {
                let now = Instant::now();
                match &result {
                    Ok(_) | Err(NotReturned::Log(PortError::Permanent(_))) => self.log.ended(true, now),
                    Err(NotReturned::Log(_)) => self.log.ended(false, now),
                    Err(NotReturned::Spool(_)) => self.log.untried(),
                }
                let Some(tracked) = self.machines.get_mut(&id) else { return };
                match result {
                    Ok(sequences) => {
                        tracked.machine.brought_back(sequences);
                        tracked.stays = None;
                        tracked.is_unreadable = false;
                        self.config.spool_index.forget(id);
                    }
                    Err(error) => {
                        tracing::debug!(exchange = %id, %error, "what the spool holds could not be taken to the log");
                        tracked.machine.stays_in_spool();
                        tracked.stays = Some(Backoff::after(tracked.stays, now));
                        tracked.is_unreadable = matches!(error, NotReturned::Spool(_));
                    }
                }
                self.look_at(id, now);
            }
        }
    }

    fn settle(&mut self, appended: Appended) {
        let now = Instant::now();
        let Appended { lane, batch, results } = appended;
        let failure = results.iter().find_map(|result| result.as_ref().err());
        let worked = !failure.is_some_and(|error| !matches!(error, PortError::Permanent(_)));
        if let Some(to) = lane_mut(&mut self.log, &mut self.spool, lane) {
            if let Some(error) = failure.filter(|_| to.is_up()) {
                tracing::warn!(?lane, %error, "messages were not taken");
            }
            to.ended(worked, now);
            let stored = batch.iter().zip(&results).filter(|(_, result)| result.is_ok());
            to.wrote(stored.map(|((_, outgoing), _)| outgoing.payload.len()).sum());
        }
        for ((id, outgoing), result) in batch.into_iter().zip(results) {
            if let (LaneName::Spool, Ok(sequence)) = (lane, &result) {
                self.config.spool_index.written(*sequence);
            }
            let Some(tracked) = self.machines.get_mut(&id) else { continue };
            let machine = &mut tracked.machine;
            match result {
                Ok(sequence) => {
                    if machine.stored(&outgoing, sequence) {
                        self.published(id, lane);
                        continue;
                    }
                }
                Err(PortError::Permanent(error)) => {
                    tracing::error!(exchange = %id, %error, "a message can never be stored");
                    if !machine.never_stored(outgoing) {
                        machine.exchange().reached(Stage::Refused);
                        self.config.gauges.count_unrecorded(1);
                        self.config.spool_index.forget(id);
                        self.machines.remove(&id);
                        continue;
                    }
                }
                Err(PortError::Transient(_) | PortError::Conflict(_)) => {
                    machine.not_stored(outgoing);
                    self.refuse_required(id);
                }
            }
            self.look_at(id, now);
        }
    }
}

fn lane_mut<'a>(log: &'a mut Lane, spool: &'a mut Option<Lane>, name: LaneName) -> Option<&'a mut Lane> {
    match name {
        LaneName::Log => Some(log),
        LaneName::Spool => spool.as_mut(),
    }
}
