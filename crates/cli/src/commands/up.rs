//! `up`: everything in one process.

use std::process::ExitCode;

use anyhow::Result;

use super::{Setting, runtimes};
use crate::banner;
use crate::compose::{Plan, Service};
use crate::signals::Signals;

pub(super) fn run(setting: Setting) -> Result<ExitCode> {
    let (logs, metrics) = setting.telemetry()?;
    let held = setting.data_dir().take()?;
    let runtimes = runtimes()?;
    let served = runtimes.run(async |background| {
        let mut signals = Signals::listen()?;
        let Setting { config, environment } = setting;
        let plan = Plan { config: config.clone(), environment, held, metrics, background };
        let service = Service::start(plan).await?;
        banner::show(&config, &service.held.directory, &service.instance);
        service.run(&mut signals).await
    });
    runtimes.stop();
    drop(logs);
    served.map(|()| ExitCode::SUCCESS)
}
