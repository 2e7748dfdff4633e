//! One file of blocks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::{Doing, Options, Readers, Writer, WriterOptions, migrate, open};

use crate::chunking::Address;
use crate::squeeze::Squeezers;
use crate::sync_directory;

mod migrations {
    refinery::embed_migrations!("migrations/blocks");
}

/// Bodies are read side by side by so many.
const READERS: usize = 4;

/// A block to be stored, packed. With an address it is stored once, and found again by it.
pub(crate) struct NewBlock {
    pub(crate) address: Option<Address>,
    pub(crate) data: Vec<u8>,
}

/// An open file of blocks. Blocks are only ever added; their numbers rise. Every method blocks its thread.
pub(crate) struct BlocksFile {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
}

impl BlocksFile {
    pub(crate) fn open(path: &Path, options: &Options, writer: &WriterOptions) -> PortResult<Self> {
        let is_new = !path.exists();
        let mut connection = open(path, options)?;
        migrate(&mut connection, path, &migrations::migrations::runner())?;
        if is_new && let Some(directory) = path.parent() {
            sync_directory(directory)?;
        }
        Ok(Self {
            path: path.to_owned(),
            writer: Writer::start("archive-blocks", connection, writer)?,
            readers: Readers::new(path, options, READERS),
        })
    }

    /// The numbers of those blocks that are there.
    pub(crate) fn known(&self, addresses: &[Address]) -> PortResult<HashMap<Address, i64>> {
        let mut known = HashMap::with_capacity(addresses.len());
        self.readers.run_blocking(|connection| {
            for address in addresses {
                if let Some(block) = find(connection, address)? {
                    known.insert(*address, block);
                }
            }
            Ok(())
        })?;
        Ok(known)
    }

    /// Stores blocks; durable when it returns. Gives each one's number.
    pub(crate) fn append(&self, blocks: Vec<NewBlock>) -> PortResult<Vec<i64>> {
        self.writer.run_blocking(move |connection| {
            let mut insert =
                connection.prepare_cached("INSERT INTO block (data) VALUES (?1)").doing("store a block")?;
            let mut numbers = Vec::with_capacity(blocks.len());
            for block in &blocks {
                // Another commit may have stored it since the caller looked.
                let there = match &block.address {
                    Some(address) => find(connection, address)?,
                    None => None,
                };
                numbers.push(match there {
                    Some(number) => number,
                    None => {
                        let number = insert.insert([&block.data]).doing("store a block")?;
                        if let Some(address) = &block.address {
                            remember(connection, address, number)?;
                        }
                        number
                    }
                });
            }
            Ok(numbers)
        })
    }

    /// The bytes of blocks, one after the other.
    pub(crate) fn read(&self, blocks: &[i64], squeezers: &Squeezers) -> PortResult<Vec<u8>> {
        let mut bytes = Vec::new();
        self.readers.run_blocking(|connection| {
            squeezers.with(|squeezer| {
                let mut select = connection
                    .prepare_cached("SELECT data FROM block WHERE number = ?1")
                    .doing("read a block")?;
                for number in blocks {
                    let mut rows = select.query([number]).doing("read a block")?;
                    let row = rows.next().doing("read a block")?;
                    let row = row.ok_or_else(|| self.damaged(*number, "it is not there"))?;
                    let data = row.get_ref(0).doing("read a block")?.as_blob();
                    let data = data.map_err(|error| self.damaged(*number, error))?;
                    let block = squeezer.unpack(data).map_err(|error| self.damaged(*number, error))?;
                    bytes.extend_from_slice(&block);
                }
                Ok(())
            })
        })?;
        Ok(bytes)
    }

    fn damaged(&self, number: i64, why: impl std::fmt::Display) -> PortError {
        PortError::Permanent(format!("block {number} of {} is damaged: {why}", self.path.display()))
    }
}

fn find(connection: &Connection, address: &Address) -> PortResult<Option<i64>> {
    let mut select = connection
        .prepare_cached("SELECT block FROM block_address WHERE address = ?1")
        .doing("look for a block")?;
    select.query_row([address], |row| row.get(0)).optional().doing("look for a block")
}

fn remember(connection: &Connection, address: &Address, number: i64) -> PortResult<()> {
    connection
        .prepare_cached("INSERT INTO block_address (address, block) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![address, number]))
        .doing("remember where a block is")?;
    Ok(())
}
