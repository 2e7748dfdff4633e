//! Running a program with a relay of its own, in this process, since none runs on the data directory.

use std::fs::File;
use std::net::TcpListener;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::process::Command;
use verbatim_telemetry::{Logs, Metrics, log_panics};

use super::super::{Setting, runtimes};
use super::{Program, child, summary, upstreams};
use crate::compose::{Composition, Plan, Service};
use crate::config::{Config, Origin};
use crate::data_dir::Held;
use crate::signals::Signals;
use crate::terminal;

pub(super) fn run(mut setting: Setting, held: Held, program: &Program) -> Result<ExitCode> {
    let directory = held.directory.clone();
    let log = directory.run_log();
    let file = File::create(&log).with_context(|| format!("{} can't be written", log.display()))?;
    // The terminal is the program's.
    let logs = Logs::start_in(file, &setting.log_level(), setting.log_format())?;
    log_panics();
    let metrics = Metrics::start()?;
    let runtimes = runtimes()?;
    upstreams::adopt(&mut setting.config, &setting.environment);
    take_free_ports(&mut setting.config);
    let code = runtimes.run(async |background| {
        let mut signals = Signals::listen()?;
        let Setting { config, environment } = setting;
        let held = Some(held);
        let plan =
            Plan { composition: Composition::Everything, config, environment, held, metrics, background };
        let Some(mut service) = Service::start(plan, &mut signals).await? else {
            return Ok(ExitCode::FAILURE);
        };
        super::tell_upstreams(&service.instance);
        // The program's limit is its own: some take a high one badly.
        let spawn = |command: &mut Command| service.descriptors.as_before(|| command.spawn());
        let code = match child::start(program, &service.instance.gateway, spawn)? {
            Ok(mut started) => {
                let status = tokio::select! {
                    status = child::wait(&mut started, &mut signals) => status?,
                    failure = service.roles.first_failure() => {
                        terminal::tell(format_args!("verbatim: {failure:#}; calls of the program fail from now on"));
                        child::wait(&mut started, &mut signals).await?
                    }
                };
                child::exit_code(status)
            }
            Err(code) => code,
        };
        if let Err(error) = service.drain(&mut signals).await {
            terminal::tell(format_args!("verbatim: {error:#}; {} has more", log.display()));
        }
        if let Some(archive) = service.archive.clone() {
            summary::tell(&summary::of_archive(archive.as_ref(), &program.session).await?, &program.session);
        }
        service.close().await?;
        terminal::tell(format_args!(
            "verbatim: `verbatim --data-dir {}` shows them, at /exchanges?q=session:{} of the dashboard",
            directory.root().display(),
            program.session
        ));
        anyhow::Ok(code)
    });
    runtimes.stop();
    drop(logs);
    code
}

/// A relay for one program may listen anywhere: where a usual port is taken by another program, the system chooses.
/// An address that was asked for stays.
fn take_free_ports(config: &mut Config) {
    let (gateway, web) = (config.origin("gateway.listen"), config.origin("web.listen"));
    let settings = &mut config.settings;
    for (origin, address) in [(gateway, &mut settings.gateway.listen.0), (web, &mut settings.web.listen.0)] {
        if origin == Origin::Default && TcpListener::bind(*address).is_err() {
            address.set_port(0);
        }
    }
}
