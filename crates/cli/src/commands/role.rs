//! `gateway`, `recorder`, `indexer`, `web`: one role in a process of its own. And `up`: all of them in one.

use std::process::ExitCode;

use anyhow::Result;

use super::{Setting, runtimes};
use crate::banner;
use crate::compose::{Composition, Plan, Service};
use crate::config::{Config, Invalid};
use crate::signals::Signals;

pub(super) fn run(setting: Setting, composition: Composition) -> Result<ExitCode> {
    check(&setting.config, composition)?;
    let (logs, metrics) = setting.telemetry()?;
    let held = match composition {
        Composition::Everything | Composition::Gateway | Composition::Web => Some(setting.data_dir().take()?),
        Composition::Recorder | Composition::Indexer => None,
    };
    let runtimes = runtimes()?;
    let served = runtimes.run(async |background| {
        let mut signals = Signals::listen()?;
        let Setting { config, environment } = setting;
        let plan = Plan { composition, config: config.clone(), environment, held, metrics, background };
        let Some(service) = Service::start(plan, &mut signals).await? else { return Ok(()) };
        banner::show(&config, &service);
        service.run(&mut signals).await
    });
    runtimes.stop();
    drop(logs);
    served.map(|()| ExitCode::SUCCESS)
}

/// Whether what it needs is configured.
fn check(config: &Config, composition: Composition) -> Result<(), Invalid> {
    match composition {
        Composition::Everything => config.check_engines_of_one_process()?,
        Composition::Gateway => {
            config.required_nats()?;
            config.required_secret()?;
        }
        Composition::Recorder => {
            config.required_nats()?;
            config.required_postgres()?;
        }
        Composition::Indexer => drop(config.required_postgres()?),
        Composition::Web => {
            config.required_postgres()?;
            config.required_secret()?;
        }
    }
    Ok(())
}
