//! What passes right now, told to everybody who looks on.

mod event;
mod hub;
mod running;

pub(crate) use event::{Event, Happened};
pub(crate) use hub::Hub;
