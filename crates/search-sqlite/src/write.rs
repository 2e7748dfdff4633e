//! Writing documents.

use rusqlite::{Connection, params};
use verbatim_core::model::{ExchangeId, SearchDocument};
use verbatim_core::ports::{PortResult, WriteOutcome};
use verbatim_search_text::{Kind, columns, tokens};

use crate::NOWHERE_ELSE;
use crate::body::Packer;
use crate::damage::Watch;
use crate::facets;
use crate::place;

/// A document ready to be written: what takes time is done.
pub(crate) struct Prepared {
    document: SearchDocument,
    words: String,
    body: Vec<u8>,
}

/// Cuts and compresses a document's text. An error is the reason why it can never be indexed.
pub(crate) fn prepare(document: SearchDocument, packer: &mut Packer) -> Result<Prepared, String> {
    for (field, text) in document.fields() {
        if text.len() > SearchDocument::FIELD_LIMIT {
            return Err(format!(
                "its field {field} has {} bytes: expected at most {}",
                text.len(),
                SearchDocument::FIELD_LIMIT
            ));
        }
    }
    let body = packer.pack(&document).map_err(|error| format!("its text can't be compressed: {error}"))?;
    Ok(Prepared { words: words(&document), body, document })
}

/// The tokens of everything that words are looked for in, each field behind a token that no phrase reaches across, and
/// the facets.
fn words(document: &SearchDocument) -> String {
    let mut words = String::from(NOWHERE_ELSE);
    let mut pieces = String::new();
    let fields = document.fields().into_iter().map(|(_, text)| text);
    for text in fields.chain(columns(&document.exchange)).filter(|text| !text.is_empty()) {
        let before = words.len();
        tokens(text, |token| {
            let into = if token.kind == Kind::Piece { &mut pieces } else { &mut words };
            into.push(' ');
            into.push_str(token.folded);
        });
        if words.len() > before {
            words.push(' ');
            words.push_str(NOWHERE_ELSE);
        }
    }
    words + &pieces + &facets::of(&document.exchange)
}

/// Writes documents in the transaction that `connection` is in.
pub(crate) fn write(
    connection: &Connection,
    documents: &[Prepared],
    watch: &Watch,
) -> PortResult<Vec<WriteOutcome>> {
    let mut added = 0;
    let outcomes = documents
        .iter()
        .map(|prepared| {
            let (row, is_new) = match row_for(connection, prepared.document.id()) {
                Ok(Some(row)) => row,
                Ok(None) => {
                    let reason = "too many exchanges began in its millisecond: expected at most 4,096";
                    return Ok(WriteOutcome::Refused(reason.to_owned()));
                }
                Err(error) => return Err(error),
            };
            if is_new {
                added += 1;
            } else {
                forget_row(connection, row)?;
            }
            insert(connection, row, prepared)?;
            Ok(WriteOutcome::Indexed)
        })
        .collect::<rusqlite::Result<Vec<_>>>();
    let outcomes = watch.doing("write to the search index", outcomes)?;
    watch.doing("count documents", count(connection, added))?;
    Ok(outcomes)
}

/// The row of a document, and whether it is a new one; `None` where its millisecond is full.
fn row_for(connection: &Connection, id: ExchangeId) -> rusqlite::Result<Option<(i64, bool)>> {
    let rows = place::rows_of(id);
    let mut find =
        connection.prepare_cached("SELECT rowid, id FROM doc WHERE rowid BETWEEN ? AND ? ORDER BY rowid")?;
    let mut found = find.query(params![rows.start(), rows.end()])?;
    let mut next = *rows.start();
    while let Some(row) = found.next()? {
        next = row.get(0)?;
        if row.get_ref(1)?.as_bytes()? == id.as_bytes() {
            return Ok(Some((next, false)));
        }
        next += 1;
    }
    Ok((next <= *rows.end()).then_some((next, true)))
}

fn insert(connection: &Connection, row: i64, prepared: &Prepared) -> rusqlite::Result<()> {
    let exchange = &prepared.document.exchange;
    connection
        .prepare_cached(
            "INSERT INTO doc (rowid, id, began_us, outcome, status, dialect, streamed, total_tokens, cost_micros, \
             duration_us, provider, model_asked, model_served, method, path, error, app, project, key, owner, session, \
             tags, tools_called) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            row,
            exchange.id.as_bytes(),
            exchange.began_at.as_unix_us(),
            exchange.outcome.number(),
            exchange.status,
            exchange.dialect.number(),
            exchange.streamed,
            exchange.usage.total().map(clamped),
            exchange.cost_micros.map(clamped),
            exchange.duration_us.map(clamped),
            exchange.provider,
            exchange.model_asked,
            exchange.model_served,
            exchange.method,
            exchange.path,
            exchange.error,
            exchange.caller.app,
            exchange.caller.project,
            exchange.caller.key,
            exchange.caller.owner,
            exchange.session,
            list(&exchange.tags),
            list(&exchange.tools_called),
        ])?;
    connection
        .prepare_cached("INSERT INTO body (rowid, text) VALUES (?, ?)")?
        .execute(params![row, prepared.body])?;
    connection
        .prepare_cached("INSERT INTO words (rowid, text) VALUES (?, ?)")?
        .execute(params![row, prepared.words])?;
    Ok(())
}

fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Words each between two line feeds.
fn list(words: &[String]) -> Option<String> {
    let mut list = String::from("\n");
    for word in words.iter().filter(|word| !word.is_empty()) {
        list.extend(word.chars().map(|letter| if letter == '\n' { ' ' } else { letter }));
        list.push('\n');
    }
    (list.len() > 1).then_some(list)
}

/// Forgets documents up to and including an id, at most `limit`; gives how many.
pub(crate) fn forget(
    connection: &Connection,
    up_to: ExchangeId,
    limit: usize,
    watch: &Watch,
) -> PortResult<usize> {
    let forgotten = || {
        let mut find = connection
            .prepare_cached("SELECT rowid FROM doc WHERE rowid <= ? AND id <= ? ORDER BY rowid LIMIT ?")?;
        let found = find.query_map(
            params![place::rows_of(up_to).end(), up_to.as_bytes(), i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| row.get(0),
        )?;
        let rows = found.collect::<rusqlite::Result<Vec<i64>>>()?;
        for row in &rows {
            forget_row(connection, *row)?;
        }
        count(connection, -i64::try_from(rows.len()).unwrap_or(i64::MAX))?;
        Ok(rows.len())
    };
    watch.doing("forget documents", forgotten())
}

fn forget_row(connection: &Connection, row: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM doc WHERE rowid = ?",
        "DELETE FROM body WHERE rowid = ?",
        "DELETE FROM words WHERE rowid = ?",
    ] {
        connection.prepare_cached(sql)?.execute([row])?;
    }
    Ok(())
}

fn count(connection: &Connection, added: i64) -> rusqlite::Result<()> {
    if added != 0 {
        connection.prepare_cached("UPDATE state SET documents = documents + ?")?.execute([added])?;
    }
    Ok(())
}

/// Whether every record of the archive is in the index, or will be, and how many are.
pub(crate) fn state(connection: &Connection) -> rusqlite::Result<(bool, u64)> {
    connection.query_row("SELECT complete, documents FROM state", [], |row| {
        Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0)))
    })
}
