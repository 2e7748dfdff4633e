//! How recording is doing: the capture log, the archive, the index.

use bytesize::ByteSize;
use serde::Deserialize;
use tokio::runtime::Handle;
use verbatim_core::ports::{Archive, ArchiveHealth, IndexHealth, LogHealth, PortResult, SearchIndex};

use super::super::Setting;
use super::Finding;
use super::engines::Engines;
use crate::client::Client;
use crate::compose::stores::{self, Records};
use crate::data_dir::{DataDir, DataDirError};
use crate::waits::Waits;

/// So many that wait are more than a busy moment.
const MANY: u64 = 10_000;

/// The figures, from whichever source.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Figures {
    problems: Vec<String>,
    log: Option<LogFigures>,
    archive: Option<ArchiveFigures>,
    search: Option<SearchFigures>,
}

#[derive(Debug, Deserialize)]
struct LogFigures {
    ends_pending: u64,
    dead_letters: u64,
}

#[derive(Debug, Deserialize)]
struct ArchiveFigures {
    exchanges: u64,
    bytes: u64,
    captured_bytes: u64,
    outbox: u64,
    outbox_failed: u64,
}

#[derive(Debug, Deserialize)]
struct SearchFigures {
    documents: u64,
}

/// Asks the instance that runs.
pub(super) async fn of_running(client: &Client, web: &str) -> Vec<Finding> {
    let url = format!("{web}/api/v1/health/pipeline");
    match client.get(&url).await {
        Ok(answer) if answer.status == http::StatusCode::UNAUTHORIZED => {
            vec![Finding::doubtful("records", format!("the dashboard wants its password; look at {web}"))]
        }
        Ok(answer) => match serde_json::from_slice::<Figures>(&answer.body) {
            Ok(figures) => findings(&figures),
            Err(_) => vec![Finding::bad(
                "records",
                format!("{url} answered {}, which is not understood", answer.status),
            )],
        },
        Err(error) => vec![Finding::bad("records", format!("{error:#}; the log of the instance has more"))],
    }
}

/// Asks the engines, and opens what no instance has open.
pub(super) async fn at_rest(setting: &Setting, engines: &Engines) -> Vec<Finding> {
    let mut problems = Vec::new();
    let figures = of_engines(engines).await.unwrap_or_else(|error| {
        problems.push(Finding::bad("records", error.to_string()));
        Figures::default()
    });
    let (directory, settings) = (setting.data_dir(), &setting.config.settings);
    let has_log = settings.nats.url.is_none() && directory.log().exists();
    let has_records = settings.postgres.url.is_none() && directory.archive().exists();
    let figures = match (has_log || has_records).then(|| directory.clone().take_existing()) {
        None if settings.postgres.url.is_none() => return vec![Finding::good("records", "none yet")],
        None => Ok(figures),
        Some(Ok(held)) => read(setting, &held.directory, has_records, figures).await,
        Some(Err(DataDirError::InUse { holder, .. })) => {
            let text =
                format!("another process{holder} has them, but its relay does not answer; look at its log");
            problems.push(Finding::bad("records", text));
            Ok(figures)
        }
        Some(Err(error)) => Err(error.into()),
    };
    match figures {
        Ok(figures) => problems.extend(findings(&figures)),
        Err(error) => problems.push(Finding::bad("records", format!("{error:#}"))),
    }
    problems
}

async fn of_engines(engines: &Engines) -> PortResult<Figures> {
    let mut figures = Figures { log: engines.log.map(LogFigures::from), ..Figures::default() };
    if let Some(archive) = &engines.archive {
        figures.archive = Some(archive.health().await?.into());
    }
    if let Some(index) = &engines.index {
        figures.search = Some(index.health().await?.into());
    }
    Ok(figures)
}

/// Adds what is in the data directory.
async fn read(
    setting: &Setting,
    directory: &DataDir,
    has_records: bool,
    mut figures: Figures,
) -> anyhow::Result<Figures> {
    if figures.log.is_none() {
        let log = stores::embedded_log(directory, &setting.config, &Handle::current()).await?;
        figures.log = Some(log.health().await?.into());
        log.close().await?;
    }
    if has_records {
        let records = Records::open(&setting.config, directory, &Waits::default()).await?;
        figures.archive = Some(records.archive.health().await?.into());
        if let Some(index) = &records.index {
            figures.search = Some(index.health().await?.into());
        }
        records.close().await?;
    }
    Ok(figures)
}

impl From<LogHealth> for LogFigures {
    fn from(health: LogHealth) -> Self {
        Self { ends_pending: health.ends_pending, dead_letters: health.dead_letters }
    }
}

impl From<ArchiveHealth> for ArchiveFigures {
    fn from(health: ArchiveHealth) -> Self {
        let ArchiveHealth { exchanges, bytes, captured_bytes, outbox, outbox_failed, .. } = health;
        Self { exchanges, bytes, captured_bytes, outbox, outbox_failed }
    }
}

impl From<IndexHealth> for SearchFigures {
    fn from(health: IndexHealth) -> Self {
        Self { documents: health.documents }
    }
}

fn findings(figures: &Figures) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(log) = &figures.log {
        let text = format!("{} exchanges wait to be archived", log.ends_pending);
        findings.push(match log {
            LogFigures { dead_letters: 1.., .. } => Finding::bad(
                "capture log",
                format!("{text}; {} messages could not be processed and were set aside", log.dead_letters),
            ),
            LogFigures { ends_pending, .. } if *ends_pending > MANY => Finding::doubtful("capture log", text),
            _ => Finding::good("capture log", text),
        });
    }
    if let Some(archive) = &figures.archive {
        let text = format!(
            "{} exchanges, {} on disk for {} captured",
            archive.exchanges,
            ByteSize(archive.bytes).display().iec(),
            ByteSize(archive.captured_bytes).display().iec()
        );
        findings.push(Finding::good("archive", text));
    }
    if let (Some(search), Some(archive)) = (&figures.search, &figures.archive) {
        let text = format!("{} documents, {} wait to be indexed", search.documents, archive.outbox);
        findings.push(match archive {
            ArchiveFigures { outbox_failed: 1.., .. } => Finding::doubtful(
                "search index",
                format!("{text}, {} could not be; `verbatim reindex` tries again", archive.outbox_failed),
            ),
            ArchiveFigures { exchanges: 1.., outbox: 0, .. } if search.documents == 0 => {
                Finding::bad("search index", format!("{text}; `verbatim reindex` builds it anew"))
            }
            ArchiveFigures { outbox, .. } if *outbox > MANY => Finding::doubtful("search index", text),
            _ => Finding::good("search index", text),
        });
    }
    findings.extend(figures.problems.iter().map(|problem| Finding::bad("recording", problem)));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn an_empty_index_over_a_full_archive_is_found() {
        let figures = Figures {
            archive: Some(ArchiveFigures {
                exchanges: 3,
                bytes: 1,
                captured_bytes: 1,
                outbox: 0,
                outbox_failed: 0,
            }),
            search: Some(SearchFigures { documents: 0 }),
            ..Figures::default()
        };
        let found = findings(&figures);
        assert_eq!(found.last().unwrap().state, State::Bad);
        assert!(found.last().unwrap().text.contains("verbatim reindex"));
    }

    #[test]
    fn what_an_instance_says_is_understood_with_and_without_each_part() {
        let figures: Figures =
            serde_json::from_str(r#"{"status":"ok","log":null,"problems":["x"]}"#).unwrap();
        assert_eq!(findings(&figures).len(), 1);
    }
}
