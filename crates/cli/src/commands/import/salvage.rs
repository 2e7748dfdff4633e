//! Whole records, and of damaged ones what can still be read.

use verbatim_core::model::{ExchangeHeads, ExchangeId, ExchangeRecord, Integrity, Leg};
use verbatim_core::ports::{Archive, PortError, PortResult};

/// What an archive has of an exchange.
#[derive(Debug)]
pub(super) enum Salvaged {
    /// All that was written, each body's hash verified, but for bodies that retention deleted.
    Whole(ExchangeRecord),
    /// What can be read of it; notes in the heads say what can't, and it is marked as damaged.
    Damaged(ExchangeRecord),
    /// Nothing.
    Lost,
    /// It is no longer there.
    Gone,
}

/// Reads the first of `ids`, in their order: at least one, and as many as have up to `bytes` of bodies together.
///
/// # Errors
/// Transient ones: damage is no error.
pub(super) async fn read(archive: &dyn Archive, ids: &[ExchangeId], bytes: u64) -> PortResult<Vec<Salvaged>> {
    let found = archive.read_many(ids, bytes).await?;
    let mut salvaged = Vec::with_capacity(found.len());
    for (id, one) in ids.iter().zip(found) {
        salvaged.push(match one {
            Ok(Some(record)) => with_bodies_checked(archive, record).await?,
            Ok(None) => Salvaged::Gone,
            Err(error) => columns_alone(archive, *id, &error).await?,
        });
    }
    Ok(salvaged)
}

/// A body that is missing was deleted by retention, or can't be read.
async fn with_bodies_checked(archive: &dyn Archive, mut record: ExchangeRecord) -> PortResult<Salvaged> {
    let id = record.exchange.id;
    let is_there = |leg: Leg| record.bodies.iter().any(|body| body.info.leg == leg);
    let missing: Vec<Leg> =
        record.heads.legs.iter().map(|info| info.leg).filter(|leg| !is_there(*leg)).collect();
    for leg in missing {
        match archive.body(id, leg).await {
            // Retention deletes all bodies of a record together.
            Ok(None) => break,
            Ok(Some(_)) => {
                let why = format!("the {leg} body of exchange {id} can be read only now and then: try again");
                return Err(PortError::Transient(why));
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                tracing::error!(exchange = %id, %error, "it is carried over without this body");
                record.exchange.integrity = Integrity::Damaged;
            }
        }
    }
    Ok(match record.exchange.integrity {
        Integrity::Damaged => Salvaged::Damaged(record),
        Integrity::Whole | Integrity::Partial => Salvaged::Whole(record),
    })
}

/// Where the heads can't be read, the bodies can't be found either.
async fn columns_alone(archive: &dyn Archive, id: ExchangeId, error: &PortError) -> PortResult<Salvaged> {
    let columns = match archive.get_many(&[id]).await {
        Ok(mut found) => found.pop(),
        Err(error) if error.is_transient() => return Err(error),
        Err(_) => None,
    };
    let Some(mut exchange) = columns else {
        tracing::error!(exchange = %id, %error, "nothing of it can be read: it is not carried over");
        return Ok(Salvaged::Lost);
    };
    tracing::error!(exchange = %id, %error, "it is carried over without heads and bodies");
    exchange.integrity = Integrity::Damaged;
    let heads = ExchangeHeads { notes: vec![error.to_string()], ..ExchangeHeads::default() };
    Ok(Salvaged::Damaged(ExchangeRecord { exchange, heads, bodies: Vec::new() }))
}
