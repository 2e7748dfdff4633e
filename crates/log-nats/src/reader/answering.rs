//! What a reader tells the server of its deliveries.

use std::sync::Arc;

use async_nats::Subject;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use verbatim_core::ports::{Consumer, PortError, PortResult, Sequence};

use super::Reader;
use crate::ack_subject;

impl Reader {
    /// Acknowledges, and returns once the server has taken note.
    pub(crate) async fn acknowledge(&self, sequences: &[Sequence]) -> PortResult<()> {
        let replies = self.state().deliveries.replies(sequences);
        self.acknowledge_at(replies).await
    }

    async fn acknowledge_at(&self, replies: Vec<(Sequence, Subject)>) -> PortResult<()> {
        let deadline = Instant::now() + self.answer_within;
        let mut answers = Vec::with_capacity(replies.len());
        for (sequence, reply) in replies {
            let room = timeout_at(deadline, Arc::clone(&self.acknowledging).acquire_owned()).await;
            let Ok(Ok(room)) = room else { return Err(self.late()) };
            let subject = ack_subject::to_acknowledge(&reply);
            let answer = self.requests.send(subject, None, Bytes::from_static(b"+ACK"), Some(room), deadline);
            answers.push((sequence, answer.await?));
        }
        let mut result = Ok(());
        for (sequence, answer) in answers {
            match answer.by(deadline).await {
                Ok(_) => self.state().deliveries.done(sequence),
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Restarts the wait of deliveries in hand.
    pub(crate) async fn progress(&self, sequences: &[Sequence]) -> PortResult<()> {
        self.tell(sequences, b"+WPI").await?;
        self.state().deliveries.restart(sequences, Instant::now());
        Ok(())
    }

    /// Ends go back to the server, for whichever recorder asks first. Starts stay with this process and are the first
    /// that its watch takes: the server (2.9) can't cope with very many that are due again.
    pub(crate) async fn hand_back(&self, sequences: &[Sequence]) -> PortResult<()> {
        match self.consumer {
            Consumer::Recorder => {
                self.tell(sequences, b"-NAK").await?;
                let mut state = self.state();
                sequences.iter().for_each(|sequence| state.deliveries.done(*sequence));
            }
            Consumer::Watch => {
                self.tell(sequences, b"+WPI").await?;
                self.state().deliveries.put_back(sequences, Instant::now());
                self.changed.notify_waiters();
            }
        }
        Ok(())
    }

    async fn tell(&self, sequences: &[Sequence], what: &'static [u8]) -> PortResult<()> {
        self.requests.check_connected()?;
        let replies = self.state().deliveries.replies(sequences);
        for (_, reply) in replies {
            self.requests.tell(reply, Bytes::from_static(what), self.answer_within).await?;
        }
        Ok(())
    }

    /// What is below is gone from the log. A server (2.9) may still wait for its acknowledgement.
    pub(crate) async fn purged(&self, floor: Sequence) -> PortResult<()> {
        let gone = self.state().deliveries.purge(floor);
        self.acknowledge_at(gone).await
    }

    fn late(&self) -> PortError {
        PortError::Transient(format!("NATS at {} did not acknowledge in time", self.requests.shown()))
    }
}
