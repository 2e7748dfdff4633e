//! Compares what clients saw with ledger and archive, call by call.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use verbatim_archive_sqlite::SqliteArchive;
use verbatim_core::model::{ChunkTime, Exchange, Integrity, Leg, LegBody, Outcome};
use verbatim_core::ports::{Archive, CaptureLog, ListRequest, PortResult, SystemClock};
use verbatim_log_sqlite::SqliteLog;
use verbatim_mock_provider::{Ending, Entry, Ledger};

use super::calls::Kind;
use super::client::Seen;
use super::stalls::longest_before;

/// How long before a kill the end of a call that its client did not see whole may not be durable yet: then the
/// archive holds it as `incomplete`, whatever had become of it.
const PUBLISHING: Duration = Duration::from_secs(2);

/// How close to a kill a call may have begun or ended to be excused under `best_effort`: what the promise says.
pub(crate) const EXCUSED: Duration = Duration::from_millis(100);

/// Where the machine holds everybody up, a commit takes longer than the promise allows for: on its way to the disk a
/// call waits so many times. What is later than the promise by no more than that is counted apart and told; what is
/// later still is a fault.
const HELD_UP: u32 = 5;

/// Exchanges that are read from an archive side by side.
const READ_AT_ONCE: usize = 8;

/// An archived exchange of one of our calls.
pub(crate) struct Archived {
    /// Its columns.
    pub(crate) exchange: Exchange,
    /// What it holds of the request's body.
    pub(crate) request: Bytes,
    /// What it holds of the answer's body.
    pub(crate) response: Bytes,
    /// Both, and where their chunks stood.
    bodies: Vec<LegBody>,
}

/// Reads every exchange of an archive that nobody has open, by the call's id.
pub(crate) async fn read_archive(data: &Path) -> HashMap<String, Vec<Archived>> {
    let archive = open(data);
    let all = read_records(&archive).await;
    archive.close().await;
    all
}

/// Reads every exchange of an archive, by the call's id.
pub(crate) async fn read_records(archive: &dyn Archive) -> HashMap<String, Vec<Archived>> {
    let mut all: HashMap<String, Vec<Archived>> = HashMap::new();
    let mut before = None;
    loop {
        let request = ListRequest { before, limit: 500, ..ListRequest::default() };
        let page = patiently(async || archive.list(request.clone()).await).await;
        before = page.exchanges.last().map(|exchange| exchange.id);
        let reading = page.exchanges.into_iter().map(|exchange| read_one(archive, exchange));
        let mut reading = stream::iter(reading).buffer_unordered(READ_AT_ONCE);
        while let Some((id, archived)) = reading.next().await {
            all.entry(id).or_default().push(archived);
        }
        if !page.more {
            break;
        }
    }
    all
}

/// Asks an archive that a busy machine may keep from answering in time.
pub(crate) async fn patiently<T>(ask: impl AsyncFn() -> PortResult<T>) -> T {
    const TRIES: usize = 5;
    for _ in 1..TRIES {
        match ask().await {
            Err(error) if error.is_transient() => {}
            answered => return answered.unwrap(),
        }
    }
    ask().await.unwrap()
}

async fn read_one(archive: &dyn Archive, exchange: Exchange) -> (String, Archived) {
    let (_, heads) = patiently(async || archive.get(exchange.id).await).await.unwrap();
    let id = heads.request.headers.get_str("x-mock-id").unwrap_or_default().to_owned();
    let mut bodies = Vec::new();
    for leg in [Leg::ClientRequest, Leg::ClientResponse] {
        bodies.extend(patiently(async || archive.body(exchange.id, leg).await).await);
    }
    let bytes = |leg| bodies.iter().find(|body: &&LegBody| body.info.leg == leg);
    let bytes = |leg| bytes(leg).map(|body| body.bytes.clone()).unwrap_or_default();
    let (request, response) = (bytes(Leg::ClientRequest), bytes(Leg::ClientResponse));
    (id, Archived { exchange, request, response, bodies })
}

/// How many exchanges are open in an archive that nobody else has open.
pub(crate) async fn open_exchanges(data: &Path) -> usize {
    let archive = open(data);
    let open = archive.open_exchanges(None, 1000).await.unwrap().len();
    archive.close().await;
    open
}

/// How many ends wait in the log or the spool of a relay that does not run.
pub(crate) async fn ends_pending(data: &Path) -> usize {
    let mut pending = 0;
    for directory in ["log", "spool"] {
        let log = SqliteLog::open(verbatim_log_sqlite::Config::new(data.join(directory))).await.unwrap();
        pending += log.health().await.unwrap().ends_pending as usize;
        log.shutdown().await.unwrap();
    }
    pending
}

fn open(data: &Path) -> SqliteArchive {
    SqliteArchive::open(&data.join("archive"), Arc::new(SystemClock)).unwrap()
}

/// What the judge found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Broken promises, one line each.
    pub(crate) faults: Vec<String>,
    /// Calls that were excused because they began or ended close to a kill.
    pub(crate) excused: usize,
    /// Calls that are missing though they began or ended longer before a kill than the promise says, as the machine held
    /// up everybody.
    pub(crate) late: usize,
    /// Calls that the client saw complete and the archive holds whole.
    pub(crate) whole: usize,
    /// Calls that the client saw complete and the archive holds but for the bytes that it declares lost.
    pub(crate) declared: usize,
    /// Calls that were cut and are archived as such.
    pub(crate) cut: usize,
}

