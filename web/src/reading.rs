//! Fetches the bytes of an exchange and lets `dialects` say what they mean.

use bytes::Bytes;
use verbatim_core::model::{Exchange, ExchangeHeads, ExchangeId, Headers, Leg, LegBody, RecordMode};
use verbatim_core::ports::PortResult;
use verbatim_dialects::decode::{self, Limit};
use verbatim_dialects::{ExchangeView, Reading};

use crate::error::ApiError;
use crate::stores::Stores;

/// The stored legs of one exchange.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bodies {
    legs: Vec<LegBody>,
    /// Legs that are stored and can't be read, with the reason.
    pub(crate) unreadable: Vec<(Leg, String)>,
}

impl Bodies {
    /// A leg as stored, or the other side's where only that is.
    pub(crate) fn leg(&self, leg: Leg) -> Option<&LegBody> {
        let stored = |leg| self.legs.iter().find(|body| body.info.leg == leg);
        stored(leg).or_else(|| stored(leg.counterpart()))
    }

    /// Every leg that is stored.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &LegBody> {
        self.legs.iter()
    }

    /// What the provider was sent.
    pub(crate) fn request(&self) -> Bytes {
        self.leg(Leg::UpstreamRequest).map(|body| body.bytes.clone()).unwrap_or_default()
    }

    /// What the provider answered.
    pub(crate) fn response(&self) -> Bytes {
        self.leg(Leg::UpstreamResponse).map(|body| body.bytes.clone()).unwrap_or_default()
    }
}

/// Everything there is to show of one exchange.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) exchange: Exchange,
    pub(crate) heads: ExchangeHeads,
    pub(crate) bodies: Bodies,
    pub(crate) reading: Reading,
}

/// The headers that go with a leg.
pub(crate) fn headers_of(heads: &ExchangeHeads, leg: Leg) -> &Headers {
    if leg.is_request() { &heads.request.headers } else { heads.response_headers() }
}

/// Reads the stored legs. One that is damaged is told, and the others are still read.
pub(crate) async fn bodies(stores: &Stores, id: ExchangeId) -> PortResult<Bodies> {
    let mut bodies = Bodies::default();
    for &leg in Leg::ALL {
        match stores.archive.body(id, leg).await {
            Ok(Some(body)) => bodies.legs.push(body),
            Ok(None) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => bodies.unreadable.push((leg, error.to_string())),
        }
    }
    Ok(bodies)
}

/// What the bytes say.
pub(crate) fn read(exchange: &Exchange, heads: &ExchangeHeads, bodies: &Bodies) -> Reading {
    verbatim_dialects::read(&ExchangeView::of(exchange, heads, &bodies.legs))
}

/// A body with its content encoding undone; as it is where it can't be.
pub(crate) fn plain(headers: &Headers, body: Bytes) -> Bytes {
    match decode::body(headers, &body, Limit::default()) {
        Ok(decoded) => match decoded.bytes {
            std::borrow::Cow::Borrowed(_) => body.clone(),
            std::borrow::Cow::Owned(bytes) => bytes.into(),
        },
        Err(_) => body,
    }
}

/// An exchange with its heads.
///
/// # Errors
/// [`ApiError::NotFound`] where it is not archived.
pub(crate) async fn found(stores: &Stores, id: ExchangeId) -> Result<(Exchange, ExchangeHeads), ApiError> {
    stores.archive.get(id).await?.ok_or_else(|| absent(id))
}

/// Fetches and reads an exchange that is asked for.
///
/// # Errors
/// [`ApiError::NotFound`] where it is not archived.
pub(crate) async fn load_found(stores: &Stores, id: ExchangeId) -> Result<Loaded, ApiError> {
    load(stores, id).await?.ok_or_else(|| absent(id))
}

fn absent(id: ExchangeId) -> ApiError {
    ApiError::NotFound(format!("no exchange {id} is archived"))
}

/// Fetches and reads one exchange; `None` if there is none.
pub(crate) async fn load(stores: &Stores, id: ExchangeId) -> PortResult<Option<Loaded>> {
    let Some((exchange, heads)) = stores.archive.get(id).await? else { return Ok(None) };
    let permit = stores.readings.acquire().await;
    let bodies =
        if exchange.record == RecordMode::Full { bodies(stores, id).await? } else { Bodies::default() };
    let blank = Reading::new(exchange.dialect);
    let (heads_to_read, bodies_to_read, exchange_to_read) = (heads.clone(), bodies.clone(), exchange.clone());
    let reading =
        tokio::task::spawn_blocking(move || read(&exchange_to_read, &heads_to_read, &bodies_to_read))
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "reading an exchange failed");
                Reading { notes: vec!["this exchange could not be read".to_owned()], ..blank }
            });
    drop(permit);
    Ok(Some(Loaded { exchange, heads, bodies, reading }))
}
