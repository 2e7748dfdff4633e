//! `up`: everything in one process.

use std::process::ExitCode;

use anyhow::Result;

use super::{Setting, runtimes};
use crate::banner;
use crate::compose::{Plan, Service};
use crate::config::LogFormatSetting;
use crate::signals::Signals;
use crate::terminal;

pub(super) fn run(setting: Setting) -> Result<ExitCode> {
    let (logs, metrics) = setting.telemetry()?;
    let held = setting.data_dir().take()?;
    let runtimes = runtimes()?;
    let served = runtimes.run(async |background| {
        let mut signals = Signals::listen()?;
        let Setting { config, environment } = setting;
        let plan = Plan { config: config.clone(), environment, held, metrics, background };
        let service = Service::start(plan).await?;
        match config.settings.log.format {
            LogFormatSetting::Text => {
                terminal::out(banner::text(&config, &service.held.directory, &service.instance));
            }
            LogFormatSetting::Json => tracing::info!(
                relay = service.instance.gateway,
                dashboard = service.instance.web,
                data = %service.held.directory.root().display(),
                "ready"
            ),
        }
        service.run(&mut signals).await
    });
    runtimes.stop();
    drop(logs);
    served.map(|()| ExitCode::SUCCESS)
}
