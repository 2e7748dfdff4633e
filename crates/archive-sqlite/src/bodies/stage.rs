//! Bodies on their way into blocks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use verbatim_core::ports::{PortError, PortResult};

use super::Buckets;
use super::file::{BlocksFile, NewBlock};
use crate::bucket::Bucket;
use crate::chunking::{Address, Tenant, cut, is_small};
use crate::encoding::{Manifest, Segment};
use crate::squeeze::Squeezers;

/// So many bytes of bodies are gathered before they are compressed and written, which bounds the memory that a batch
/// of large ones takes.
const GATHERED: usize = 8 << 20;
/// Pieces of one tenant share blocks of about this size: together they compress far better than alone, and there are
/// fewer rows. Reading a small body unpacks so much.
const BLOCK: usize = 32 * 1024;

/// Where a body will be once its stage is written.
#[derive(Default)]
pub(crate) struct Staged {
    stretches: Vec<Stretch>,
}

/// A stretch of a block.
#[derive(Clone, Copy, PartialEq)]
struct Stretch {
    block: Block,
    offset: u32,
    length: u32,
}

/// A block that is in the file, or will be.
#[derive(Clone, Copy, PartialEq)]
enum Block {
    Stored(i64),
    /// By its place in the stage.
    Coming(usize),
}

impl Staged {
    /// Adds a stretch; one that goes on where the last ended makes it longer.
    fn push(&mut self, stretch: Stretch) {
        match self.stretches.last_mut() {
            Some(last) if last.block == stretch.block && last.offset + last.length == stretch.offset => {
                last.length += stretch.length;
            }
            _ => self.stretches.push(stretch),
        }
    }
}

/// What a batch brings for each bucket.
pub(crate) struct Stages<'a> {
    buckets: &'a Buckets,
    squeezers: &'a Squeezers,
    stages: HashMap<Bucket, Stage>,
}

impl<'a> Stages<'a> {
    pub(crate) fn new(buckets: &'a Buckets, squeezers: &'a Squeezers) -> Self {
        Self { buckets, squeezers, stages: HashMap::new() }
    }

    /// Takes a body in, and writes what has gathered when it is much.
    pub(crate) fn take(&mut self, bucket: Bucket, tenant: &str, body: &Bytes) -> PortResult<Staged> {
        let stage = match self.stages.entry(bucket) {
            Entry::Occupied(stage) => stage.into_mut(),
            Entry::Vacant(vacant) => {
                let file = self.buckets.open(bucket)?.ok_or_else(|| {
                    PortError::Transient(format!("{} was deleted just now: try again", bucket.file_name()))
                })?;
                vacant.insert(Stage { file, tenants: HashMap::new(), blocks: Blocks::default() })
            }
        };
        stage.take(tenant, body, self.squeezers)
    }

    /// Writes the rest; all of it is durable when it returns.
    pub(crate) fn finish(&mut self) -> PortResult<()> {
        self.stages.values_mut().try_for_each(|stage| stage.blocks.write(&stage.file, self.squeezers))
    }

    /// Where a body is, once finished.
    pub(crate) fn manifest(&self, bucket: Bucket, body: &Staged) -> Manifest {
        let numbers = self.stages.get(&bucket).map_or(&[][..], |stage| &stage.blocks.numbers);
        let segment = |stretch: &Stretch| {
            let block = match stretch.block {
                Block::Stored(number) => number,
                Block::Coming(place) => numbers.get(place).copied().unwrap_or_default(),
            };
            Segment { block, offset: stretch.offset, length: stretch.length }
        };
        Manifest::Segments(body.stretches.iter().map(segment).collect())
    }
}

struct Stage {
    file: Arc<BlocksFile>,
    tenants: HashMap<String, TenantStage>,
    blocks: Blocks,
}

struct TenantStage {
    names: Tenant,
    /// Pieces of this batch.
    seen: HashMap<Address, (Block, u32)>,
    /// The block that new pieces go to.
    filling: Option<usize>,
}

impl Stage {
    fn take(&mut self, tenant: &str, body: &Bytes, squeezers: &Squeezers) -> PortResult<Staged> {
        let tenant = self.tenants.entry(tenant.to_owned()).or_insert_with(|| TenantStage {
            names: Tenant::new(tenant),
            seen: HashMap::new(),
            filling: None,
        });
        let mut staged = Staged::default();
        if is_small(body.len()) {
            staged.push(self.blocks.add(&mut tenant.filling, body, None));
            self.blocks.write_if_much(&self.file, squeezers)?;
            return Ok(staged);
        }
        let pieces: Vec<(Address, &[u8])> = cut(body)
            .into_iter()
            .map(|range| &body[range])
            .map(|piece| (tenant.names.address(piece), piece))
            .collect();
        let new =
            pieces.iter().map(|(address, _)| *address).filter(|address| !tenant.seen.contains_key(address));
        for (address, place) in self.file.known(&new.collect::<Vec<_>>())? {
            tenant.seen.insert(address, (Block::Stored(place.block), place.start));
        }
        for (address, piece) in pieces {
            let stretch = match tenant.seen.get(&address) {
                Some(&(block, offset)) => Stretch { block, offset, length: piece.len() as u32 },
                None => {
                    let stretch = self.blocks.add(&mut tenant.filling, piece, Some(address));
                    tenant.seen.insert(address, (stretch.block, stretch.offset));
                    stretch
                }
            };
            staged.push(stretch);
            self.blocks.write_if_much(&self.file, squeezers)?;
        }
        Ok(staged)
    }
}

/// The blocks that a batch makes in one file.
#[derive(Default)]
struct Blocks {
    /// The numbers of those that are written.
    numbers: Vec<i64>,
    /// Those that come after them.
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    pieces: Vec<(Address, u32)>,
}

impl Blocks {
    /// Puts a piece into the block that is being filled, or into another if that is full or written.
    fn add(&mut self, filling: &mut Option<usize>, piece: &[u8], address: Option<Address>) -> Stretch {
        let written = self.numbers.len();
        let at = filling.and_then(|place| place.checked_sub(written));
        let room = |block: &Waiting| block.bytes.len() + piece.len() <= BLOCK;
        let at = at.filter(|&at| self.waiting.get(at).is_some_and(room)).unwrap_or(self.waiting.len());
        if at == self.waiting.len() {
            self.waiting.push(Waiting::default());
            *filling = Some(written + at);
        }
        let block = &mut self.waiting[at];
        let offset = block.bytes.len() as u32;
        block.bytes.extend_from_slice(piece);
        block.pieces.extend(address.map(|address| (address, offset)));
        self.waiting_bytes += piece.len();
        Stretch { block: Block::Coming(written + at), offset, length: piece.len() as u32 }
    }

    fn write_if_much(&mut self, file: &BlocksFile, squeezers: &Squeezers) -> PortResult<()> {
        if self.waiting_bytes >= GATHERED { self.write(file, squeezers) } else { Ok(()) }
    }

    /// Compresses and stores what waits.
    fn write(&mut self, file: &BlocksFile, squeezers: &Squeezers) -> PortResult<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let blocks: Vec<NewBlock> = squeezers.with(|squeezer| {
            let pack = |block: Waiting| {
                Ok(NewBlock { data: squeezer.pack_block(&block.bytes)?, pieces: block.pieces })
            };
            self.waiting.drain(..).map(pack).collect()
        })?;
        self.waiting_bytes = 0;
        let kept: usize = blocks.iter().map(|block| block.data.len()).sum();
        metrics::counter!("verbatim_archive_kept_bytes_total").increment(kept as u64);
        self.numbers.extend(file.append(blocks)?);
        Ok(())
    }
}
