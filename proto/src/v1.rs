//! Major version 1, as generated from `capture.proto`, and the ways between it and the model.
#![expect(missing_docs, reason = "generated code; capture.proto documents the fields")]

use std::collections::BTreeMap;

use verbatim_core::model::{self, Headers, MessageHead};

include!(concat!(env!("OUT_DIR"), "/verbatim.capture.v1.rs"));

impl From<model::Caller> for Caller {
    fn from(caller: model::Caller) -> Self {
        let model::Caller { app, project, key, owner, credential, client_address } = caller;
        Self { app, project, key, owner, credential, client_address }
    }
}

impl From<Caller> for model::Caller {
    fn from(caller: Caller) -> Self {
        let Caller { app, project, key, owner, credential, client_address } = caller;
        Self { app, project, key, owner, credential, client_address }
    }
}

impl From<model::Attempt> for Attempt {
    fn from(attempt: model::Attempt) -> Self {
        let model::Attempt { provider, url, status, error, started_us, ended_us } = attempt;
        Self { provider, url, status: status.map(u32::from), error, started_us, ended_us }
    }
}

impl From<Attempt> for model::Attempt {
    fn from(attempt: Attempt) -> Self {
        let Attempt { provider, url, status, error, started_us, ended_us } = attempt;
        Self {
            provider,
            url,
            status: status.and_then(|code| u16::try_from(code).ok()),
            error,
            started_us,
            ended_us,
        }
    }
}

/// What is ASCII as it is read, whatever it turns out to be.
pub fn read_ascii(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Headers as they are written.
pub fn write_headers(headers: Headers) -> Vec<Header> {
    headers.0.into_iter().map(|(name, value)| Header { name: name.into(), value }).collect()
}

/// Headers as they are read.
pub fn read_headers(headers: Vec<Header>) -> Headers {
    Headers(headers.into_iter().map(|header| (read_ascii(&header.name), header.value)).collect())
}

impl From<Head> for MessageHead {
    fn from(head: Head) -> Self {
        Self {
            version: read_ascii(&head.version),
            status: head.status.and_then(|code| u16::try_from(code).ok()),
            headers: read_headers(head.headers),
            trailers: Headers::default(),
            at_us: head.at_us,
        }
    }
}

/// Facts in a stable order.
pub fn read_facts(facts: std::collections::HashMap<String, String>) -> BTreeMap<String, String> {
    facts.into_iter().collect()
}
