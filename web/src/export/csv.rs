//! Comma-separated values (RFC 4180).

use bytes::Bytes;
use csv::Writer;
use verbatim_core::model::Exchange;

use super::ExportError;
use super::columns::{COLUMNS, Field};
use crate::find::FoundItem;

/// A line an exchange, behind a line of names where it is the first piece.
pub(super) fn lines(with_head: bool, items: impl Iterator<Item = FoundItem>) -> Result<Bytes, ExportError> {
    let mut writer = Writer::from_writer(Vec::new());
    if with_head {
        writer.write_record(COLUMNS.iter().map(|(name, _)| name)).map_err(ExportError::encoding)?;
    }
    for item in items {
        let cells = COLUMNS.iter().map(|(_, field)| safe_cell(cell(*field, &item.exchange)));
        writer.write_record(cells).map_err(ExportError::encoding)?;
    }
    let bytes = writer.into_inner().map_err(|error| ExportError::encoding(error.error()))?;
    Ok(bytes.into())
}

fn cell(field: Field, exchange: &Exchange) -> String {
    match field {
        Field::Text(of) => of(exchange).into_owned(),
        Field::MaybeText(of) => of(exchange).unwrap_or_default().to_owned(),
        Field::Texts(of) => of(exchange).join(" "),
        Field::Number(of) => of(exchange).to_string(),
        Field::MaybeNumber(of) => of(exchange).map(|number| number.to_string()).unwrap_or_default(),
        Field::Flag(of) => of(exchange).to_string(),
        Field::Time(of) => of(exchange).to_string(),
    }
}

/// Spreadsheets run a cell that begins like a formula (OWASP, "CSV Injection"): an apostrophe makes it text.
fn safe_cell(mut cell: String) -> String {
    let begins_like_a_formula =
        |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if begins_like_a_formula(&cell) || begins_like_a_formula(cell.trim_start()) {
        cell.insert(0, '\'');
    }
    cell
}

#[cfg(test)]
mod tests {
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    #[test]
    fn a_cell_that_looks_like_a_formula_is_made_text() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=x", " =cmd()", "＝1"] {
            assert!(safe_cell(cell.to_owned()).starts_with('\''), "{cell}");
        }
        for cell in ["", "hello", "1+1", "天气", "{\"a\":1}"] {
            assert_eq!(safe_cell(cell.to_owned()), cell);
        }
    }

    #[test]
    fn cells_with_line_ends_and_quotes_stay_one_cell() {
        let exchange = ExchangeBuilder::minted()
            .with(|exchange| {
                exchange.asked_preview = "a\nb".to_owned();
                exchange.answered_preview = "say \"hi\", ok".to_owned();
                exchange.tags = vec!["one".to_owned(), "two".to_owned()];
            })
            .exchange();
        let items = [FoundItem { exchange, snippets: Vec::new() }];
        let bytes = lines(true, items.into_iter()).unwrap();
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        let names = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let cell = |name| rows[0].get(names.iter().position(|have| have == name).unwrap()).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(cell("asked_preview"), "a\nb");
        assert_eq!(cell("answered_preview"), "say \"hi\", ok");
        assert_eq!(cell("tags"), "one two");
    }
}
