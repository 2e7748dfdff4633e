//! The formats, and what makes pieces of a file of each.

use bytes::Bytes;

use super::{ExportError, csv, jsonl, parquet};
use crate::find::FoundItem;
use crate::stores::Stores;

/// What an exported file looks like. All formats have the same fields under the same names, those of the API's
/// `Exchange`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A line of JSON an exchange.
    Jsonl {
        /// Whether each has what was said, too.
        conversation: bool,
    },
    /// A line an exchange behind a line of names. A cell that a spreadsheet would take for a formula begins with an
    /// apostrophe; lists are words with spaces between them.
    Csv,
    /// Apache Parquet with typed columns, compressed with zstd.
    Parquet,
}

impl ExportFormat {
    /// The format of this name. `include` may be `conversation` to have what was said in each line of JSON.
    ///
    /// # Errors
    /// [`ExportError::Format`], which says what there is.
    pub fn of(name: &str, include: Option<&str>) -> Result<Self, ExportError> {
        let shown = |text: &str| text.chars().take(40).collect::<String>();
        let conversation = match include {
            None | Some("") => false,
            Some("conversation") => true,
            Some(other) => {
                let other = shown(other);
                let why = format!("include: expected `conversation`, got {other:?}");
                return Err(ExportError::Format(why));
            }
        };
        let format = match name {
            "" | "jsonl" => return Ok(Self::Jsonl { conversation }),
            "csv" => Self::Csv,
            "parquet" => Self::Parquet,
            other => {
                let other = shown(other);
                let why = format!("format: expected `jsonl`, `csv` or `parquet`, got {other:?}");
                return Err(ExportError::Format(why));
            }
        };
        match conversation {
            true => Err(ExportError::Format("include: a conversation needs format=jsonl".to_owned())),
            false => Ok(format),
        }
    }

    /// Its name, which is also what a file's name ends in.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl { .. } => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// Whether a terminal shows it as it is.
    pub fn is_text(self) -> bool {
        self != Self::Parquet
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Jsonl { .. } => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// A file that is being written.
pub(super) enum Encoder {
    Jsonl { conversation: bool },
    Csv { has_head: bool },
    Parquet(Box<parquet::File>),
}

impl Encoder {
    pub(super) fn new(format: ExportFormat) -> Result<Self, ExportError> {
        Ok(match format {
            ExportFormat::Jsonl { conversation } => Self::Jsonl { conversation },
            ExportFormat::Csv => Self::Csv { has_head: false },
            ExportFormat::Parquet => Self::Parquet(Box::new(parquet::File::new()?)),
        })
    }

    /// Takes exchanges, one at least if there is any; gives what is to be written now, which may be nothing.
    pub(super) async fn write(
        self,
        stores: &Stores,
        items: &mut Vec<FoundItem>,
    ) -> Result<(Self, Bytes), ExportError> {
        let piece = match &self {
            Self::Jsonl { conversation: true } => {
                jsonl::line_with_conversation(stores, items.remove(0).exchange).await?
            }
            Self::Jsonl { conversation: false } => jsonl::lines(items.drain(..))?,
            Self::Csv { has_head } => csv::lines(!has_head, items.drain(..))?,
            Self::Parquet(_) => Bytes::new(),
        };
        Ok(match self {
            Self::Csv { .. } => (Self::Csv { has_head: true }, piece),
            Self::Parquet(file) => {
                let (file, piece) = file.write(stores, items).await?;
                (Self::Parquet(file), piece)
            }
            jsonl @ Self::Jsonl { .. } => (jsonl, piece),
        })
    }

    /// The end of the file.
    pub(super) async fn finish(self, stores: &Stores) -> Result<Bytes, ExportError> {
        match self {
            Self::Jsonl { .. } | Self::Csv { has_head: true } => Ok(Bytes::new()),
            Self::Csv { has_head: false } => csv::lines(true, std::iter::empty()),
            Self::Parquet(file) => file.finish(stores).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_by_its_name_and_an_unknown_one_is_told() {
        for (name, include, expected) in [
            ("", None, ExportFormat::Jsonl { conversation: false }),
            ("", Some("conversation"), ExportFormat::Jsonl { conversation: true }),
            ("csv", Some(""), ExportFormat::Csv),
            ("parquet", None, ExportFormat::Parquet),
        ] {
            let format = ExportFormat::of(name, include).unwrap();
            assert_eq!(format, expected);
            assert!(name.is_empty() || format.name() == name);
        }
        for (name, include, named) in
            [("xlsx", "", "xlsx"), ("csv", "conversation", "jsonl"), ("jsonl", "bodies", "bodies")]
        {
            let told = ExportFormat::of(name, Some(include)).unwrap_err().to_string();
            assert!(told.contains(named), "{told}");
        }
    }
}
