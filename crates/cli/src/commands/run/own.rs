//! Running a program with a relay of its own, in this process, since none runs on the data directory.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::process::Command;
use verbatim_telemetry::{Logs, Metrics, log_panics};

use super::super::{Setting, runtimes};
use super::{Program, child, summary, upstreams};
use crate::compose::{Composition, Plan, Service};
use crate::config::{Config, Origin};
use crate::data_dir::{Held, create_private};
use crate::signals::Signals;
use crate::{shell, terminal};

pub(super) fn run(mut setting: Setting, held: Held, program: &Program) -> Result<ExitCode> {
    let directory = held.directory.clone();
    let log = directory.run_log();
    let file = create_private(&log).with_context(|| format!("{} can't be written", log.display()))?;
    // The terminal is the program's.
    let logs = Logs::start_in(file, &setting.log_level(), setting.log_format())?;
    log_panics();
    let metrics = Metrics::start()?;
    let runtimes = runtimes()?;
    take_free_ports_and_upstreams(&mut setting.config, &setting.environment);
    let code = runtimes.run(async |background| {
        let mut signals = Signals::listen()?;
        let Setting { config, environment } = setting;
        let held = Some(held);
        let port = config.settings.gateway.listen.0.port();
        let plan = Plan {
            composition: Composition::Everything,
            config,
            environment: environment.clone(),
            held,
            metrics,
            background,
        };
        let Some(mut service) = Service::start(plan, &mut signals).await? else {
            return Ok(ExitCode::FAILURE);
        };
        super::tell_upstreams(&service.instance);
        for line in upstreams::left(&environment, port) {
            terminal::tell(format_args!("verbatim: {line}"));
        }
        // The program's limit is its own: some take a high one badly.
        let spawn = |command: &mut Command| service.descriptors.as_before(|| command.spawn());
        let started = child::start(program, &service.instance.gateway, spawn)?;
        let has_run = started.is_ok();
        let code = match started {
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
        let mut calls = 0;
        if let Some(archive) = service.archive.clone().filter(|_| has_run) {
            let summary = summary::of_archive(archive.as_ref(), &program.session).await?;
            summary::tell(&summary, &program.session);
            calls = summary.calls;
        }
        service.close().await?;
        if calls > 0 {
            terminal::tell(format_args!(
                "verbatim: `verbatim --data-dir {}` shows them, at /exchanges?q=session:{} of the dashboard",
                shell::word(directory.root()),
                program.session
            ));
        }
        anyhow::Ok(code)
    });
    runtimes.stop();
    drop(logs);
    code
}

/// The ports come first: a base URL leads to this relay only if that gets the port, and not who has it already.
fn take_free_ports_and_upstreams(config: &mut Config, environment: &BTreeMap<String, String>) {
    take_free_ports(config);
    upstreams::adopt(config, environment);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Unnamed;

    #[test]
    fn a_server_that_has_the_usual_port_is_called_and_not_taken_for_the_relay() {
        let directory = tempfile::tempdir().unwrap();
        let read = || Config::read(directory.path(), None, Unnamed::Left, &[], &BTreeMap::new()).unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let base_url = format!("http://{address}/v1");
        let environment = BTreeMap::from([("OPENAI_BASE_URL".to_owned(), base_url.clone())]);

        let mut config = read();
        config.settings.gateway.listen.0 = address;
        take_free_ports_and_upstreams(&mut config, &environment);
        assert_eq!(config.settings.gateway.listen.0.port(), 0);
        let [provider] = &config.settings.providers[..] else { panic!("it is not called") };
        assert_eq!((provider.name.as_str(), provider.base_url.to_string()), ("openai", base_url));
        assert_eq!(upstreams::left(&environment, 0), [""; 0]);

        drop(server);
        let mut config = read();
        config.settings.gateway.listen.0 = address;
        take_free_ports_and_upstreams(&mut config, &environment);
        assert_eq!(config.settings.gateway.listen.0, address);
        assert!(config.settings.providers.is_empty(), "the relay would call itself");
        let [told] = &upstreams::left(&environment, address.port())[..] else { panic!("it is not told") };
        assert!(told.starts_with("OPENAI_BASE_URL leads to this relay itself"), "{told}");
    }
}
