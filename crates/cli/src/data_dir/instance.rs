//! How to reach the process that works on a data directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a running process says of itself, in `instance.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) pid: u32,
    pub(crate) version: String,
    /// The relay's URL, with the port that it really has; empty where it has none.
    pub(crate) gateway: String,
    /// The dashboard's URL; `None` until it listens, and where there is none.
    pub(crate) web: Option<String>,
    /// Where its calls go that don't go to a well-known provider's own address, a line each.
    #[serde(default)]
    pub(crate) upstreams: Vec<String>,
    /// Whether it is a demo, which calls no provider but its own.
    #[serde(default)]
    pub(crate) demo: bool,
}

impl Instance {
    /// This process, which listens nowhere yet.
    pub(crate) fn of_this_process() -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (gateway, upstreams) = (String::new(), Vec::new());
        Self { pid: std::process::id(), version, gateway, web: None, upstreams, demo: false }
    }

    pub(super) fn file(directory: &Path) -> PathBuf {
        directory.join("instance.json")
    }

    /// `None` where there is no such file, or one of a version that wrote something else.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::file(directory)).ok()?).ok()
    }

    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        super::write_whole(&Self::file(directory), &serde_json::to_vec_pretty(self)?)
    }
}
