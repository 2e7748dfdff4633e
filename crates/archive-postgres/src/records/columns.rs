//! An exchange's columns, written and read.

use std::sync::LazyLock;

use tokio_postgres::Row as DatabaseRow;
use tokio_postgres::types::{FromSql, ToSql};
use uuid::Uuid;
use verbatim_archive_format::record::PackedRecord;
use verbatim_archive_format::text::{clean, int, join_words, maybe, split_words, unsigned};
use verbatim_core::model::{
    Caller, Dialect, Exchange, ExchangeId, Integrity, Outcome, Provenance, ProviderDialect, RecordMode,
    Timestamp, Usage,
};

use crate::day::uuid;
use crate::error::{Doing, Fault};

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Among those that are listed.
    Exchange,
    /// Its id does not tell when it was made.
    Stray,
}

/// What is selected for [`read`], of a table called `e`.
pub(crate) const LISTED: &str = include_str!("../../queries/listed_columns.sql");

static UPSERT: LazyLock<String> =
    LazyLock::new(|| include_str!("../../queries/upsert_exchange.sql").replace("$exchange", "exchange"));
static UPSERT_AND_NOTE: LazyLock<String> = LazyLock::new(|| {
    // A row for the index comes with each that is stored, in the order of ids.
    format!(
        "WITH stored AS ({}), queued AS (INSERT INTO outbox (id) SELECT id FROM stored ORDER BY id) \
         SELECT * FROM stored",
        UPSERT.as_str()
    )
});
static UPSERT_STRAY: LazyLock<String> = LazyLock::new(|| {
    include_str!("../../queries/upsert_exchange.sql").replace("$exchange", "exchange_stray")
});

impl Table {
    /// Writes rows of [`parameters`], and their outbox entries where those are kept.
    pub(crate) fn upsert(self, outbox_is_kept: bool) -> &'static str {
        match self {
            Self::Exchange if outbox_is_kept => &UPSERT_AND_NOTE,
            Self::Exchange => &UPSERT,
            Self::Stray => &UPSERT_STRAY,
        }
    }
}

/// What a statement is given: one array a column.
pub(crate) type Parameters<'a> = Vec<Box<dyn ToSql + Sync + Send + 'a>>;

/// As the client takes them.
pub(crate) fn references<'a>(parameters: &'a Parameters<'_>) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter.as_ref() as &(dyn ToSql + Sync)).collect()
}

