//! One file of blocks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row, params};
use verbatim_archive_format::chunking::Address;
use verbatim_archive_format::encoding::Segment;
use verbatim_archive_format::squeeze::Squeezers;
use verbatim_archive_format::stage::{NewBlock, Place};
use verbatim_core::ports::{PortError, PortResult};
use verbatim_sqlite::{Doing, Options, Readers, Writer, migrate, open};

use crate::sync_directory;

mod migrations {
    refinery::embed_migrations!("migrations/blocks");
}

/// Bodies are read side by side by so many.
const READERS: usize = 4;

/// An open file of blocks. Blocks are only ever added; their numbers rise. Every method blocks its thread.
pub(crate) struct BlocksFile {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
}

impl BlocksFile {
    pub(crate) fn open(path: &Path, options: &Options) -> PortResult<Self> {
        let is_new = !path.exists();
        let mut connection = open(path, options)?;
        migrate(&mut connection, path, &migrations::migrations::runner())?;
        if is_new && let Some(directory) = path.parent() {
            sync_directory(directory)?;
        }
        Ok(Self {
            path: path.to_owned(),
            writer: Writer::start("archive-blocks", connection)?,
            readers: Readers::new(path, options, READERS),
        })
    }

    /// Where those pieces are that are there.
    pub(crate) fn known(&self, addresses: &[Address]) -> PortResult<HashMap<Address, Place>> {
        const DOING: &str = "look for pieces of bodies";
        let mut known = HashMap::with_capacity(addresses.len());
        self.readers.run_blocking(|connection| {
            let sql = "SELECT block, start FROM piece WHERE address = ?1";
            let mut select = connection.prepare_cached(sql).doing(DOING)?;
            let read = |row: &Row<'_>| Ok(Place { block: row.get(0)?, start: row.get(1)? });
            for address in addresses {
                if let Some(place) = select.query_row([address], read).optional().doing(DOING)? {
                    known.insert(*address, place);
                }
            }
            Ok(())
        })?;
        Ok(known)
    }

    /// Stores blocks; durable when it returns. Gives each one's number.
    pub(crate) fn append(&self, blocks: Vec<NewBlock>) -> PortResult<Vec<i64>> {
        const DOING: &str = "store blocks";
        self.writer.run_blocking(move |connection| {
            let mut insert =
                connection.prepare_cached("INSERT INTO block (data) VALUES (?1)").doing(DOING)?;
            // Another commit may have stored a piece since this one looked: the first stays the one to be found.
            let sql = "INSERT INTO piece (address, block, start) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            let mut remember = connection.prepare_cached(sql).doing(DOING)?;
            let mut numbers = Vec::with_capacity(blocks.len());
            for block in &blocks {
                let number = insert.insert([&block.data]).doing(DOING)?;
                for (address, start) in &block.pieces {
                    remember.execute(params![address, number, start]).doing(DOING)?;
                }
                numbers.push(number);
            }
            Ok(numbers)
        })
    }

    /// The bytes of stretches of blocks, one after the other; not many more than `stored`, of which a body consists.
    pub(crate) fn read(
        &self,
        segments: &[Segment],
        stored: u64,
        squeezers: &Squeezers,
    ) -> PortResult<Vec<u8>> {
        const DOING: &str = "read a block";
        let mut bytes = Vec::new();
        self.readers.run_blocking(|connection| {
            squeezers.with(|squeezer| {
                let mut select =
                    connection.prepare_cached("SELECT data FROM block WHERE number = ?1").doing(DOING)?;
                let mut block = (0, Vec::new());
                for segment in segments {
                    if bytes.len() as u64 > stored {
                        break;
                    }
                    let damaged = |why: String| self.damaged(segment.block, &why);
                    if block.0 != segment.block {
                        let data: Option<Vec<u8>> =
                            select.query_row([segment.block], |row| row.get(0)).optional().doing(DOING)?;
                        let data = data.ok_or_else(|| damaged("it is not there".to_owned()))?;
                        let data =
                            squeezer.unpack_block(&data).map_err(|error| damaged(error.to_string()))?;
                        block = (segment.block, data);
                    }
                    let (start, length) = (segment.offset as usize, segment.length as usize);
                    let stretch = block.1.get(start..).and_then(|rest| rest.get(..length));
                    bytes.extend_from_slice(stretch.ok_or_else(|| damaged("it is too short".to_owned()))?);
                }
                Ok(())
            })
        })?;
        Ok(bytes)
    }

    fn damaged(&self, number: i64, why: &str) -> PortError {
        PortError::Permanent(format!("block {number} of {} is damaged: {why}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_body_whose_stretches_are_more_than_it_stored_no_more_is_read_than_shows_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = BlocksFile::open(&directory.path().join("blocks.db"), &Options::default()).unwrap();
        let squeezers = Squeezers::default();
        let data = squeezers.with(|squeezer| squeezer.pack_block(&[b'x'; 1000])).unwrap();
        let numbers = file.append(vec![NewBlock { data, pieces: Vec::new() }]).unwrap();
        let stretch = Segment { block: numbers[0], offset: 0, length: 1000 };
        let read = |count, stored| file.read(&vec![stretch; count], stored, &squeezers).unwrap().len();
        assert_eq!(read(3, 3000), 3000);
        assert_eq!(read(100_000, 3000), 4000);
    }
}
