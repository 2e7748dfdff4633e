//! The configuration file, with the line of each value.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::invalid::Invalid;
use super::layers::{Given, Node, Origin, Scalar};

/// Reads a TOML file.
pub(super) fn read(path: &Path) -> Result<Given, Invalid> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Invalid::File { path: shown.clone(), problem: error.to_string() })?;
    parse(&shown, &text)
}

pub(super) fn parse(path: &str, text: &str) -> Result<Given, Invalid> {
    let source = Source { path, text };
    let document = DeTable::parse(text).map_err(|error| {
        // The error's own display quotes the line, which may hold a password.
        let line = error.span().map_or(1, |span| source.line(span.start));
        Invalid::File { path: format!("{path}:{line}"), problem: error.message().to_owned() }
    })?;
    let at = document.span().start;
    Ok(source.table(document.into_inner(), at))
}

struct Source<'a> {
    path: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn given(&self, node: Node, at: usize) -> Given {
        Given { node, origin: Origin::File { path: self.path.to_owned(), line: self.line(at) } }
    }

    fn table(&self, table: DeTable<'_>, at: usize) -> Given {
        let entries =
            table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), self.value(value)));
        self.given(Node::Table(entries.collect()), at)
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Given {
        let at = value.span().start;
        let scalar = match value.into_inner() {
            DeValue::Table(table) => return self.table(table, at),
            DeValue::Array(items) => {
                return self.given(Node::List(items.into_iter().map(|item| self.value(item)).collect()), at);
            }
            DeValue::String(text) => Scalar::Text(text.into_owned()),
            DeValue::Boolean(boolean) => Scalar::Boolean(boolean),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                parsed.map_or_else(|_| Scalar::Text(number.to_string()), Scalar::Integer)
            }
            DeValue::Float(number) => {
                number.as_str().parse().map_or_else(|_| Scalar::Text(number.to_string()), Scalar::Float)
            }
            DeValue::Datetime(moment) => Scalar::Text(moment.to_string()),
        };
        self.given(Node::Scalar(scalar), at)
    }
}
