//! Compares what clients saw with ledger and archive, call by call.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use verbatim_archive_sqlite::{ArchiveOptions, SqliteArchive};
use verbatim_core::model::{Exchange, Integrity, Leg, Outcome};
use verbatim_core::ports::{Archive, ListRequest, SystemClock};
use verbatim_mock_provider::{Ending, Entry, Ledger};

use super::calls::Kind;
use super::client::Seen;

/// How long before a kill the end of a call that its client did not see whole may not be durable yet: then the
/// archive holds it as `incomplete`, whatever had become of it.
const PUBLISHING: Duration = Duration::from_secs(2);

/// How close to a kill a call may have begun or ended to be excused under `best_effort`: what the promise says.
pub(crate) const EXCUSED: Duration = Duration::from_millis(100);

/// On two cores that load, mock, relay and the disk share, a commit can take longer than the promise allows for. What
/// is later than the promise is counted apart and told; what is later than this is a fault.
const LATE: Duration = Duration::from_secs(1);

/// An archived exchange of one of our calls.
pub(crate) struct Archived {
    /// Its columns.
    pub(crate) exchange: Exchange,
    /// What it holds of the request's body.
    pub(crate) request: Bytes,
    /// What it holds of the answer's body.
    pub(crate) response: Bytes,
}

/// Reads every exchange of an archive that nobody has open, by the call's id.
pub(crate) async fn read_archive(data: &Path) -> HashMap<String, Vec<Archived>> {
    let archive = open(data);
    let mut all: HashMap<String, Vec<Archived>> = HashMap::new();
    let mut before = None;
    loop {
        let page = archive.list(ListRequest { before, limit: 500, ..ListRequest::default() }).await.unwrap();
        before = page.exchanges.last().map(|exchange| exchange.id);
        for exchange in page.exchanges {
            let (_, heads) = archive.get(exchange.id).await.unwrap().unwrap();
            let id = heads.request.headers.get_str("x-mock-id").unwrap_or_default().to_owned();
            let body = async |leg| {
                archive.body(exchange.id, leg).await.unwrap().map(|body| body.bytes).unwrap_or_default()
            };
            let (request, response) = (body(Leg::ClientRequest).await, body(Leg::ClientResponse).await);
            all.entry(id).or_default().push(Archived { exchange, request, response });
        }
        if !page.more {
            break;
        }
    }
    archive.close().await;
    all
}

/// How many exchanges are open in an archive that nobody else has open.
pub(crate) async fn open_exchanges(data: &Path) -> usize {
    let archive = open(data);
    let open = archive.open_exchanges(None, 1000).await.unwrap().len();
    archive.close().await;
    open
}

fn open(data: &Path) -> SqliteArchive {
    SqliteArchive::open(&data.join("archive"), Arc::new(SystemClock), &ArchiveOptions::default()).unwrap()
}

/// What the judge found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Broken promises, one line each.
    pub(crate) faults: Vec<String>,
    /// Calls that were excused because they began or ended close to a kill.
    pub(crate) excused: usize,
    /// Calls that are missing though they began or ended longer before a kill than the promise says.
    pub(crate) late: usize,
    /// Calls that the client saw complete and the archive holds whole.
    pub(crate) whole: usize,
    /// Calls that were cut and are archived as such.
    pub(crate) cut: usize,
}

/// Under which promise the calls were made.
pub(crate) struct Trial<'a> {
    /// When the process was killed.
    pub(crate) kills: &'a [Instant],
    /// Whether capture was required; else best effort.
    pub(crate) required: bool,
}

