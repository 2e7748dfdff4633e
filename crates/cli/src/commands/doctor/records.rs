//! How recording is doing: the capture log, the archive, the index.

use bytesize::ByteSize;
use serde::Deserialize;
use verbatim_core::ports::{Archive, CaptureLog, SearchIndex};

use super::super::Setting;
use super::Finding;
use crate::client::Client;
use crate::compose::stores;
use crate::data_dir::{DataDir, DataDirError};

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

/// Opens what no instance has open.
pub(super) async fn at_rest(setting: &Setting) -> Vec<Finding> {
    let directory = setting.data_dir();
    if !directory.archive().exists() {
        return vec![Finding::good("records", "none yet")];
    }
    match directory.clone().take_existing() {
        Ok(held) => match read(setting, &held.directory).await {
            Ok(figures) => findings(&figures),
            Err(error) => vec![Finding::bad("records", format!("{error:#}"))],
        },
        Err(DataDirError::InUse { holder, .. }) => {
            let text =
                format!("another process{holder} has them, but its relay does not answer; look at its log");
            vec![Finding::bad("records", text)]
        }
        Err(error) => vec![Finding::bad("records", error.to_string())],
    }
}

async fn read(setting: &Setting, directory: &DataDir) -> anyhow::Result<Figures> {
    let log = stores::log(directory, &setting.config.settings, &tokio::runtime::Handle::current()).await?;
    let archive = stores::archive(directory)?;
    let index = stores::index(directory)?;
    let (in_log, in_archive, in_index) =
        (log.health().await?, archive.health().await?, SearchIndex::health(index.as_ref()).await?);
    index.close().await;
    archive.close().await;
    log.shutdown().await?;
    Ok(Figures {
        problems: Vec::new(),
        log: Some(LogFigures { ends_pending: in_log.ends_pending, dead_letters: in_log.dead_letters }),
        archive: Some(ArchiveFigures {
            exchanges: in_archive.exchanges,
            bytes: in_archive.bytes,
            captured_bytes: in_archive.captured_bytes,
            outbox: in_archive.outbox,
            outbox_failed: in_archive.outbox_failed,
        }),
        search: Some(SearchFigures { documents: in_index.documents }),
    })
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
