//! An exchange's columns, written and read.

use std::sync::LazyLock;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, Row, params};
use verbatim_archive_format::text::{clean, int, join_words, maybe, split_words, unsigned};
use verbatim_core::model::{
    Caller, Dialect, Exchange, ExchangeId, Integrity, Outcome, Provenance, ProviderDialect, RecordMode,
    Timestamp, Usage,
};

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Among those that are listed.
    Exchange,
    /// Its id does not tell when it was made.
    Stray,
}

struct Sql {
    insert: String,
    select: String,
    select_listed: String,
    prior: String,
    delete: String,
    is_there: String,
}

impl Sql {
    fn of(table: &str) -> Self {
        let of = |sql: &str| sql.replace("$exchange", table);
        Self {
            insert: of(include_str!("../../queries/insert_exchange.sql")),
            select: of(include_str!("../../queries/select_exchange.sql")),
            select_listed: of(include_str!("../../queries/select_exchange.sql")).replace("d.heads", "x''"),
            prior: of(include_str!("../../queries/select_prior.sql")),
            delete: of("DELETE FROM $exchange WHERE id = ?1"),
            is_there: of("SELECT 1 FROM $exchange WHERE id = ?1"),
        }
    }
}

static EXCHANGE: LazyLock<Sql> = LazyLock::new(|| Sql::of("exchange"));
static STRAY: LazyLock<Sql> = LazyLock::new(|| Sql::of("exchange_stray"));

impl Table {
    fn sql(self) -> &'static Sql {
        match self {
            Self::Exchange => &EXCHANGE,
            Self::Stray => &STRAY,
        }
    }

    /// The one that it is not.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Exchange => Self::Stray,
            Self::Stray => Self::Exchange,
        }
    }

    /// Finds a row by id.
    pub(crate) fn is_there(self) -> &'static str {
        &self.sql().is_there
    }

    /// Selects what [`read`] reads, by id.
    pub(crate) fn select(self) -> &'static str {
        &self.sql().select
    }

    /// The same without the heads, which may be large.
    pub(crate) fn select_listed(self) -> &'static str {
        &self.sql().select_listed
    }

    /// Selects rank, captured bytes and detail's number, by id.
    pub(crate) fn prior(self) -> &'static str {
        &self.sql().prior
    }

    pub(crate) fn delete(self) -> &'static str {
        &self.sql().delete
    }
}

/// Where the rest of a record is.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Number of its detail.
    pub(crate) detail: i64,
    /// Bytes of its bodies, and the part of its week's blocks that they are in.
    pub(crate) captured: u64,
    pub(crate) part: u32,
}

/// Writes the listed columns; false where the id is taken.
pub(crate) fn insert(
    connection: &Connection,
    table: Table,
    exchange: &Exchange,
    place: Place,
) -> rusqlite::Result<bool> {
    let Exchange { caller, usage, .. } = exchange;
    let mut insert = connection.prepare_cached(&table.sql().insert)?;
    let inserted = insert.execute(params![
        exchange.id.as_bytes(),
        exchange.rank().number(),
        place.detail,
        int(place.captured),
        place.part,
        exchange.began_at.as_unix_us(),
        exchange.outcome.number(),
        exchange.integrity.number(),
        exchange.dialect.number(),
        exchange.status,
        exchange.streamed,
        exchange.duration_us.map(int),
        usage.total().map(int),
        exchange.cost_micros.map(int),
        clean(&exchange.method),
        clean(&exchange.path),
        clean(&exchange.provider),
        maybe(exchange.model_asked.as_deref()),
        maybe(exchange.model_served.as_deref()),
        maybe(caller.app.as_deref()),
        maybe(caller.project.as_deref()),
        maybe(caller.key.as_deref()),
        maybe(caller.owner.as_deref()),
        maybe(exchange.session.as_deref()),
        maybe(exchange.error.as_deref()),
        join_words(&exchange.tags),
        join_words(&exchange.tools_called),
    ])?;
    Ok(inserted == 1)
}

