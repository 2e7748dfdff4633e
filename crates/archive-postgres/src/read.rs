//! Whole records, in few round trips.

use std::sync::Arc;

use deadpool_postgres::Object;
use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::encoding::{Heads, StoredBody, decode_heads};
use verbatim_archive_format::record::BODIES_DELETED;
use verbatim_archive_format::squeeze::Squeezers;
use verbatim_core::model::{Exchange, ExchangeHeads, ExchangeId, ExchangeRecord, Leg, LegBody};
use verbatim_core::ports::{PortError, PortResult};

use crate::Engine;
use crate::bodies::{Unpacked, read_blocks, unpack_body};
use crate::error::Fault;
use crate::records::find::{Found, find};
use crate::tombstone::Tombstone;

impl Engine {
    /// One exchange's columns and heads.
    pub(crate) async fn get(&self, id: ExchangeId) -> PortResult<Option<(Exchange, ExchangeHeads)>> {
        let found =
            self.database.reads.run(async |client: Object| look_up(&client, &[id], &self.squeezers).await);
        let one = found.await?.pop();
        let Some(Some(found)) = one.transpose()? else { return Ok(None) };
        Ok(Some((found.exchange, found.heads.heads)))
    }

    /// One leg's body.
    pub(crate) async fn body(self: &Arc<Self>, id: ExchangeId, leg: Leg) -> PortResult<Option<LegBody>> {
        let _turn = self.body_reads.acquire().await;
        let read = async |client: Object| {
            let one = look_up(&client, &[id], &self.squeezers).await?.pop();
            let Some(found) = one.transpose().map_err(Fault::from)?.flatten() else { return Ok(None) };
            let Heads { bodies, bucket, .. } = found.heads;
            let Some(body) = bodies.into_iter().find(|body| body.info.leg == leg) else { return Ok(None) };
            let (blocks, tombstone) = read_blocks(&client, [(bucket, &body)]).await?;
            Ok(Some((bucket, body, blocks, tombstone)))
        };
        let Some((bucket, body, blocks, tombstone)) = self.database.reads.run(read).await? else {
            return Ok(None);
        };
        self.blocking(move |engine| {
            engine.squeezers.with(|squeezer| {
                unpack_body(squeezer, id, bucket, body, &blocks, &tombstone, &mut Unpacked::default())
            })
        })
        .await
    }

    /// As [`verbatim_core::ports::Archive::read_many`] promises.
    pub(crate) async fn read_many(
        self: &Arc<Self>,
        ids: &[ExchangeId],
        bytes: u64,
    ) -> PortResult<Vec<PortResult<Option<ExchangeRecord>>>> {
        let _turn = self.body_reads.acquire().await;
        let read = async |client: Object| {
            let mut found = look_up(&client, ids, &self.squeezers).await?;
            found.truncate(fitting(&found, bytes));
            let stored = found.iter().filter_map(|one| one.as_ref().ok()?.as_ref());
            let bodies = stored.flat_map(|one| one.heads.bodies.iter().map(|body| (one.heads.bucket, body)));
            let bodies: Vec<(Bucket, &StoredBody)> = bodies.collect();
            let (blocks, tombstone) = read_blocks(&client, bodies).await?;
            Ok((found, blocks, tombstone))
        };
        let (found, blocks, tombstone) = self.database.reads.run(read).await?;
        self.blocking(move |engine| {
            engine.squeezers.with(|squeezer| {
                let mut unpacked = Unpacked::default();
                let mut whole = |decoded: Decoded| {
                    let Decoded { exchange, heads: Heads { mut heads, bucket, bodies: stored } } = decoded;
                    let mut bodies = Vec::with_capacity(stored.len());
                    for body in stored {
                        let id = exchange.id;
                        match unpack_body(squeezer, id, bucket, body, &blocks, &tombstone, &mut unpacked) {
                            Ok(body) => bodies.extend(body),
                            Err(error) if error.is_transient() => return Err(error),
                            Err(error) => {
                                tracing::error!(exchange = %id, %error, "a body can't be read");
                                heads.notes.push(error.to_string());
                            }
                        }
                    }
                    Ok(ExchangeRecord { exchange, heads, bodies })
                };
                let mut records = Vec::with_capacity(found.len());
                for one in found {
                    records.push(match one {
                        Ok(Some(decoded)) => Ok(Some(whole(decoded)?)),
                        Ok(None) => Ok(None),
                        Err(error) => Err(error),
                    });
                }
                Ok(records)
            })
        })
        .await
    }
}

/// A record whose heads can be read.
struct Decoded {
    exchange: Exchange,
    heads: Heads,
}

/// Records in the order asked; of those that can't be read, the error.
async fn look_up(
    client: &Object,
    ids: &[ExchangeId],
    squeezers: &Squeezers,
) -> Result<Vec<PortResult<Option<Decoded>>>, Fault> {
    let (found, tombstone) = find(client, ids).await?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        all.push(match found.get(id) {
            None => Ok(None),
            Some(Err(fault)) => Err(PortError::Permanent(fault.why.clone())),
            Some(Ok(found)) => decode(*id, found, &tombstone, squeezers).map(Some),
        });
    }
    Ok(all)
}

fn decode(
    id: ExchangeId,
    found: &Found,
    tombstone: &Tombstone,
    squeezers: &Squeezers,
) -> PortResult<Decoded> {
    let damaged = |error| PortError::permanent(format_args!("the heads of exchange {id} are damaged"), error);
    let unpacked = squeezers.with(|squeezer| squeezer.unpack_heads(&found.heads).map_err(damaged))?;
    let mut heads = decode_heads(&unpacked).map_err(damaged)?;
    if !heads.bodies.is_empty() && heads.bucket < tombstone.bodies_below {
        heads.heads.notes.push(BODIES_DELETED.to_owned());
    }
    Ok(Decoded { exchange: found.exchange.clone(), heads })
}

/// How many have up to so many bytes of bodies together; one at least.
fn fitting(found: &[PortResult<Option<Decoded>>], bytes: u64) -> usize {
    let (mut room, mut read) = (bytes, 0);
    for one in found {
        if let Ok(Some(decoded)) = one {
            let stored: u64 = decoded.heads.bodies.iter().map(|body| body.info.stored).sum();
            if stored > room && read > 0 {
                break;
            }
            room = room.saturating_sub(stored);
        }
        read += 1;
    }
    read
}
