//! An export that the running instance makes.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use url::Url;
use verbatim_web::ExportFormat;

use super::Asked;
use crate::client::Client;
use crate::commands::Setting;
use crate::data_dir::DataDir;

/// How long its head may take: the first exchanges are found before it.
const PATIENCE: Duration = Duration::from_secs(120);
/// No error is longer.
const LONGEST_ERROR: usize = 64 << 10;

/// An answer that is coming in.
pub(super) struct Download {
    body: Incoming,
    notice: Option<String>,
}

/// What the API answers when it can't do what was asked.
#[derive(Deserialize)]
struct Refusal {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    message: String,
}

impl Download {
    /// Asks the instance that runs on `directory`.
    pub(super) async fn begin(setting: &Setting, directory: &DataDir, asked: &Asked<'_>) -> Result<Self> {
        let root = directory.root().display();
        let web = directory.instance().and_then(|instance| instance.web);
        let Some(web) = web else {
            bail!("the instance that runs on {root} does not answer yet; try again, or look at its log");
        };
        let mut url = Url::parse(&web)?.join("/api/v1/export")?;
        url.query_pairs_mut().append_pair("q", asked.query).append_pair("format", asked.format.name());
        if asked.format == (ExportFormat::Jsonl { conversation: true }) {
            url.query_pairs_mut().append_pair("include", "conversation");
        }
        let mut request = Request::get(url.as_str());
        let password = &setting.config.settings.web.password;
        if !password.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", password.reveal()));
        }
        let (head, body) = Client::new(PATIENCE)?.send(request.body(Full::default())?).await?.into_parts();
        match head.status {
            StatusCode::OK => {
                let notice = head.headers.get("x-verbatim-notice").and_then(|notice| notice.to_str().ok());
                Ok(Self { body, notice: notice.map(str::to_owned) })
            }
            StatusCode::UNAUTHORIZED => bail!(
                "the instance that runs on {root} wants its password: set [web] password as it has it, or \
                 VERBATIM_WEB__PASSWORD"
            ),
            status => {
                let body = Limited::new(body, LONGEST_ERROR).collect().await;
                let body = body.map_err(|error| anyhow!("{web} answered {status} and broke off: {error}"))?;
                let refusal = serde_json::from_slice::<Refusal>(&body.to_bytes());
                Err(anyhow!(refusal.map_or_else(
                    |_| format!("{web} answered {status}, which is not understood"),
                    |refusal| refusal.error.message
                )))
            }
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.context("the running instance broke the export off; its log may say why")?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    pub(super) fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }
}
