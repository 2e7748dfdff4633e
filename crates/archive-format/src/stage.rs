//! Bodies on their way into blocks: which pieces are new, and which block each goes to.

use std::collections::HashMap;
use std::ops::Range;

use verbatim_core::ports::PortResult;

use crate::chunking::{Address, Tenant, cut, is_small};
use crate::encoding::{Manifest, Segment};
use crate::squeeze::Squeezer;

/// Pieces of one tenant share blocks of about this size: together they compress far better than alone, and there are
/// fewer rows. Reading a small body unpacks so much.
const BLOCK: usize = 32 * 1024;

/// A block to be stored.
#[derive(Debug)]
pub struct NewBlock {
    /// Packed.
    pub data: Vec<u8>,
    /// The pieces in it that may come again, and where they start.
    pub pieces: Vec<(Address, u32)>,
}

/// Where a piece is that was stored before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The block's number.
    pub block: i64,
    /// Where in its bytes the piece starts.
    pub start: u32,
}

/// A stretch of a body that is stored as one.
#[derive(Debug, Clone)]
pub struct Piece {
    /// What it is found by, unless nobody looks for it.
    pub address: Option<Address>,
    range: Range<usize>,
}

/// Where a body will be once its stage is written.
#[derive(Debug, Default)]
pub struct Staged {
    stretches: Vec<Stretch>,
}

/// A stretch of a block.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    block: Block,
    offset: u32,
    length: u32,
}

/// A block that is stored, or will be.
#[derive(Debug, Clone, Copy, PartialEq)]
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

/// What a batch brings for one bucket. Does no input and output: whoever has it looks up the addresses that it does
/// not know, stores the blocks that it packs, and tells it their numbers.
#[derive(Default)]
pub struct Stage {
    tenants: HashMap<String, TenantStage>,
    /// How many blocks are packed.
    packed: usize,
    /// Their numbers, as far as they have any.
    numbers: Vec<i64>,
    /// Those that come after them.
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
}

struct TenantStage {
    names: Tenant,
    /// Pieces that are stored, and those of this batch.
    seen: HashMap<Address, (Block, u32)>,
    /// The block that new pieces go to.
    filling: Option<usize>,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    pieces: Vec<(Address, u32)>,
}

impl Stage {
    /// The pieces of a tenant's body, in order.
    pub fn cut(&mut self, tenant: &str, body: &[u8]) -> Vec<Piece> {
        if is_small(body.len()) {
            return vec![Piece { address: None, range: 0..body.len() }];
        }
        let names = &self.tenant(tenant).names;
        let piece = |range: Range<usize>| Piece { address: Some(names.address(&body[range.clone()])), range };
        cut(body).into_iter().map(piece).collect()
    }

    /// Whether it knows where the tenant's piece of this address is.
    pub fn knows(&self, tenant: &str, address: &Address) -> bool {
        self.tenants.get(tenant).is_some_and(|tenant| tenant.seen.contains_key(address))
    }

    /// Tells it where a piece is that was stored before.
    pub fn learn(&mut self, tenant: &str, address: Address, place: Place) {
        self.tenant(tenant).seen.entry(address).or_insert((Block::Stored(place.block), place.start));
    }

    /// Takes the next piece of a body in: where it is, or into a block that will be stored.
    pub fn put(&mut self, tenant: &str, body: &[u8], piece: &Piece, staged: &mut Staged) {
        let bytes = &body[piece.range.clone()];
        let known = piece.address.and_then(|address| self.tenants.get(tenant)?.seen.get(&address).copied());
        let stretch = match known {
            Some((block, offset)) => Stretch { block, offset, length: bytes.len() as u32 },
            None => self.add(tenant, bytes, piece.address),
        };
        staged.push(stretch);
    }

    /// Puts a piece into the block that is being filled, or into another if that is full or packed.
    fn add(&mut self, tenant: &str, bytes: &[u8], address: Option<Address>) -> Stretch {
        let packed = self.packed;
        let at = self.tenant(tenant).filling.and_then(|place| place.checked_sub(packed));
        let room = |block: &Waiting| block.bytes.len() + bytes.len() <= BLOCK;
        let at = at.filter(|&at| self.waiting.get(at).is_some_and(room)).unwrap_or(self.waiting.len());
        if at == self.waiting.len() {
            self.waiting.push(Waiting::default());
            self.tenant(tenant).filling = Some(packed + at);
        }
        let block = &mut self.waiting[at];
        let (offset, length) = (block.bytes.len() as u32, bytes.len() as u32);
        block.bytes.extend_from_slice(bytes);
        block.pieces.extend(address.map(|address| (address, offset)));
        self.waiting_bytes += bytes.len();
        let coming = Block::Coming(packed + at);
        if let Some(address) = address {
            self.tenant(tenant).seen.insert(address, (coming, offset));
        }
        Stretch { block: coming, offset, length }
    }

