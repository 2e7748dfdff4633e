//! `doctor`: looks at everything that usually goes wrong, and says what to do.

mod call;
mod engines;
mod listener;
mod machine;
mod providers;
mod records;

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::Setting;
use crate::client::Client;
use crate::terminal;
use engines::Engines;

/// How long anything that is asked may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// It works, but look.
    Doubtful,
    Bad,
}

/// What was found of one thing.
#[derive(Debug)]
struct Finding {
    state: State,
    about: String,
    /// What is, and what to do about it.
    text: String,
}

impl Finding {
    fn good(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { state: State::Good, about: about.into(), text: text.into() }
    }

    fn doubtful(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { state: State::Doubtful, about: about.into(), text: text.into() }
    }

    fn bad(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { state: State::Bad, about: about.into(), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Good => "ok",
            State::Doubtful => "look",
            State::Bad => "FAIL",
        };
        write!(f, "{state:<5} {:<15} {}", self.about, self.text)
    }
}

pub(super) fn run(setting: &Setting, call: bool) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bad = runtime.block_on(async {
        let client = Client::new(PATIENCE)?;
        let mut bad = 0;
        let mut tell = |findings: Vec<Finding>| {
            bad += findings.iter().filter(|finding| finding.state == State::Bad).count();
            findings.iter().for_each(terminal::out);
        };
        tell(vec![machine::configuration(setting)]);
        tell(machine::data_directory(setting));
        let instance = machine::running(&client, &setting.data_dir()).await;
        tell(match &instance {
            Some(instance) => vec![machine::described(instance)],
            None if setting.config.settings.nats.url.is_some() => engines::roles(&client, setting).await,
            None => machine::ports(setting),
        });
        let (engines, looked) = Engines::look(setting).await?;
        tell(looked);
        tell(match instance.as_ref().and_then(|instance| instance.web.as_deref()) {
            Some(web) => records::of_running(&client, web).await,
            None => records::at_rest(setting, &engines).await,
        });
        engines.close().await;
        tell(match &instance {
            Some(instance) if instance.demo => vec![providers::of_demo()],
            _ => providers::reachable(&client, setting).await?,
        });
        if call {
            tell(vec![call::through_relay(&client, setting, instance.as_ref()).await?]);
        }
        anyhow::Ok(bad)
    })?;
    if bad == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    terminal::out(format_args!(
        "\n{bad} of these {} something done",
        if bad == 1 { "needs" } else { "need" }
    ));
    Ok(ExitCode::FAILURE)
}
