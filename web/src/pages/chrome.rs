//! What every page has: its language, theme, navigation, and the pulse of the pipeline.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Uri};
use verbatim_core::model::Timestamp;

use super::html;
use crate::api::{PipelineBody, pipeline};
use crate::assets;
use crate::security::cookie;
use crate::state::{App, Shared};
use crate::text::{Language, Text};
use crate::view::format;
use crate::view::zone::Zone;

/// What every page has.
pub(crate) struct Chrome {
    pub(crate) t: &'static Text,
    pub(crate) language: Language,
    /// `auto`, `light` or `dark`.
    pub(crate) theme: &'static str,
    pub(crate) zone: Zone,
    pub(crate) now: Timestamp,
    pub(crate) title: String,
    pub(crate) assets: &'static str,
    /// Path and query of this page, to come back to.
    pub(crate) here: String,
    /// The page that is on: `overview`, `exchanges`, `api`.
    pub(crate) on: &'static str,
    /// Whether one can log out.
    pub(crate) can_log_out: bool,
}

pub(crate) const THEME_COOKIE: &str = "verbatim_theme";

impl Chrome {
    pub(crate) fn new(app: &App, headers: &HeaderMap, uri: &Uri, on: &'static str) -> Self {
        let language = Language::of(headers);
        Self {
            t: language.text(),
            language,
            theme: match cookie(headers, THEME_COOKIE) {
                Some("dark") => "dark",
                Some("light") => "light",
                _ => "auto",
            },
            zone: Zone::of(headers),
            now: app.ports.clock.now(),
            title: app.config.title.clone(),
            assets: assets::BASE.as_str(),
            here: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            on,
            can_log_out: app.sessions.required(),
        }
    }
}

/// The pulse in the corner.
#[derive(Template)]
#[template(path = "pulse.html")]
pub(crate) struct Pulse {
    class: &'static str,
    archived: String,
    lost: String,
}

impl Pulse {
    pub(crate) fn new(health: &PipelineBody, t: &Text, now: Timestamp) -> Self {
        let archived = match health.archived_up_to {
            Some(time) => {
                let behind = now.since(time);
                if behind.as_millis() < 1000 {
                    t.archived_now.to_owned()
                } else {
                    let behind = format::duration(u64::try_from(behind.as_micros()).unwrap_or(u64::MAX));
                    match t.lang {
                        "en" => format!("{} {behind} {}", t.archived_to, t.ago),
                        _ => format!("{} {behind} {}", t.archived_to, t.ago),
                    }
                }
            }
            None => format!("{} {}", t.archived_to, t.not_known),
        };
        let (bytes, calls) =
            health.gateway.map_or((0, 0), |gateway| (gateway.lost_bytes, gateway.unrecorded_exchanges));
        let bytes = (bytes > 0).then(|| format!("{} {}", format::bytes(bytes), t.bytes_lost));
        let lost: Vec<String> = bytes.into_iter().chain(unrecorded(calls, t)).collect();
        Self {
            class: health.status,
            archived,
            lost: if lost.is_empty() { t.none_lost.to_owned() } else { lost.join(" · ") },
        }
    }
}

/// How many calls were not recorded, where any were not.
pub(super) fn unrecorded(calls: u64, t: &Text) -> Option<String> {
    let text = if calls == 1 { t.call_unrecorded } else { t.calls_unrecorded };
    (calls > 0).then(|| format!("{} {text}", format::count(calls)))
}

/// The pulse alone, for pages to renew it.
pub(crate) async fn pulse(State(app): State<Shared>, headers: HeaderMap) -> Response {
    let health = pipeline(&app).await;
    html(&Pulse::new(&health, Language::of(&headers).text(), app.ports.clock.now()))
}
