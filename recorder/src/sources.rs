//! Reads what log and archive hold of exchanges.

use verbatim_core::model::Rank;
use verbatim_core::ports::{Delivery, PortError, PortResult, Sequence};
use verbatim_proto::decode;
use verbatim_proto::v1::envelope::Message;

use crate::Ports;
use crate::collect::Collected;

/// The messages at these places that can be read; each with the place of the exchange that it was asked for. One of
/// another exchange is none.
pub(crate) async fn read(
    ports: &Ports,
    collected: &mut [(Collected, Delivery)],
    wanted: &[(Sequence, usize)],
) -> PortResult<Vec<(Message, usize)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let sequences: Vec<Sequence> = wanted.iter().map(|(sequence, _)| *sequence).collect();
    let found = ports.log.read(&sequences).await?;
    let mut messages = Vec::with_capacity(found.len());
    for (message, (sequence, index)) in found.into_iter().zip(wanted) {
        let one = &mut collected[*index].0;
        match message.map(|message| decode(message.payload)) {
            Some(Ok(decoded)) if decoded.exchange != one.id => {
                let other = decoded.exchange;
                tracing::warn!(exchange = %one.id, sequence, %other, "an end names a message of another exchange");
                one.note(format!("message {sequence}, which its end names, is of another exchange"));
            }
            Some(Ok(decoded)) => messages.push((decoded.message, *index)),
            Some(Err(error)) => tracing::error!(sequence, %error, "a message of an exchange can't be read"),
            None => {}
        }
    }
    Ok(messages)
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
