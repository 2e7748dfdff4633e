//! Which lane an exchange takes.

use std::time::Instant;

use super::LaneName;
use super::lane::Lane;
use super::machine::Machine;

/// What to do with an exchange that has something to send.
pub(super) enum Choice {
    Send(LaneName),
    /// The spool has no room for the rest of it, and the log has: to take to the log what the spool holds of it.
    BringBack,
    Wait,
}

/// Where an exchange goes on.
pub(super) fn choose(
    log: &Lane,
    spool: Option<&Lane>,
    machine: &Machine,
    pressed: bool,
    now: Instant,
) -> Choice {
    let spool_takes = spool.is_some_and(|spool| spool.has_room(now));
    let settled = machine.in_flight() == 0;
    match machine.lane() {
        LaneName::Log => {
            if log.has_room(now) && !(machine.is_failed() && spool_takes) {
                return Choice::Send(LaneName::Log);
            }
            let give_up = machine.is_failed() || !log.is_up() || pressed;
            if settled && spool_takes && give_up { Choice::Send(LaneName::Spool) } else { Choice::Wait }
        }
        LaneName::Spool if spool_takes => Choice::Send(LaneName::Spool),
        LaneName::Spool => {
            let spool_up = spool.is_some_and(Lane::is_up);
            match settled && !spool_up && log.has_room(now) {
                false => Choice::Wait,
                true if machine.has_stored() => Choice::BringBack,
                true => Choice::Send(LaneName::Log),
            }
        }
    }
}
