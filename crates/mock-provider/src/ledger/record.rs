//! The entry in the making.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, request};
use verbatim_core::model::Timestamp;

use super::entry::{BodyDigest, Digest, Ending, Entry, HeadLines};
use super::tally::Tally;
use super::{Detail, Ledger};

/// The request's body: still coming, or whole.
enum Receiving {
    Coming(Tally),
    Whole(BodyDigest),
}

/// An exchange while it lasts. Wherever it is dropped, that is the end of the exchange, and the ledger has its
/// entry: nothing that was seen can go unrecorded.
pub(crate) struct Record {
    ledger: Ledger,
    sequence: u64,
    id: String,
    at: Timestamp,
    begun: Instant,
    method: String,
    target: String,
    request_headers: HeadLines,
    request: Receiving,
    status: Option<u16>,
    response_headers: HeadLines,
    response: Tally,
    flushed: u64,
    ending: Option<Ending>,
}

impl Record {
    pub(super) fn begin(
        ledger: Ledger,
        sequence: u64,
        id: String,
        at: Timestamp,
        head: &request::Parts,
    ) -> Self {
        let detail = ledger.detail();
        let target = head.uri.path_and_query().map_or_else(|| head.uri.path(), |target| target.as_str());
        Self {
            sequence,
            id,
            at,
            begun: Instant::now(),
            method: head.method.as_str().to_owned(),
            target: target.to_owned(),
            request_headers: if detail >= Detail::Heads {
                HeadLines::pack(&head.headers)
            } else {
                HeadLines::default()
            },
            request: Receiving::Coming(Tally::new(detail >= Detail::Bodies)),
            status: None,
            response_headers: HeadLines::default(),
            response: Tally::new(detail >= Detail::Bodies),
            flushed: 0,
            ending: None,
            ledger,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn received(&mut self, piece: &Bytes) {
        if let Receiving::Coming(tally) = &mut self.request {
            tally.push(piece);
        }
    }

    /// The request's body is whole; its hash.
    pub(crate) fn request_complete(&mut self) -> Digest {
        let digest = self.request.take().0;
        let hash = digest.blake3;
        self.request = Receiving::Whole(digest);
        hash
    }

    pub(crate) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status.as_u16());
        if self.ledger.detail() >= Detail::Heads {
            self.response_headers = HeadLines::pack(headers);
        }
    }

    /// One more piece of the response's body was handed over.
    pub(crate) fn sent(&mut self, piece: &Bytes) {
        self.response.push(piece);
    }

    /// All that was handed over of the response's body.
    pub(crate) fn sent_in_all(&mut self, bytes: &Bytes) {
        self.response = Tally::of(bytes, self.ledger.detail() >= Detail::Bodies);
    }

    /// So many bytes of the response's body are known to be written.
    pub(crate) fn flushed(&mut self, bytes: u64) {
        self.flushed = bytes;
    }

    /// Everything that was handed over is written.
    pub(crate) fn flushed_in_all(&mut self) {
        self.flushed = self.response.bytes();
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Receiving {
    /// The body so far, and whether it is whole.
    fn take(&mut self) -> (BodyDigest, bool) {
        match std::mem::replace(self, Self::Coming(Tally::default())) {
            Self::Coming(tally) => (tally.digest(), false),
            Self::Whole(digest) => (digest, true),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let by_default = if self.ledger.is_stopping() { Ending::Stopped } else { Ending::PeerLeft };
        let (request, request_complete) = self.request.take();
        let entry = Entry {
            sequence: self.sequence,
            id: std::mem::take(&mut self.id),
            at: self.at,
            duration_us: u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            method: std::mem::take(&mut self.method),
            target: std::mem::take(&mut self.target),
            request_headers: std::mem::take(&mut self.request_headers),
            request,
            request_complete,
            status: self.status,
            response_headers: std::mem::take(&mut self.response_headers),
            response: std::mem::take(&mut self.response).digest(),
            flushed: self.flushed,
            ending: self.ending.unwrap_or(by_default),
        };
        self.ledger.store(entry);
    }
}
