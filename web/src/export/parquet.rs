//! Apache Parquet, a row group at a time: rows are gathered column by column, and written once they are many enough.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use verbatim_core::model::Exchange;

use super::ExportError;
use super::columns::{COLUMNS, Field};
use crate::find::FoundItem;
use crate::heavy::heavy;
use crate::stores::Stores;

/// So many bytes of values make a row group: what is in memory for a while, and as much again while it is encoded. The
/// footer tells of each group at the end of the file, some 30 KB each.
const GROUP_BYTES: usize = 16 << 20;

/// A file that is being written.
pub(super) struct File {
    writer: SerializedFileWriter<Vec<u8>>,
    group: Group,
    limit: usize,
}

impl File {
    pub(super) fn new() -> Result<Self, ExportError> {
        Self::with_groups_of(GROUP_BYTES)
    }

    fn with_groups_of(limit: usize) -> Result<Self, ExportError> {
        let schema = parse_message_type(&schema()).map_err(ExportError::encoding)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("verbatim ", env!("CARGO_PKG_VERSION")).to_owned())
            // A page's bounds would make the footer several times as large.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build()));
        Ok(Self { writer: writer.map_err(ExportError::encoding)?, group: Group::default(), limit })
    }

    /// Takes all of `items`; gives what is to be written now.
    pub(super) async fn write(
        mut self: Box<Self>,
        stores: &Stores,
        items: &mut Vec<FoundItem>,
    ) -> Result<(Box<Self>, Bytes), ExportError> {
        items.drain(..).for_each(|item| self.group.add(&item.exchange));
        if self.group.bytes < self.limit {
            return Ok((self, Bytes::new()));
        }
        heavy(stores, move || {
            let piece = self.encode().map_err(ExportError::encoding)?;
            Ok((self, piece))
        })
        .await?
    }

    /// The last rows, and what readers begin with.
    pub(super) async fn finish(mut self: Box<Self>, stores: &Stores) -> Result<Bytes, ExportError> {
        heavy(stores, move || {
            let mut piece = self.encode().map_err(ExportError::encoding)?.to_vec();
            piece.extend(self.writer.into_inner().map_err(ExportError::encoding)?);
            Ok(piece.into())
        })
        .await?
    }

    /// Writes the rows that were gathered.
    fn encode(&mut self) -> ParquetResult<Bytes> {
        let group = std::mem::take(&mut self.group);
        if group.rows > 0 {
            let mut writer = self.writer.next_row_group()?;
            for column in group.columns {
                if let Some(mut into) = writer.next_column()? {
                    column.write(&mut into)?;
                    into.close()?;
                }
            }
            writer.close()?;
        }
        self.writer.flush()?;
        Ok(std::mem::take(self.writer.inner_mut()).into())
    }
}

/// The schema as Parquet writes it down. Times are UTC.
fn schema() -> String {
    let mut schema = String::from("message exchange {");
    for (name, field) in COLUMNS {
        let _ = match field {
            Field::Text(_) => write!(schema, "required binary {name} (STRING);"),
            Field::MaybeText(_) => write!(schema, "optional binary {name} (STRING);"),
            Field::Texts(_) => write!(
                schema,
                "required group {name} (LIST) {{ repeated group list {{ required binary element (STRING); }} }}"
            ),
            Field::Number(_) => write!(schema, "required int64 {name};"),
            Field::MaybeNumber(_) => write!(schema, "optional int64 {name};"),
            Field::Flag(_) => write!(schema, "required boolean {name};"),
            Field::Time(_) => write!(schema, "required int64 {name} (TIMESTAMP(MICROS, true));"),
        };
    }
    schema + "}"
}

/// Rows that were gathered.
struct Group {
    columns: Vec<Column>,
    rows: usize,
    /// Roughly what the values take in memory.
    bytes: usize,
}

impl Default for Group {
    fn default() -> Self {
        let columns = COLUMNS.iter().map(|(_, field)| Column::of(*field)).collect();
        Self { columns, rows: 0, bytes: 0 }
    }
}

impl Group {
    fn add(&mut self, exchange: &Exchange) {
        self.bytes += self.columns.iter_mut().map(|column| column.add(exchange)).sum::<usize>();
        self.rows += 1;
    }
}

/// A column's values, of the one type that it has. Where a row may have none, or several, `defined` and `repeated` say
/// how they are spread over the rows (Parquet's definition and repetition levels).
struct Column {
    field: Field,
    texts: Vec<ByteArray>,
    numbers: Vec<i64>,
    flags: Vec<bool>,
    defined: Vec<i16>,
    repeated: Vec<i16>,
}

impl Column {
    fn of(field: Field) -> Self {
        let (texts, numbers, flags) = (Vec::new(), Vec::new(), Vec::new());
        Self { field, texts, numbers, flags, defined: Vec::new(), repeated: Vec::new() }
    }

