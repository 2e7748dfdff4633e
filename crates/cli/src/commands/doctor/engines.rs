//! The engines that are configured: whether they let us in, their versions and settings, and how full they are.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig, Server};
use verbatim_core::ports::{LogHealth, PortError, PortResult};
use verbatim_log_nats::Survey;
use verbatim_search_meilisearch::MeilisearchIndex;

use super::super::Setting;
use super::Finding;
use crate::client::Client;
use crate::compose::stores;

/// More connections than these see to a process's upkeep.
const UPKEEP: u32 = 2;

/// Those that are configured and let us in.
#[derive(Default)]
pub(super) struct Engines {
    pub(super) log: Option<LogHealth>,
    pub(super) archive: Option<Arc<PostgresArchive>>,
    pub(super) index: Option<Arc<MeilisearchIndex>>,
}

impl Engines {
    /// Tries each once.
    pub(super) async fn look(setting: &Setting) -> anyhow::Result<(Self, Vec<Finding>)> {
        let (mut engines, mut findings) = (Self::default(), Vec::new());
        let config = &setting.config;
        if let Some(nats) = config.nats()? {
            // Once, and nothing is made: that is for those who use it.
            let nats = verbatim_log_nats::Config { connect_within: Duration::ZERO, ..nats };
            let surveyed = Box::pin(Survey::take(&nats)).await.map_err(PortError::from);
            findings.push(found("NATS", surveyed.map(|survey| judge_log(&survey, &mut engines))));
        }
        if let Some(postgres) = config.postgres()? {
            findings.push(found("PostgreSQL", look_at_archive(postgres, &mut engines).await));
        }
        if let Some(meilisearch) = config.meilisearch()? {
            let index = stores::index_on_engine(meilisearch)?;
            findings.push(found("Meilisearch", look_at_index(index, &mut engines).await));
        }
        Ok((engines, findings))
    }

    pub(super) async fn close(self) {
        if let Some(archive) = self.archive {
            archive.close().await;
        }
    }
}

/// Adapters' errors say what to do.
fn found(engine: &str, looked: PortResult<Finding>) -> Finding {
    looked.unwrap_or_else(|error| Finding::bad(engine, error.to_string()))
}

fn judge_log(survey: &Survey, engines: &mut Engines) -> Finding {
    let Survey { server_version: version, absent, health } = survey;
    engines.log = *health;
    let Some(LogHealth { bytes, max_bytes, .. }) = *health else {
        let (is, makes) = if absent.len() == 1 { ("is", "it") } else { ("are", "them") };
        let absent = absent.join(", ");
        return Finding::good(
            "NATS",
            format!(
                "version {version}; {absent} {is} not there yet: the first gateway or recorder makes {makes}"
            ),
        );
    };
    let text = format!("version {version}, streams as expected, {} kept", ByteSize(bytes).display().iec());
    match max_bytes {
        Some(most) if bytes > most / 2 => Finding::doubtful(
            "NATS",
            format!(
                "{text} of {}: are recorders running, and do they keep up?",
                ByteSize(most).display().iec()
            ),
        ),
        _ => Finding::good("NATS", text),
    }
}

async fn look_at_archive(config: PostgresConfig, engines: &mut Engines) -> PortResult<Finding> {
    let wanted = u32::try_from(2 * config.pool_size).unwrap_or(u32::MAX).saturating_add(UPKEEP);
    let archive = stores::look_at_archive(config).await?;
    let server = archive.server().await?;
    let address = archive.address().to_owned();
    engines.archive = Some(archive);
    Ok(judge(&server, &address, wanted))
}

/// `wanted` is how many connections one process may open.
fn judge(server: &Server, address: &str, wanted: u32) -> Finding {
    let Server { version, is_durable, max_connections, connections } = server;
    let text = format!(
        "version {version} at {address}, schema up to date, {connections} of {max_connections} connections taken"
    );
    if !is_durable {
        return Finding::doubtful(
            "PostgreSQL",
            format!(
                "{text}; fsync or full_page_writes is off: a crash of its machine may lose or damage records"
            ),
        );
    }
    if connections.saturating_add(wanted) > *max_connections {
        return Finding::doubtful(
            "PostgreSQL",
            format!(
                "{text}; one process more may want {wanted}: raise max_connections, or lower [postgres] pool_size"
            ),
        );
    }
    Finding::good("PostgreSQL", text)
}

async fn look_at_index(index: Arc<MeilisearchIndex>, engines: &mut Engines) -> PortResult<Finding> {
    index.check().await?;
    let (version, incomplete) = (index.version().await?, index.needs_rebuild().await?);
    let text = format!("version {version} at {}", index.address());
    engines.index = Some(index);
    Ok(match incomplete {
        true => Finding::doubtful(
            "Meilisearch",
            format!(
                "{text}; its index is new: an indexer builds it when it starts, `verbatim reindex` at once"
            ),
        ),
        false => Finding::good("Meilisearch", text),
    })
}

/// What a role says that is not ready.
#[derive(Default, Deserialize)]
#[serde(default)]
struct NotReady {
    problems: Vec<String>,
}

/// How roles on their own say they are that answer where they are configured to listen; others may run elsewhere.
pub(super) async fn roles(client: &Client, setting: &Setting) -> Vec<Finding> {
    let settings = &setting.config.settings;
    let roles = [
        ("gateway", settings.gateway.listen),
        ("recorder", settings.recorder.listen),
        ("indexer", settings.indexer.listen),
        ("web", settings.web.listen),
    ];
    let mut findings = Vec::new();
    for (role, address) in roles {
        findings.push(match client.get(&format!("http://{address}/readyz")).await {
            Ok(answer) if answer.status.is_success() => {
                Finding::good(role, format!("one at {address} is ready"))
            }
            Ok(answer) => {
                let said: NotReady = serde_json::from_slice(&answer.body).unwrap_or_default();
                let why = match said.problems.is_empty() {
                    true => format!("it answered {}; look at its log", answer.status),
                    false => said.problems.join("; "),
                };
                Finding::doubtful(role, format!("the one at {address} is not ready: {why}"))
            }
            Err(_) => Finding::good(role, format!("none at {address}; `verbatim {role}` starts one")),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_server_that_may_lose_records_or_is_nearly_full_is_worth_a_look() {
        let server =
            Server { version: "15.1".into(), is_durable: true, max_connections: 100, connections: 10 };
        assert_eq!(judge(&server, "db", 18).state, State::Good);
        let full = Server { connections: 90, ..server.clone() };
        assert!(judge(&full, "db", 18).text.contains("raise max_connections"));
        let risky = Server { is_durable: false, ..server };
        assert!(judge(&risky, "db", 18).text.contains("fsync"));
    }

    #[test]
    fn what_an_engine_refuses_is_bad_and_told_as_its_adapter_tells_it() {
        let finding = found("NATS", Err(PortError::Permanent("NATS at x is too old".into())));
        assert_eq!((finding.state, finding.text.as_str()), (State::Bad, "NATS at x is too old"));
    }
}