    /// Bytes of bodies that have gathered. Where that is much, they should be packed and stored before more is taken in:
    /// it bounds the memory that a batch of large ones takes.
    pub fn gathered(&self) -> usize {
        self.waiting_bytes
    }

    /// Takes the blocks out that have gathered.
    ///
    /// # Errors
    /// Transient where there is no memory to compress with.
    pub fn pack(&mut self, squeezer: &mut Squeezer) -> PortResult<Vec<NewBlock>> {
        self.waiting_bytes = 0;
        self.packed += self.waiting.len();
        let pack =
            |block: Waiting| Ok(NewBlock { data: squeezer.pack_block(&block.bytes)?, pieces: block.pieces });
        self.waiting.drain(..).map(pack).collect()
    }

    /// Tells it the numbers of the blocks that were taken out and have none yet, in their order.
    pub fn number(&mut self, numbers: impl IntoIterator<Item = i64>) {
        self.numbers.extend(numbers);
    }

    /// Where a body is, once all of it has numbers.
    pub fn manifest(&self, body: &Staged) -> Manifest {
        let segment = |stretch: &Stretch| {
            let block = match stretch.block {
                Block::Stored(number) => number,
                Block::Coming(place) => self.numbers.get(place).copied().unwrap_or_default(),
            };
            Segment { block, offset: stretch.offset, length: stretch.length }
        };
        Manifest::Segments(body.stretches.iter().map(segment).collect())
    }

    fn tenant(&mut self, name: &str) -> &mut TenantStage {
        if !self.tenants.contains_key(name) {
            let names = Tenant::new(name);
            let stage = TenantStage { names, seen: HashMap::new(), filling: None };
            self.tenants.insert(name.to_owned(), stage);
        }
        self.tenants.get_mut(name).expect("it was put there just now, if it was not there before")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::squeeze::Squeezers;

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Blocks by number, and where pieces are.
    #[derive(Default)]
    struct Store {
        blocks: Vec<Vec<u8>>,
        pieces: HashMap<Address, Place>,
    }

    impl Store {
        fn write(&mut self, stage: &mut Stage, squeezers: &Squeezers) {
            let blocks = squeezers.with(|squeezer| stage.pack(squeezer)).unwrap();
            let first = i64::try_from(self.blocks.len()).unwrap();
            let numbers: Vec<i64> = (first..).take(blocks.len()).collect();
            stage.number(numbers.iter().copied());
            for (block, number) in blocks.into_iter().zip(numbers) {
                for (address, start) in block.pieces {
                    self.pieces.entry(address).or_insert(Place { block: number, start });
                }
                let bytes = squeezers.with(|squeezer| Ok(squeezer.unpack_block(&block.data).unwrap()));
                self.blocks.push(bytes.unwrap());
            }
        }

        fn read(&self, manifest: &Manifest) -> Vec<u8> {
            let Manifest::Segments(segments) = manifest else { panic!("it is not deleted") };
            let bytes = segments.iter().flat_map(|segment| {
                let from = segment.offset as usize;
                &self.blocks[segment.block as usize][from..from + segment.length as usize]
            });
            bytes.copied().collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn staged_bodies_read_back_whatever_was_there_before_and_whenever_it_is_packed(
            bodies in proptest::collection::vec((0..4_u64, 0..60_000_usize, 0..2_usize), 1..12),
            pack_at in proptest::collection::vec(any::<bool>(), 12),
        ) {
            let (squeezers, mut store) = (Squeezers::default(), Store::default());
            for round in 0..2 {
                let (mut stage, mut staged) = (Stage::default(), Vec::new());
                for ((seed, length, tenant), pack) in bodies.iter().zip(&pack_at) {
                    let (body, tenant) = (noise(*seed, *length), ["one", "two"][*tenant]);
                    let mut at = Staged::default();
                    for piece in stage.cut(tenant, &body) {
                        if let Some((address, place)) =
                            piece.address.and_then(|address| Some((address, *store.pieces.get(&address)?)))
                            && !stage.knows(tenant, &address)
                        {
                            stage.learn(tenant, address, place);
                        }
                        stage.put(tenant, &body, &piece, &mut at);
                    }
                    staged.push((at, body));
                    if *pack {
                        store.write(&mut stage, &squeezers);
                    }
                }
                store.write(&mut stage, &squeezers);
                for (at, body) in &staged {
                    prop_assert_eq!(&store.read(&stage.manifest(at)), body, "round {}", round);
                }
            }
        }
    }
}