/// Writes the columns that are only shown, in place of what was there.
pub(crate) fn insert_detail(
    connection: &Connection,
    detail: i64,
    exchange: &Exchange,
    heads: &[u8],
) -> rusqlite::Result<()> {
    let Exchange { caller, usage, .. } = exchange;
    let mut insert = connection.prepare_cached(include_str!("../../queries/insert_detail.sql"))?;
    insert.execute(params![
        detail,
        clean(&exchange.gateway),
        exchange.record.number(),
        maybe(caller.client_address.as_deref()),
        maybe(caller.credential.as_deref()),
        exchange.provider_dialect.number(),
        maybe(exchange.provider_request_id.as_deref()),
        maybe(exchange.trace_id.as_deref()),
        maybe(exchange.finish_reason.as_deref()),
        exchange.first_byte_us.map(int),
        exchange.first_token_us.map(int),
        exchange.relay_us.map(int),
        usage.input_tokens.map(int),
        usage.output_tokens.map(int),
        usage.cache_read_tokens.map(int),
        usage.cache_write_tokens.map(int),
        usage.reasoning_tokens.map(int),
        usage.provenance.map(Provenance::number),
        usage.stated_cost_micros.map(int),
        maybe(exchange.price_version.as_deref()),
        clean(&exchange.asked_preview),
        clean(&exchange.answered_preview),
        int(exchange.request_bytes),
        int(exchange.response_bytes),
        int(exchange.lost_bytes),
        heads,
    ])?;
    Ok(())
}

/// Takes the columns of a row one after the other.
struct Columns<'a, 'b> {
    row: &'a Row<'b>,
    next: usize,
}

impl Columns<'_, '_> {
    fn take<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    fn number(&mut self) -> rusqlite::Result<Option<u64>> {
        Ok(self.take::<Option<i64>>()?.map(unsigned))
    }

    /// A word from a closed set by its number; one that this program does not know is an error.
    fn word<T>(&mut self, of: impl Fn(u8) -> Option<T>) -> rusqlite::Result<T> {
        let number: i64 = self.take()?;
        u8::try_from(number)
            .ok()
            .and_then(of)
            .ok_or(rusqlite::Error::IntegralValueOutOfRange(self.next - 1, number))
    }

    fn words(&mut self) -> rusqlite::Result<Vec<String>> {
        let text: Option<String> = self.take()?;
        Ok(split_words(text.as_deref()))
    }
}

/// Reads an exchange and its packed heads from a row of [`Table::select`].
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<(Exchange, Vec<u8>)> {
    let mut columns = Columns { row, next: 0 };
    let id: Vec<u8> = columns.take()?;
    let id = ExchangeId::try_from(&id[..])
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error)))?;
    let began_at = Timestamp::from_unix_us(columns.take()?);
    let outcome = columns.word(Outcome::from_number)?;
    let integrity = columns.word(Integrity::from_number)?;
    let dialect = columns.word(Dialect::from_number)?;
    let status = columns.take()?;
    let streamed = columns.take()?;
    let duration_us = columns.number()?;
    let total_tokens = columns.number()?;
    let cost_micros = columns.number()?;
    let (method, path, provider) = (columns.take()?, columns.take()?, columns.take()?);
    let (model_asked, model_served) = (columns.take()?, columns.take()?);
    let (app, project, key, owner) = (columns.take()?, columns.take()?, columns.take()?, columns.take()?);
    let (session, error) = (columns.take()?, columns.take()?);
    let (tags, tools_called) = (columns.words()?, columns.words()?);
    let gateway = columns.take()?;
    let record = columns.word(RecordMode::from_number)?;
    let (client_address, credential) = (columns.take()?, columns.take()?);
    let provider_dialect = columns.word(ProviderDialect::from_number)?;
    let (provider_request_id, trace_id, finish_reason) = (columns.take()?, columns.take()?, columns.take()?);
    let (first_byte_us, first_token_us, relay_us) = (columns.number()?, columns.number()?, columns.number()?);
    let usage = Usage {
        input_tokens: columns.number()?,
        output_tokens: columns.number()?,
        total_tokens,
        cache_read_tokens: columns.number()?,
        cache_write_tokens: columns.number()?,
        reasoning_tokens: columns.number()?,
        provenance: columns.take::<Option<u8>>()?.and_then(Provenance::from_number),
        stated_cost_micros: columns.number()?,
    };
    let price_version = columns.take()?;
    let (asked_preview, answered_preview) = (columns.take()?, columns.take()?);
    let (request_bytes, response_bytes) = (columns.number()?, columns.number()?);
    let lost_bytes = columns.number()?;
    let heads = columns.take()?;
    let exchange = Exchange {
        id,
        gateway,
        began_at,
        outcome,
        integrity,
        record,
        method,
        path,
        status,
        error,
        caller: Caller { app, project, key, owner, credential, client_address },
        provider,
        provider_dialect,
        dialect,
        provider_request_id,
        model_asked,
        model_served,
        session,
        tags,
        trace_id,
        streamed,
        finish_reason,
        tools_called,
        first_byte_us,
        first_token_us,
        duration_us,
        relay_us,
        usage,
        cost_micros,
        price_version,
        asked_preview,
        answered_preview,
        request_bytes: request_bytes.unwrap_or(0),
        response_bytes: response_bytes.unwrap_or(0),
        lost_bytes: lost_bytes.unwrap_or(0),
    };
    Ok((exchange, heads))
}