/// How a call is archived.
enum Kept {
    Whole,
    LessLosses,
    Cut,
}

/// Under which promise the calls were made.
pub(crate) struct Trial<'a> {
    /// When the process was killed.
    pub(crate) kills: &'a [Instant],
    /// Whether capture was required; else best effort.
    pub(crate) required: bool,
}

impl Trial<'_> {
    fn excuses(&self, seen: &Seen, more: impl Fn(Instant) -> Duration) -> bool {
        let near = |at: Instant| {
            self.kills.iter().any(|kill| at <= *kill && kill.duration_since(at) < EXCUSED + more(*kill))
        };
        !self.required && (near(seen.began) || near(seen.ended))
    }

    /// Where a call lies before the next kill.
    fn when(&self, seen: &Seen) -> String {
        let Some(kill) = self.kills.iter().filter(|kill| **kill >= seen.began).min() else {
            return "no kill after it".to_owned();
        };
        let before = |at: Instant| kill.saturating_duration_since(at).as_millis();
        format!(
            "began {} ms and ended {} ms before a kill, when the machine held up everybody for {} ms",
            before(seen.began),
            before(seen.ended),
            longest_before(*kill).as_millis()
        )
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
                Ok(Kept::Whole) => verdict.whole += 1,
                Ok(Kept::LessLosses) => verdict.declared += 1,
                Ok(Kept::Cut) => verdict.cut += 1,
                Err(_) if self.excuses(one, |_| Duration::ZERO) => verdict.excused += 1,
                Err(_) if self.excuses(one, |kill| longest_before(kill) * HELD_UP) => verdict.late += 1,
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

    /// How the call is archived, or what is wrong.
    fn one(&self, seen: &Seen, entries: &[Arc<Entry>], records: &[Archived]) -> Result<Kept, String> {
        if entries.len() > 1 {
            return Err(format!("the provider saw it {} times", entries.len()));
        }
        let entry = entries.first();
        let record = match records {
            [] if entry.is_none() && !seen.complete => return Ok(Kept::Cut),
            [] => return Err("it is not archived".to_owned()),
            [record] => record,
            more => return Err(format!("it is archived {} times", more.len())),
        };
        let exchange = &record.exchange;
        let refused_by_us = exchange.outcome == Outcome::Refused;
        let declares = exchange.integrity == Integrity::Partial && exchange.lost_bytes > 0;
        let may_lose = declares && !self.required && seen.complete;
        if !may_lose && !seen.call.body.starts_with(&record.request) {
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
                _ if may_lose => lacks_what_it_declares(record, seen).map(|()| Kept::LessLosses),
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
                Some(_) => Ok(Kept::Whole),
            };
        }
        self.cut(seen, entry.map(AsRef::as_ref), record, refused_by_us).map(|()| Kept::Cut)
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

/// Whether a record holds what passed but for as many bytes as it declares lost, leg by leg.
fn lacks_what_it_declares(record: &Archived, seen: &Seen) -> Result<(), String> {
    let mut lost = 0;
    for (leg, passed) in [(Leg::ClientRequest, &seen.call.body), (Leg::ClientResponse, &seen.body)] {
        let Some(body) = record.bodies.iter().find(|body| body.info.leg == leg) else {
            return Err(format!("it holds nothing of the {leg}"));
        };
        let info = &body.info;
        if info.length != passed.len() as u64 || info.stored + info.lost != info.length {
            let length = passed.len();
            return Err(format!("{leg}: {} stored and {} lost are not {length}", info.stored, info.lost));
        }
        if !is_less(body, passed) {
            return Err(format!("{leg}: what is archived is not what passed less what was lost"));
        }
        lost += info.lost;
    }
    if lost == record.exchange.lost_bytes { Ok(()) } else { Err("the legs' losses do not add up".to_owned()) }
}

/// Whether each chunk stands where its offset says that it stood: it ends where the next one begins, or before that,
/// where what was in between was lost. Behind a loss, JSON may be masked to its end: it may be the rest of a credential.
fn is_less(body: &LegBody, passed: &[u8]) -> bool {
    const TELLING: usize = 16;
    const MASKED: [u8; TELLING] = [b'*'; TELLING];
    let chunks = &body.timeline.chunks;
    let offsets =
        |index: usize| chunks.get(index).map_or(passed.len(), |chunk: &ChunkTime| chunk.offset as usize);
    let mut rest = &body.bytes[..];
    for index in 0..chunks.len() {
        let (from, to) = (offsets(index), offsets(index + 1));
        let is_behind_a_loss = passed.len() - body.bytes.len() > 0 && index > 0;
        if is_behind_a_loss && rest.iter().all(|byte| *byte == b'*') {
            return true;
        }
        let run = rest.iter().zip(&passed[from..to]).take_while(|(kept, passed)| kept == passed).count();
        let next = &passed[to..(to + TELLING).min(passed.len())];
        let is_last = index + 1 == chunks.len();
        let ends = |length: &usize| match is_last {
            true => *length == rest.len(),
            false => rest[*length..].starts_with(next) || rest[*length..].starts_with(&MASKED[..next.len()]),
        };
        let Some(length) = (0..=run).rev().find(ends) else { return false };
        rest = &rest[length..];
    }
    rest.is_empty()
}
