//! Reads what log and archive hold of exchanges.

use verbatim_core::model::Rank;
use verbatim_core::ports::{Delivery, PortError, PortResult, Sequence};
use verbatim_proto::v1::envelope::Message;
use verbatim_proto::{PART_BYTES, decode};

use crate::Ports;
use crate::collect::Collected;

/// Messages asked for at once: the least, at first, and the most.
const PAGE: std::ops::RangeInclusive<usize> = 16..=1024;
const FIRST_PAGE: usize = 128;
/// About so many bytes of messages are asked for at once.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// How many of these places are asked for next: by what was read before at most `most`, and by what the ends say of
/// their bodies about [`PAGE_BYTES`] of messages.
fn page(wanted: &[(Sequence, usize)], most: usize, expected: &[u64]) -> usize {
    let mut bytes: u64 = 0;
    let fits = |(_, index): &&(Sequence, usize)| {
        bytes = bytes.saturating_add(expected.get(*index).copied().unwrap_or_default());
        bytes <= PAGE_BYTES as u64
    };
    wanted.iter().take(most).take_while(fits).count().max(1)
}

/// Bytes of bodies that each of an exchange's messages has, about, by what its end says.
fn expected(collected: &[(Collected, Delivery)], wanted: &[(Sequence, usize)]) -> Vec<u64> {
    let mut places = vec![0_u64; collected.len()];
    for (_, index) in wanted {
        places[*index] += 1;
    }
    let bytes = collected.iter().zip(places).map(|((one, _), places)| one.announced() / places.max(1));
    bytes.map(|bytes| bytes.min(PART_BYTES as u64)).collect()
}

/// Hands over the messages at these places that can be read, page by page, so that only what is kept of one adds up;
/// each with the place of the exchange that it was asked for. One of another exchange is none. Of an exchange that has
/// enough, no more is asked for.
pub(crate) async fn read(
    ports: &Ports,
    collected: &mut [(Collected, Delivery)],
    wanted: &[(Sequence, usize)],
    mut take: impl FnMut(&mut Collected, Message, usize),
) -> PortResult<()> {
    let expected = expected(collected, wanted);
    let (mut rest, mut most) = (wanted, FIRST_PAGE);
    while !rest.is_empty() {
        let (asked, later) = rest.split_at(page(rest, most, &expected));
        rest = later;
        let asked: Vec<(Sequence, usize)> =
            asked.iter().copied().filter(|(_, index)| !collected[*index].0.has_enough()).collect();
        if asked.is_empty() {
            continue;
        }
        let sequences: Vec<Sequence> = asked.iter().map(|(sequence, _)| *sequence).collect();
        let mut largest = 1;
        for (message, (sequence, index)) in ports.log.read(&sequences).await?.into_iter().zip(asked) {
            let one = &mut collected[index].0;
            let Some(message) = message else { continue };
            largest = largest.max(message.payload.len());
            match decode(message.payload) {
                Ok(decoded) if decoded.exchange != one.id => {
                    let other = decoded.exchange;
                    tracing::warn!(exchange = %one.id, sequence, %other, "an end names a message of another exchange");
                    one.note(format!("message {sequence}, which its end names, is of another exchange"));
                }
                Ok(_) if one.has_enough() => {}
                Ok(decoded) => take(one, decoded.message, index),
                Err(error) => tracing::error!(sequence, %error, "a message of an exchange can't be read"),
            }
        }
        most = (PAGE_BYTES / largest).clamp(*PAGE.start(), *PAGE.end());
    }
    Ok(())
}

/// What the archive holds of an exchange whose pieces are not all in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spliced {
    /// Nothing, or what was taken in.
    Taken,
    /// More than can be read ever again.
    Unreadable,
    /// A record that one with pieces missing would never replace.
    Final,
}

/// Takes what the log no longer holds from the checkpoint in the archive. What can't be read of that is as good as not
/// archived, and the record says so.
pub(crate) async fn splice(ports: &Ports, one: &mut Collected) -> PortResult<Spliced> {
    let ranks = ports.archive.ranks(&[one.id]).await?;
    match ranks.first().copied().flatten() {
        None => return Ok(Spliced::Taken),
        Some(Rank::Damaged | Rank::Complete) => return Ok(Spliced::Final),
        Some(Rank::Running | Rank::Incomplete) => {}
    }
    let Some(found) = readable(ports.archive.get(one.id).await, one)? else {
        return Ok(Spliced::Unreadable);
    };
    let Some((exchange, heads)) = found else { return Ok(Spliced::Taken) };
    let (mut bodies, mut spliced) = (Vec::new(), Spliced::Taken);
    for info in &heads.legs {
        match readable(ports.archive.body(one.id, info.leg).await, one)? {
            Some(body) => bodies.extend(body),
            None => spliced = Spliced::Unreadable,
        }
    }
    one.add_archived(exchange, heads, bodies);
    Ok(spliced)
}

/// What was read of the archive; `None`, and a note, where that will never be possible.
fn readable<T>(read: PortResult<T>, one: &mut Collected) -> PortResult<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(PortError::Permanent(why)) => {
            tracing::warn!(exchange = %one.id, why, "what is archived of an exchange so far can't be read");
            one.note(format!("what was archived before can't be read: {why}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
