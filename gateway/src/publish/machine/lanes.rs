//! How an exchange goes from the log to the spool and back.

use verbatim_core::ports::Sequence;
use verbatim_proto::v1::Part;
use verbatim_proto::v1::envelope::Message;

use super::{Machine, What};
use crate::publish::LaneName;

impl Machine {
    /// Goes on after a failure, in `lane`. To change lanes, nothing may be in flight; back to the log only what has
    /// nothing in the spool.
    pub(in crate::publish) fn resume(&mut self, lane: LaneName) {
        self.failed = false;
        if lane == self.lane {
            return;
        }
        self.lane = lane;
        // Manifests name messages of the lane that is left.
        self.again.retain(|outgoing| outgoing.what != What::Manifest);
        self.manifests.clear();
        match lane {
            LaneName::Spool => {
                self.carried = std::mem::take(&mut self.sequences);
                let carry = |chunk: &[Sequence]| {
                    let carried = verbatim_proto::delta_encode(chunk.iter().copied());
                    let part = Part { carried, ..Default::default() };
                    self.outgoing(What::Carry, Message::Part(part), 0)
                };
                let carries: Vec<_> = self.carried.chunks(verbatim_proto::SEQUENCES).map(carry).collect();
                carries.into_iter().rev().for_each(|carry| self.again.push_front(carry));
            }
            LaneName::Log => {
                self.sequences = std::mem::take(&mut self.carried);
                self.again.retain(|outgoing| outgoing.what != What::Carry);
            }
        }
    }

    /// What the spool holds of it is about to be taken to the log; until then nothing is sent.
    pub(in crate::publish) fn leave_spool(&mut self) -> Vec<Sequence> {
        self.failed = true;
        self.in_flight += 1;
        self.sequences.clone()
    }

    /// The log holds now what the spool held, here; it goes on there.
    pub(in crate::publish) fn brought_back(&mut self, sequences: Vec<Sequence>) {
        self.in_flight -= 1;
        self.failed = false;
        self.lane = LaneName::Log;
        self.spooled = 0;
        self.sequences = std::mem::take(&mut self.carried);
        self.sequences.extend(sequences);
        self.manifests.clear();
        self.again.retain(|outgoing| !matches!(outgoing.what, What::Carry | What::Manifest));
    }

    /// It could not be taken to the log; another try may go better.
    pub(in crate::publish) const fn stays_in_spool(&mut self) {
        self.in_flight -= 1;
    }
}
