//! Running a program with the relay that runs on the data directory already.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::time::Instant;

use super::super::Setting;
use super::{Program, child, summary, upstreams};
use crate::client::Client;
use crate::data_dir::{DataDir, Instance};
use crate::signals::Signals;
use crate::terminal;

/// How long a relay that is just starting may take until it says where it listens.
const STARTING: Duration = Duration::from_secs(10);
/// How long the program's last calls may take until they are archived.
const ARCHIVING: Duration = Duration::from_secs(10);
/// How often to look.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(setting: &Setting, program: &Program) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let client = Client::new(Duration::from_secs(5))?;
        let instance = find(&client, &setting.data_dir()).await?;
        super::tell_upstreams(&instance);
        tell_of_other_upstreams(setting, &instance);
        let code = match child::start(program, &instance.gateway, Command::spawn)? {
            Ok(mut started) => child::exit_code(child::wait(&mut started, &mut signals).await?),
            Err(code) => return Ok(code),
        };
        let Some(web) = &instance.web else { return Ok(code) };
        let calls = tokio::select! {
            told = wait_and_tell(&client, web, &program.session) => told?,
            _ = signals.next() => None,
        };
        if calls != Some(0) {
            terminal::tell(format_args!("verbatim: {web}/exchanges?q=session:{}", program.session));
        }
        Ok(code)
    })
}

/// The relay that runs, once it answers.
async fn find(client: &Client, directory: &DataDir) -> Result<Instance> {
    let deadline = Instant::now() + STARTING;
    loop {
        let instance = directory.instance().filter(|instance| instance.web.is_some());
        let failure = match &instance {
            Some(instance) => client.get(&format!("{}/healthz", instance.gateway)).await.err(),
            None => Some(anyhow::anyhow!("it does not say where it listens")),
        };
        match (failure, instance) {
            (None, Some(instance)) => return Ok(instance),
            (Some(error), _) if Instant::now() > deadline => {
                let root = directory.root().display();
                return Err(error)
                    .with_context(|| format!("another process has {root}, but its relay is not there"));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// What the program would have called is not what the running relay calls; better said than wondered at.
fn tell_of_other_upstreams(setting: &Setting, instance: &Instance) {
    let port = instance.gateway.parse::<url::Url>().ok().and_then(|url| url.port()).unwrap_or_default();
    for upstreams::Named { variable, base_url, .. } in upstreams::named(&setting.environment, port) {
        terminal::tell(format_args!(
            "verbatim: {variable} is {base_url}, but the relay that runs sends these calls where it is configured to; \
             give `verbatim run` a --data-dir of its own to have them arrive there"
        ));
    }
}

/// Waits until the session's calls are archived and their number stands still, then sums them up; gives their number, if
/// it can be known.
async fn wait_and_tell(client: &Client, web: &str, session: &str) -> Result<Option<u64>> {
    let deadline = Instant::now() + ARCHIVING;
    let mut last = None;
    loop {
        let now = match summary::of_api(client, web, session).await {
            Ok(now) => now,
            // Behind a password only a person gets in; the link is theirs.
            Err(summary::Unanswered::Locked) => return Ok(None),
            Err(summary::Unanswered::Failed(error)) => bail!(error),
        };
        let still = last.as_ref() == Some(&now) && now.running == 0;
        if still || Instant::now() > deadline {
            summary::tell(&now, session);
            return Ok(Some(now.calls));
        }
        last = Some(now);
        tokio::time::sleep(3 * LOOK).await;
    }
}
