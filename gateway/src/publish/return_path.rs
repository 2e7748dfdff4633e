//! Takes what the spool holds of an exchange to the log, when the spool has no room for the rest of it.

use std::time::Duration;

use tokio::time::timeout;
use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{CaptureLog, Message, MessageKind, PortError, Sequence};
use verbatim_proto::v1::Part;
use verbatim_proto::v1::envelope::Message as Body;
use verbatim_proto::{decode, encode};

use crate::spool::RETURNED;

/// So many messages are taken at once; each can have half a megabyte.
const SOME: usize = 16;

/// Why an exchange could not be taken to the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReturned {
    #[error("the spool could not be read: {0}")]
    Spool(PortError),
    #[error("the log did not take it: {0}")]
    Log(PortError),
}

/// Sends the spooled messages to the log; gives where they stand there. On an error some may stand there already:
/// sent again they do no harm.
pub(super) async fn bring_back(
    spool: &dyn CaptureLog,
    log: &dyn CaptureLog,
    gateway: &str,
    stored: Vec<Sequence>,
    wait: Duration,
) -> Result<Vec<Sequence>, NotReturned> {
    let mut sequences = Vec::with_capacity(stored.len());
    for some in stored.chunks(SOME) {
        let messages: Vec<Message> = spool
            .read(some)
            .await
            .map_err(NotReturned::Spool)?
            .into_iter()
            .flatten()
            .filter(|message| !is_carry(message))
            .map(|message| Message { gateway: gateway.to_owned(), ..message })
            .collect();
        if messages.is_empty() {
            continue;
        }
        let appended = timeout(wait, log.append(messages)).await;
        let silent = |_| NotReturned::Log(PortError::transient("append", "not confirmed in time"));
        for result in appended.map_err(silent)? {
            sequences.push(result.map_err(NotReturned::Log)?);
        }
    }
    Ok(sequences)
}

/// Says in the spool that an exchange was taken to the log, before more of it goes there: a later process would end it
/// with what the spool still holds, though the log holds more. Gives where that stands. A spool that does not take it
/// keeps nothing from going on; what it is asked to hold beyond its limit is little.
pub(super) async fn mark_returned(
    spool: &dyn CaptureLog,
    gateway: &str,
    id: ExchangeId,
    wait: Duration,
) -> Option<Sequence> {
    let payload = encode(id, gateway, Body::Part(Part::default()));
    let message = Message { kind: MessageKind::Part, gateway: RETURNED.to_owned(), exchange: id, payload };
    let silent = |_| PortError::transient("append", "not confirmed in time");
    let mut marked = timeout(wait, spool.append(vec![message])).await.map_err(silent);
    match marked.as_mut().map(Vec::pop) {
        Ok(Some(Ok(sequence))) => Some(sequence),
        failed => {
            tracing::debug!(exchange = %id, ?failed, "the spool could not note that an exchange left it");
            None
        }
    }
}

/// Whether a message only names what the log holds already.
fn is_carry(message: &Message) -> bool {
    decode(message.payload.clone()).is_ok_and(|decoded| match decoded.message {
        Body::Part(part) => !part.carried.is_empty(),
        Body::Start(_) | Body::End(_) => false,
    })
}