    /// Adds a row; gives roughly the bytes that it takes.
    fn add(&mut self, exchange: &Exchange) -> usize {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        match self.field {
            Field::Text(of) => self.add_text(&of(exchange)),
            Field::MaybeText(of) => {
                let text = of(exchange);
                self.defined.push(i16::from(text.is_some()));
                text.map_or(0, |text| self.add_text(text)) + size_of::<i16>()
            }
            Field::Texts(of) => {
                let texts = of(exchange);
                let places = texts.len().max(1);
                self.defined.extend((0..places).map(|_| i16::from(!texts.is_empty())));
                self.repeated.extend((0..places).map(|place| i16::from(place > 0)));
                let bytes: usize = texts.iter().map(|text| self.add_text(text)).sum();
                bytes + 2 * places * size_of::<i16>()
            }
            Field::Number(of) => self.add_number(whole(of(exchange))),
            Field::Time(of) => self.add_number(of(exchange).as_unix_us()),
            Field::MaybeNumber(of) => {
                let number = of(exchange);
                self.defined.push(i16::from(number.is_some()));
                number.map_or(0, |number| self.add_number(whole(number))) + size_of::<i16>()
            }
            Field::Flag(of) => {
                self.flags.push(of(exchange));
                size_of::<bool>()
            }
        }
    }

    fn add_text(&mut self, text: &str) -> usize {
        self.texts.push(ByteArray::from(text));
        // What keeps track of the text takes about as much as a short one.
        size_of::<ByteArray>() + 32 + text.len()
    }

    fn add_number(&mut self, number: i64) -> usize {
        self.numbers.push(number);
        size_of::<i64>()
    }

    fn write(&self, into: &mut SerializedColumnWriter<'_>) -> ParquetResult<()> {
        let (defined, repeated) = match self.field {
            Field::Texts(_) => (Some(&self.defined[..]), Some(&self.repeated[..])),
            Field::MaybeText(_) | Field::MaybeNumber(_) => (Some(&self.defined[..]), None),
            Field::Text(_) | Field::Number(_) | Field::Flag(_) | Field::Time(_) => (None, None),
        };
        match self.field {
            Field::Text(_) | Field::MaybeText(_) | Field::Texts(_) => {
                into.typed::<ByteArrayType>().write_batch(&self.texts, defined, repeated)
            }
            Field::Number(_) | Field::MaybeNumber(_) | Field::Time(_) => {
                into.typed::<Int64Type>().write_batch(&self.numbers, defined, repeated)
            }
            Field::Flag(_) => into.typed::<BoolType>().write_batch(&self.flags, defined, repeated),
        }?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field as Value, Row};
    use verbatim_core::model::ExchangeId;
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn exchanges() -> Vec<Exchange> {
        let of = |n: u64| {
            ExchangeBuilder::new(ExchangeId::mint()).with(|exchange| {
                exchange.path = format!("/v1/天气?n={n}\0");
                exchange.tags = (0..n % 4).map(|tag| format!("tag {tag}")).collect();
                exchange.status = (!n.is_multiple_of(3)).then_some(200);
                exchange.error = n.is_multiple_of(5).then(|| "=cmd() \u{fffd}".to_owned());
                exchange.streamed = n.is_multiple_of(2);
                exchange.cost_micros = n.is_multiple_of(2).then_some(u64::MAX);
            })
        };
        (0..1000).map(|n| of(n).exchange()).collect()
    }

    fn encoded(exchanges: &[Exchange], limit: usize) -> Vec<u8> {
        let mut file = File::with_groups_of(limit).unwrap();
        let mut bytes = Vec::new();
        for exchange in exchanges {
            file.group.add(exchange);
            if file.group.bytes >= limit {
                bytes.extend(file.encode().unwrap());
            }
        }
        bytes.extend(file.encode().unwrap());
        bytes.extend(file.writer.into_inner().unwrap());
        bytes
    }

    #[test]
    fn rows_read_back_from_as_many_groups_as_they_needed() {
        let exchanges = exchanges();
        let reader = SerializedFileReader::new(Bytes::from(encoded(&exchanges, 100_000))).unwrap();
        let groups = reader.num_row_groups();
        assert!((5..100).contains(&groups), "{groups}");
        let rows: Vec<Row> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), exchanges.len());
        let maybe = |value: Option<Value>| value.unwrap_or(Value::Null);
        for (row, exchange) in rows.iter().zip(&exchanges) {
            let value = |name| row.get_column_iter().find(|(have, _)| *have == name).unwrap().1.clone();
            assert_eq!(value("id"), Value::Str(exchange.id.to_string()));
            assert_eq!(value("began_at"), Value::TimestampMicros(exchange.began_at.as_unix_us()));
            assert_eq!(value("path"), Value::Str(exchange.path.clone()));
            assert_eq!(value("status"), maybe(exchange.status.map(|status| Value::Long(status.into()))));
            assert_eq!(value("error"), maybe(exchange.error.clone().map(Value::Str)));
            assert_eq!(value("streamed"), Value::Bool(exchange.streamed));
            let most = exchange.cost_micros.map(|_| Value::Long(i64::MAX));
            assert_eq!(value("cost_micros"), maybe(most), "as much as the type holds");
            let Value::ListInternal(tags) = value("tags") else { panic!("tags are a list") };
            let tags: Vec<_> = tags.elements().iter().map(ToString::to_string).collect();
            assert_eq!(tags, exchange.tags.iter().map(|tag| format!("{tag:?}")).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_file_without_rows_is_one_too() {
        let reader = SerializedFileReader::new(Bytes::from(encoded(&[], 1))).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
        assert_eq!(reader.metadata().file_metadata().schema_descr().num_columns(), COLUMNS.len());
    }
}
