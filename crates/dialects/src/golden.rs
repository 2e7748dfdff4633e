//! Golden exchanges: files beside each dialect that hold a call and its answer, and the reading that they give.
//!
//! A file has the request, a line of `=====`, and the answer, each as on the wire: first line, headers, empty line,
//! body. After the status may stand `cut`: the answer's body did not end regularly. They are written by hand from the
//! providers' documentation.

use std::path::{Path, PathBuf};

use verbatim_core::model::{Headers, ProviderDialect};

use crate::{ExchangeView, Reading, detect, read};

/// A call and its answer.
#[derive(Clone)]
pub(crate) struct Golden {
    name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) request_headers: Headers,
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) complete: bool,
    pub(crate) response_headers: Headers,
    pub(crate) response: Vec<u8>,
}

impl Golden {
    /// Every golden exchange of a dialect.
    pub(crate) fn all(dialect: &str) -> Vec<Self> {
        let mut files: Vec<_> = std::fs::read_dir(folder(dialect))
            .expect("golden files")
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "http"))
            .collect();
        assert!(!files.is_empty());
        files.sort();
        let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
        files.iter().map(|file| Self::parse(name(file), &std::fs::read_to_string(file).unwrap())).collect()
    }

    fn parse(name: String, text: &str) -> Self {
        let (request, response) =
            text.split_once("\n=====\n").expect("a line of ===== between request and answer");
        let (first, request_headers, request) = message(request);
        let (method, path) = first.split_once(' ').expect("method and path");
        let (first, response_headers, response) = message(response);
        let (status, cut) = first.split_once(' ').unwrap_or((first, ""));
        Self {
            name,
            method: method.into(),
            path: path.into(),
            request_headers,
            request: request.into(),
            status: status.parse().expect("a status"),
            complete: cut != "cut",
            response_headers,
            response: response.into(),
        }
    }

    pub(crate) fn read(
        &self,
        provider_dialect: ProviderDialect,
        response: &[u8],
        response_complete: bool,
    ) -> Reading {
        read(&ExchangeView {
            provider_dialect,
            dialect: detect(provider_dialect, &self.method, &self.path),
            method: &self.method,
            path: &self.path,
            request_headers: &self.request_headers,
            request_body: &self.request,
            status: Some(self.status),
            response_headers: &self.response_headers,
            response_body: response,
            response_complete,
        })
    }
}

fn message(text: &str) -> (&str, Headers, &str) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let first = lines.next().expect("a first line");
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        headers.push(name, value.as_bytes().to_vec());
    }
    (first, headers, body)
}

fn folder(dialect: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(dialect).join("golden")
}

/// Reads every golden file of a dialect and compares with its snapshot; and reads it cut at every byte.
pub(crate) fn check(provider: ProviderDialect, dialect: &str) {
    for golden in Golden::all(dialect) {
        let reading = golden.read(provider, &golden.response, golden.complete);
        let name = &golden.name;
        insta::with_settings!({
            snapshot_path => folder(dialect),
            prepend_module_to_snapshot => false,
            omit_expression => true,
            sort_maps => true,
        }, { insta::assert_json_snapshot!(name.as_str(), reading) });
        for end in 0..golden.response.len() {
            let cut = golden.read(provider, &golden.response[..end], false);
            assert!(
                !cut.ended_well || end + 200 > golden.response.len() || reading.streamed,
                "{name} cut at {end}"
            );
        }
    }
}
