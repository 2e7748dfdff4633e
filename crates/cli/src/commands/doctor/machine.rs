//! This machine's side: configuration, disk, ports, and whether an instance runs.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use bytesize::ByteSize;

use super::super::Setting;
use super::{Finding, listener};
use crate::client::Client;
use crate::config::Origin;
use crate::data_dir::{DataDir, Instance};

/// Less free space than this is worth a look.
const LITTLE: u64 = 2 << 30;

/// The configuration was read before anything else; this tells what of it is not the default.
pub(super) fn configuration(setting: &Setting) -> Finding {
    let config = &setting.config;
    let set = config.entries().iter().filter(|entry| entry.origin != Origin::Default).count();
    let file = config.file.as_ref().map_or("no file".into(), |file| file.display().to_string());
    Finding::good(
        "configuration",
        match set {
            1 => format!("{file}, 1 setting that is not the default (`verbatim config check`)"),
            _ => format!("{file}, {set} settings that are not the default (`verbatim config check`)"),
        },
    )
}

/// Whether the data directory can be written, and how much room there is.
pub(super) fn data_directory(setting: &Setting) -> Vec<Finding> {
    let directory = setting.data_dir();
    let root = directory.root();
    let existing = root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let shown = root.display();
    if !existing.is_dir() || rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_err() {
        return vec![Finding::bad(
            "data directory",
            format!("{shown} can't be written; give it to this user, or choose another with --data-dir"),
        )];
    }
    let Ok(disk) = rustix::fs::statvfs(existing) else {
        return vec![Finding::doubtful(
            "data directory",
            format!("{shown} does not say how much room it has"),
        )];
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let least = setting.config.settings.gateway.spool.min_free_bytes.0;
    let room = format!("{shown}, {} free", ByteSize(free).display().iec());
    vec![match free {
        _ if free < least => Finding::bad(
            "data directory",
            format!("{room}: below gateway.spool.min_free_bytes, so nothing can be kept; make room"),
        ),
        _ if free < LITTLE => {
            Finding::doubtful("data directory", format!("{room}: make room, or set [retention]"))
        }
        _ => Finding::good("data directory", room),
    }]
}

/// The instance that runs on the data directory, if its relay answers, or its dashboard where it is that alone.
pub(super) async fn running(client: &Client, directory: &DataDir) -> Option<Instance> {
    let instance = directory.instance()?;
    let answering = Some(instance.gateway.as_str()).filter(|relay| !relay.is_empty());
    let answering = answering.or(instance.web.as_deref())?;
    let answer = client.get(&format!("{answering}/healthz")).await;
    answer.is_ok().then_some(instance)
}

pub(super) fn described(instance: &Instance) -> Finding {
    let Instance { pid, version, gateway, web, .. } = instance;
    let relay = if gateway.is_empty() { "elsewhere" } else { gateway };
    let web = web.as_deref().unwrap_or("elsewhere");
    Finding::good("instance", format!("version {version} runs (pid {pid}): relay {relay}, dashboard {web}"))
}

/// Whether `up` could listen where it is configured to.
pub(super) fn ports(setting: &Setting) -> Vec<Finding> {
    let settings = &setting.config.settings;
    vec![
        Finding::good("instance", "none runs on this data directory; `verbatim up` starts one"),
        port("relay", "--gateway-addr", settings.gateway.listen.0),
        port("dashboard", "--web-addr", settings.web.listen.0),
    ]
}

fn port(what: &str, flag: &str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::good(what, format!("{address} is free")),
        Err(error) => {
            let holder = match listener::at(address) {
                Some((name, pid)) if name == "verbatim" => {
                    format!("another Verbatim, pid {pid}, that has it")
                }
                Some((name, pid)) => format!("{name}, pid {pid}, that has it"),
                None => "what listens there".to_owned(),
            };
            let text =
                format!("can't listen on {address}: {error}; end {holder}, or choose another with {flag}");
            Finding::bad(what, text)
        }
    }
}
