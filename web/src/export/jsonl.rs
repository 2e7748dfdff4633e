//! Lines of JSON.

use bytes::Bytes;
use serde::Serialize;
use verbatim_core::model::Exchange;

use super::ExportError;
use crate::api::{ConversationBody, ExchangeBody};
use crate::find::FoundItem;
use crate::heavy::heavy;
use crate::reading;
use crate::stores::Stores;

/// A line an exchange.
pub(super) fn lines(items: impl Iterator<Item = FoundItem>) -> Result<Bytes, ExportError> {
    let mut piece = Vec::new();
    for item in items {
        write_line(&mut piece, &ExchangeBody::from(item.exchange))?;
    }
    Ok(piece.into())
}

/// One exchange with what was said in it.
pub(super) async fn line_with_conversation(
    stores: &Stores,
    exchange: Exchange,
) -> Result<Bytes, ExportError> {
    let loaded = reading::load(stores, exchange.id).await?;
    let made = heavy(stores, move || {
        let conversation = loaded.map(|loaded| loaded.reading.into());
        let mut piece = Vec::new();
        write_line(&mut piece, &Line { exchange: exchange.into(), conversation })?;
        Ok(piece.into())
    });
    made.await?
}

fn write_line(piece: &mut Vec<u8>, line: &impl Serialize) -> Result<(), ExportError> {
    serde_json::to_writer(&mut *piece, line).map_err(ExportError::encoding)?;
    piece.push(b'\n');
    Ok(())
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    exchange: ExchangeBody,
    conversation: Option<ConversationBody>,
}
