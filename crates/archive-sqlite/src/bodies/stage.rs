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
use crate::encoding::Manifest;
use crate::squeeze::Squeezers;

/// So many bytes of bodies are gathered before they are compressed and written, which bounds the memory that a batch
/// of large ones takes.
const GATHERED: usize = 8 << 20;
/// Small bodies of one tenant share blocks of about this size: together they compress far better.
const SHARED_BLOCK: usize = 16 * 1024;

/// Where a body will be once its stage is written.
pub(crate) enum Whereabouts {
    Pieces(Vec<usize>),
    Within { piece: usize, offset: u64 },
}

enum Piece {
    /// A block that may be there already.
    Alone { bytes: Bytes, address: Address },
    /// Small bodies, one after the other.
    Together(Vec<u8>),
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
    pub(crate) fn take(&mut self, bucket: Bucket, tenant: &str, body: &Bytes) -> PortResult<Whereabouts> {
        let stage = match self.stages.entry(bucket) {
            Entry::Occupied(stage) => stage.into_mut(),
            Entry::Vacant(vacant) => {
                let file = self.buckets.open(bucket)?.ok_or_else(|| {
                    PortError::Transient(format!("{} was deleted just now: try again", bucket.file_name()))
                })?;
                vacant.insert(Stage { file, tenants: HashMap::new(), pieces: Pieces::default() })
            }
        };
        stage.take(tenant, body, self.squeezers)
    }

    /// Writes the rest; all of it is durable when it returns.
    pub(crate) fn finish(&mut self) -> PortResult<()> {
        self.stages.values_mut().try_for_each(|stage| stage.pieces.write(&stage.file, self.squeezers))
    }

    /// Where the body is, once finished.
    pub(crate) fn manifest(&self, bucket: Bucket, whereabouts: &Whereabouts) -> Manifest {
        let number = |piece: usize| {
            let stage = self.stages.get(&bucket);
            stage.and_then(|stage| stage.pieces.numbers.get(piece).copied()).unwrap_or_default()
        };
        match whereabouts {
            Whereabouts::Pieces(pieces) => {
                Manifest::Blocks(pieces.iter().map(|&piece| number(piece)).collect())
            }
            Whereabouts::Within { piece, offset } => {
                Manifest::Within { block: number(*piece), offset: *offset }
            }
        }
    }
}

struct Stage {
    file: Arc<BlocksFile>,
    tenants: HashMap<String, TenantStage>,
    pieces: Pieces,
}

#[derive(Default)]
struct Pieces {
    /// The numbers of the pieces that are written.
    numbers: Vec<i64>,
    /// The pieces that come after those.
    waiting: Vec<Piece>,
    waiting_bytes: usize,
}

impl Pieces {
    fn next(&self) -> usize {
        self.numbers.len() + self.waiting.len()
    }

    fn push(&mut self, piece: Piece) {
        self.waiting_bytes += piece.bytes().len();
        self.waiting.push(piece);
    }

    /// Appends to a piece of small bodies, unless it is written or full; gives the offset.
    fn append(&mut self, piece: usize, body: &[u8]) -> Option<u64> {
        match self.waiting.get_mut(piece.checked_sub(self.numbers.len())?)? {
            Piece::Together(bytes) if bytes.len() + body.len() <= SHARED_BLOCK => {
                let offset = bytes.len() as u64;
                bytes.extend_from_slice(body);
                self.waiting_bytes += body.len();
                Some(offset)
            }
            _ => None,
        }
    }

    fn write_if_much(&mut self, file: &BlocksFile, squeezers: &Squeezers) -> PortResult<()> {
        if self.waiting_bytes >= GATHERED { self.write(file, squeezers) } else { Ok(()) }
    }

    /// Compresses and stores the blocks that are not there yet.
    fn write(&mut self, file: &BlocksFile, squeezers: &Squeezers) -> PortResult<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        let addresses: Vec<Address> = waiting.iter().filter_map(Piece::address).collect();
        let known = if addresses.is_empty() { HashMap::new() } else { file.known(&addresses)? };
        let mut new = Vec::new();
        let mut numbers: Vec<Option<i64>> = Vec::with_capacity(waiting.len());
        squeezers.with(|squeezer| {
            for piece in &waiting {
                let address = piece.address();
                let there = address.and_then(|address| known.get(&address).copied());
                if there.is_none() {
                    new.push(NewBlock { address, data: squeezer.pack(piece.bytes())? });
                }
                numbers.push(there);
            }
            Ok(())
        })?;
        let kept: usize = new.iter().map(|block| block.data.len()).sum();
        metrics::counter!("verbatim_archive_kept_bytes_total").increment(kept as u64);
        let mut stored = if new.is_empty() { Vec::new() } else { file.append(new)? }.into_iter();
        self.numbers.extend(numbers.into_iter().filter_map(|number| number.or_else(|| stored.next())));
        Ok(())
    }
}

struct TenantStage {
    names: Tenant,
    /// Blocks of this batch.
    seen: HashMap<Address, usize>,
    /// The piece that small bodies go to.
    together: Option<usize>,
}

impl TenantStage {
    fn take_small(&mut self, pieces: &mut Pieces, body: &[u8]) -> Whereabouts {
        if let Some(piece) = self.together
            && let Some(offset) = pieces.append(piece, body)
        {
            return Whereabouts::Within { piece, offset };
        }
        let piece = pieces.next();
        pieces.push(Piece::Together(body.to_vec()));
        self.together = Some(piece);
        Whereabouts::Within { piece, offset: 0 }
    }

    fn take_block(&mut self, pieces: &mut Pieces, bytes: Bytes) -> usize {
        let (address, next) = (self.names.address(&bytes), pieces.next());
        let piece = *self.seen.entry(address).or_insert(next);
        if piece == next {
            pieces.push(Piece::Alone { bytes, address });
        }
        piece
    }
}

impl Stage {
    fn take(&mut self, tenant: &str, body: &Bytes, squeezers: &Squeezers) -> PortResult<Whereabouts> {
        let of_tenant = self.tenants.entry(tenant.to_owned()).or_insert_with(|| TenantStage {
            names: Tenant::new(tenant),
            seen: HashMap::new(),
            together: None,
        });
        if is_small(body.len()) {
            let whereabouts = of_tenant.take_small(&mut self.pieces, body);
            self.pieces.write_if_much(&self.file, squeezers)?;
            return Ok(whereabouts);
        }
        let mut pieces = Vec::new();
        for range in cut(body) {
            pieces.push(of_tenant.take_block(&mut self.pieces, body.slice(range)));
            self.pieces.write_if_much(&self.file, squeezers)?;
        }
        Ok(Whereabouts::Pieces(pieces))
    }
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Alone { bytes, .. } => bytes,
            Self::Together(bytes) => bytes,
        }
    }

    fn address(&self) -> Option<Address> {
        match self {
            Self::Alone { address, .. } => Some(*address),
            Self::Together(_) => None,
        }
    }
}