impl Trial<'_> {
    fn excuses(&self, seen: &Seen, within: Duration) -> bool {
        let near =
            |at: Instant| self.kills.iter().any(|kill| at <= *kill && kill.duration_since(at) < within);
        !self.required && (near(seen.began) || near(seen.ended))
    }

    /// Where a call lies before the next kill.
    fn when(&self, seen: &Seen) -> String {
        let Some(kill) = self.kills.iter().filter(|kill| **kill >= seen.began).min() else {
            return "no kill after it".to_owned();
        };
        let before = |at: Instant| kill.saturating_duration_since(at).as_millis();
        format!("began {} ms and ended {} ms before a kill", before(seen.began), before(seen.ended))
    }

    fn cut_by_kill(&self, seen: &Seen) -> bool {
        self.kills.iter().any(|kill| seen.began <= *kill && *kill <= seen.ended + PUBLISHING)
    }

    /// Judges every call.
    pub(crate) fn judge(
        &self,
        seen: &[Seen],
        ledger: &Ledger,
        archive: &HashMap<String, Vec<Archived>>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        for one in seen {
            let entries = ledger.all_by_id(&one.call.id);
            let records = archive.get(&one.call.id).map(Vec::as_slice).unwrap_or_default();
            match self.one(one, &entries, records) {
                Ok(true) => verdict.whole += 1,
                Ok(false) => verdict.cut += 1,
                Err(_) if self.excuses(one, EXCUSED) => verdict.excused += 1,
                Err(_) if self.excuses(one, LATE) => verdict.late += 1,
                Err(fault) => verdict.faults.push(format!(
                    "{} ({:?}, {}, status {:?}, {} bytes, complete {}): {fault}",
                    one.call.id,
                    one.call.kind,
                    self.when(one),
                    one.status,
                    one.body.len(),
                    one.complete
                )),
            }
        }
        verdict
    }

    /// Whether the call is archived whole (`true`) or as what it was cut to (`false`), or what is wrong.
    fn one(&self, seen: &Seen, entries: &[Arc<Entry>], records: &[Archived]) -> Result<bool, String> {
        if entries.len() > 1 {
            return Err(format!("the provider saw it {} times", entries.len()));
        }
        let entry = entries.first();
        let record = match records {
            [] if entry.is_none() && !seen.complete => return Ok(false),
            [] => return Err("it is not archived".to_owned()),
            [record] => record,
            more => return Err(format!("it is archived {} times", more.len())),
        };
        let exchange = &record.exchange;
        let refused_by_us = exchange.outcome == Outcome::Refused;
        if !seen.call.body.starts_with(&record.request) {
            return Err("the archived request is not what was sent".to_owned());
        }
        if seen.complete && seen.call.kind != Kind::Reset {
            let expected = match seen.status {
                Some(status) if status >= 400 => Outcome::UpstreamError,
                _ => Outcome::Completed,
            };
            return match entry {
                _ if exchange.outcome != expected => {
                    Err(format!("its outcome is {}, not {expected}", exchange.outcome))
                }
                _ if exchange.integrity != Integrity::Whole => {
                    Err(format!("its integrity is {}", exchange.integrity))
                }
                _ if record.response != seen.body => {
                    Err("the archived answer is not what the client got".to_owned())
                }
                _ if record.request != seen.call.body => Err("the archived request is not whole".to_owned()),
                _ if exchange.status != seen.status => Err(format!("its status is {:?}", exchange.status)),
                None => Err("the provider never saw it".to_owned()),
                Some(entry)
                    if entry.response.blake3 != verbatim_mock_provider::Digest::of(&record.response) =>
                {
                    Err("the archived answer is not what the provider sent".to_owned())
                }
                Some(_) => Ok(true),
            };
        }
        self.cut(seen, entry.map(AsRef::as_ref), record, refused_by_us).map(|()| false)
    }

    fn cut(
        &self,
        seen: &Seen,
        entry: Option<&Entry>,
        record: &Archived,
        refused: bool,
    ) -> Result<(), String> {
        let exchange = &record.exchange;
        let by_kill = self.cut_by_kill(seen);
        let expected: &[Outcome] = match seen.call.kind {
            _ if refused => return Err("it was refused".to_owned()),
            // Whatever was to become of it, the kill may have come first, or just after its end was durable.
            _ if by_kill => &[
                Outcome::Incomplete,
                Outcome::Completed,
                Outcome::UpstreamError,
                Outcome::UpstreamAborted,
                Outcome::ClientAborted,
            ],
            Kind::Leave { .. } => &[Outcome::ClientAborted],
            Kind::Reset => &[Outcome::UpstreamAborted],
            Kind::Whole | Kind::Status(_) => return Err("it was cut, and nobody was killed".to_owned()),
        };
        if !expected.contains(&exchange.outcome) {
            return Err(format!("its outcome is {}, not one of {expected:?}", exchange.outcome));
        }
        if exchange.integrity != Integrity::Whole {
            return Err(format!("its integrity is {}", exchange.integrity));
        }
        let Some(entry) = entry else {
            return if record.response.is_empty() { Ok(()) } else { Err("bytes from nowhere".to_owned()) };
        };
        let sent = entry.response.body.as_ref().ok_or("the ledger kept no body")?;
        if !sent.starts_with(&record.response) {
            return Err("the archived answer is no prefix of what the provider sent".to_owned());
        }
        if self.required && !record.response.starts_with(&seen.body) && by_kill {
            // What passed in the last moments before the kill may not have reached the log yet.
            let shorter = seen.body.starts_with(&record.response);
            return if shorter {
                Ok(())
            } else {
                Err("the archived answer is not what the client got".to_owned())
            };
        }
        if !by_kill && !record.response.starts_with(&seen.body) {
            return Err("the client got bytes that the archive does not hold".to_owned());
        }
        if seen.call.kind == Kind::Reset && !by_kill && entry.ending != Ending::Reset {
            return Err(format!("the provider ended it as {:?}", entry.ending));
        }
        Ok(())
    }
}