fn column<'a, R, T: ToSql + Sync + Send + 'a>(
    rows: &[&'a R],
    value: impl Fn(&'a R) -> T,
) -> Box<dyn ToSql + Sync + Send + 'a> {
    Box::new(rows.iter().map(|row| value(row)).collect::<Vec<T>>())
}

/// Rows as the columns that [`Table::upsert`] takes, in its order.
pub(crate) fn parameters<'a>(rows: &[&'a PackedRecord]) -> Parameters<'a> {
    type Record = PackedRecord;
    let number =
        |value: fn(&Exchange) -> Option<u64>| column(rows, move |row: &Record| value(&row.exchange).map(int));
    let sure = |value: fn(&Exchange) -> u64| column(rows, move |row: &Record| int(value(&row.exchange)));
    let word = |value: fn(&Exchange) -> u8| column(rows, move |row: &Record| i16::from(value(&row.exchange)));
    let text =
        |value: fn(&'a Exchange) -> &'a str| column(rows, move |row: &'a Record| clean(value(&row.exchange)));
    let some = |value: fn(&'a Exchange) -> &'a Option<String>| {
        column(rows, move |row: &'a Record| maybe(value(&row.exchange).as_deref()))
    };
    vec![
        column(rows, |row: &Record| uuid(row.exchange.id)),
        column(rows, |row: &Record| row.exchange.began_at.as_unix_us()),
        column(rows, |row: &Record| int(row.captured)),
        number(|e| e.duration_us),
        number(|e| e.usage.total()),
        number(|e| e.cost_micros),
        number(|e| e.first_byte_us),
        number(|e| e.first_token_us),
        number(|e| e.relay_us),
        number(|e| e.usage.input_tokens),
        number(|e| e.usage.output_tokens),
        number(|e| e.usage.cache_read_tokens),
        number(|e| e.usage.cache_write_tokens),
        number(|e| e.usage.reasoning_tokens),
        number(|e| e.usage.stated_cost_micros),
        sure(|e| e.request_bytes),
        sure(|e| e.response_bytes),
        sure(|e| e.lost_bytes),
        column(rows, |row: &Record| row.exchange.status.map(i32::from)),
        column(rows, |row: &Record| row.bucket.part.cast_signed()),
        word(|e| e.rank().number()),
        word(|e| e.outcome.number()),
        word(|e| e.integrity.number()),
        word(|e| e.record.number()),
        word(|e| e.dialect.number()),
        word(|e| e.provider_dialect.number()),
        column(rows, |row: &Record| row.exchange.usage.provenance.map(|known| i16::from(known.number()))),
        column(rows, |row: &Record| row.exchange.streamed),
        text(|e| &e.gateway),
        text(|e| &e.method),
        text(|e| &e.path),
        text(|e| &e.provider),
        some(|e| &e.model_asked),
        some(|e| &e.model_served),
        some(|e| &e.caller.app),
        some(|e| &e.caller.project),
        some(|e| &e.caller.key),
        some(|e| &e.caller.owner),
        some(|e| &e.session),
        some(|e| &e.error),
        column(rows, |row: &Record| join_words(&row.exchange.tags)),
        column(rows, |row: &Record| join_words(&row.exchange.tools_called)),
        some(|e| &e.caller.client_address),
        some(|e| &e.caller.credential),
        some(|e| &e.provider_request_id),
        some(|e| &e.trace_id),
        some(|e| &e.finish_reason),
        some(|e| &e.price_version),
        text(|e| &e.asked_preview),
        text(|e| &e.answered_preview),
        column(rows, |row: &'a Record| row.heads.as_slice()),
    ]
}

/// Takes the columns of a row one after the other.
pub(crate) struct Columns<'a> {
    row: &'a DatabaseRow,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(row: &'a DatabaseRow) -> Self {
        Self { row, next: 0 }
    }

    pub(crate) fn take<T: FromSql<'a>>(&mut self) -> Result<T, Fault> {
        self.next += 1;
        self.row.try_get(self.next - 1).doing("read a column")
    }

    pub(crate) fn number(&mut self) -> Result<Option<u64>, Fault> {
        Ok(self.take::<Option<i64>>()?.map(unsigned))
    }

    fn status(&mut self) -> Result<Option<u16>, Fault> {
        Ok(self.take::<Option<i32>>()?.and_then(|status| u16::try_from(status).ok()))
    }

    /// A word from a closed set by its number; one that this program does not know is an error.
    pub(crate) fn word<T>(&mut self, of: impl Fn(u8) -> Option<T>) -> Result<T, Fault> {
        let number: i16 = self.take()?;
        let known = u8::try_from(number).ok().and_then(of);
        known.ok_or_else(|| {
            let name = self.row.columns().get(self.next - 1).map_or("", |column| column.name());
            Fault::permanent(format!("a record has {name} {number}, which this program does not know"))
        })
    }

    fn words(&mut self) -> Result<Vec<String>, Fault> {
        Ok(split_words(self.take::<Option<&str>>()?))
    }
}

/// An id that is one of ours.
pub(crate) fn id_of(id: Uuid) -> Result<ExchangeId, Fault> {
    ExchangeId::try_from(id).map_err(Fault::permanent)
}

/// Reads an exchange from the columns of [`LISTED`].
pub(crate) fn read(columns: &mut Columns<'_>) -> Result<Exchange, Fault> {
    let id = id_of(columns.take()?)?;
    let began_at = Timestamp::from_unix_us(columns.take()?);
    let outcome = columns.word(Outcome::from_number)?;
    let integrity = columns.word(Integrity::from_number)?;
    let dialect = columns.word(Dialect::from_number)?;
    let status = columns.status()?;
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
    let (input_tokens, output_tokens) = (columns.number()?, columns.number()?);
    let (cache_read_tokens, cache_write_tokens) = (columns.number()?, columns.number()?);
    let reasoning_tokens = columns.number()?;
    let provenance: Option<i16> = columns.take()?;
    let usage = Usage {
        input_tokens,
        output_tokens,
        total_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
        provenance: provenance.and_then(|number| Provenance::from_number(u8::try_from(number).ok()?)),
        stated_cost_micros: columns.number()?,
    };
    Ok(Exchange {
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
        price_version: columns.take()?,
        asked_preview: columns.take()?,
        answered_preview: columns.take()?,
        request_bytes: columns.number()?.unwrap_or(0),
        response_bytes: columns.number()?.unwrap_or(0),
        lost_bytes: columns.number()?.unwrap_or(0),
    })
}
