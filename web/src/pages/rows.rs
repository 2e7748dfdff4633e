//! Rows of the list, in pages and in the live stream.

use askama::Template;
use http::HeaderMap;
use verbatim_core::model::Timestamp;

use crate::find::FoundItem;
use crate::state::App;
use crate::text::{Language, Text};
use crate::view::row::Row;
use crate::view::zone::Zone;

#[derive(Template)]
#[template(path = "row.html")]
struct RowTemplate<'a> {
    row: &'a Row,
    t: &'static Text,
}

/// Renders rows in one reader's language and time zone.
pub(crate) struct RowMaker {
    t: &'static Text,
    zone: Zone,
    now: Timestamp,
}

impl RowMaker {
    pub(crate) fn new(app: &App, headers: &HeaderMap) -> Self {
        Self { t: Language::of(headers).text(), zone: Zone::of(headers), now: app.ports.clock.now() }
    }

    /// The row as HTML.
    pub(crate) fn render(&self, item: &FoundItem) -> String {
        let row = Row::new(item, self.t, self.zone, self.now.max(item.exchange.began_at));
        RowTemplate { row: &row, t: self.t }.render().unwrap_or_default()
    }
}
