//! The request path's side of recording: what it hands over, and how it is kept from ever waiting.

mod call;
mod event;
mod exchange;
mod head;
mod queue;
mod tee;

pub(crate) use call::{Call, settle_scan, version_name};
pub(crate) use event::{EndFacts, Event, HeadFacts, Queued, StartFacts};
pub(crate) use exchange::{Asked, EVENT_BYTES, EndWithheld, Exchange, Gathered, NotHandedOver, Stage};
pub(crate) use head::HeadBytes;
pub(crate) use queue::Queue;
pub(crate) use tee::Tee;
