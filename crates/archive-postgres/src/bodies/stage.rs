//! Bodies on their way into blocks.

use std::collections::{BTreeMap, HashMap};

use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::chunking::Address;
use verbatim_archive_format::encoding::Manifest;
use verbatim_archive_format::record::{let_go, tenant};
use verbatim_archive_format::squeeze::Squeezers;
use verbatim_archive_format::stage::{NewBlock, Piece, Place, Stage, Staged};
use verbatim_core::model::ExchangeRecord;
use verbatim_core::ports::PortResult;

/// So many bytes of bodies are gathered before they are compressed and stored. Whichever thread does that keeps the room
/// that it took, so it is little.
const SLICE: usize = 4 << 20;

/// The bodies of one record, cut into pieces.
pub(crate) struct Cut {
    tenant: String,
    bodies: Vec<CutBody>,
}

struct CutBody {
    /// Those that are in no block yet.
    pieces: std::vec::IntoIter<Piece>,
    staged: Staged,
}

/// What a batch brings for each bucket. Does no input and output.
#[derive(Default)]
pub(crate) struct Staging {
    stages: HashMap<Bucket, Stage>,
    /// Packed blocks, in the order in which they want numbers.
    packed: BTreeMap<Bucket, Vec<NewBlock>>,
}

impl Staging {
    /// Cuts a record's bodies.
    pub(crate) fn cut(&mut self, record: &ExchangeRecord, bucket: Bucket) -> Cut {
        let tenant = tenant(&record.exchange);
        let stage = self.stages.entry(bucket).or_default();
        let bodies = record.bodies.iter().map(|body| CutBody {
            pieces: stage.cut(&tenant, &body.bytes).into_iter(),
            staged: Staged::default(),
        });
        Cut { bodies: bodies.collect(), tenant }
    }

    /// Takes the bodies of a record in, as far as there is room, and lets go of those that are in blocks; `places` has
    /// where their pieces are that are stored. Whether there is more of them, for which room is made by storing what is
    /// here.
    pub(crate) fn take(
        &mut self,
        record: &mut ExchangeRecord,
        bucket: Bucket,
        cut: &mut Cut,
        places: &HashMap<(Bucket, Address), Place>,
    ) -> bool {
        let Cut { tenant, bodies } = cut;
        let stage = self.stages.entry(bucket).or_default();
        for (body, CutBody { pieces, staged }) in record.bodies.iter_mut().zip(bodies) {
            while !pieces.as_slice().is_empty() {
                if stage.gathered() >= SLICE {
                    return true;
                }
                let Some(piece) = pieces.next() else { break };
                if let Some(address) = piece.address
                    && let Some(place) = places.get(&(bucket, address))
                {
                    stage.learn(tenant, address, *place);
                }
                stage.put(tenant, &body.bytes, &piece, staged);
            }
            let_go(body);
        }
        false
    }

    /// Packs what is here; gives how many blocks want numbers.
    pub(crate) fn pack(&mut self, squeezers: &Squeezers) -> PortResult<usize> {
        for (&bucket, stage) in &mut self.stages {
            let packed = squeezers.with(|squeezer| stage.pack(squeezer))?;
            self.packed.entry(bucket).or_default().extend(packed);
        }
        Ok(self.packed.values().map(Vec::len).sum())
    }

    /// Gives the blocks numbers, as many as there are blocks.
    pub(crate) fn number(&mut self, numbers: impl IntoIterator<Item = i64>) -> Vec<(Bucket, i64, NewBlock)> {
        let mut numbers = numbers.into_iter();
        let mut all = Vec::new();
        for (bucket, blocks) in std::mem::take(&mut self.packed) {
            let of_bucket: Vec<i64> = numbers.by_ref().take(blocks.len()).collect();
            if let Some(stage) = self.stages.get_mut(&bucket) {
                stage.number(of_bucket.iter().copied());
            }
            all.extend(of_bucket.into_iter().zip(blocks).map(|(number, block)| (bucket, number, block)));
        }
        all
    }

    /// Where a body is, once blocks have numbers.
    pub(crate) fn manifest(&self, bucket: Bucket, body: &Staged) -> Manifest {
        self.stages.get(&bucket).map_or(Manifest::Deleted, |stage| stage.manifest(body))
    }
}

impl Cut {
    /// The addresses of the pieces that may be stored already.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> {
        self.bodies.iter().flat_map(|body| body.pieces.as_slice()).filter_map(|piece| piece.address)
    }

    /// Where the bodies are, in their order, once all of their pieces are in blocks.
    pub(crate) fn staged(&self) -> impl Iterator<Item = &Staged> {
        self.bodies.iter().map(|body| &body.staged)
    }
}

#[cfg(test)]
mod tests {
    use verbatim_archive_format::encoding::Segment;
    use verbatim_testkit::ExchangeBuilder;

    use super::*;

    fn noise(mut state: u64, length: usize) -> Vec<u8> {
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        (0..length).map(|_| byte()).collect()
    }

    #[test]
    fn long_bodies_are_taken_in_slices_and_each_is_let_go_once_it_is_in_blocks() {
        let bucket = Bucket { week: 1, part: 0 };
        let (asked, answered) = (noise(1, 20 << 20), noise(2, 5 << 20));
        let mut record = ExchangeBuilder::minted().request(asked.clone()).response(answered.clone()).build();
        let infos: Vec<_> = record.bodies.iter().map(|body| body.info.clone()).collect();
        let (mut staging, squeezers) = (Staging::default(), Squeezers::default());
        let mut cut = staging.cut(&record, bucket);
        let (mut slices, mut stored) = (0, BTreeMap::new());
        loop {
            let is_more = staging.take(&mut record, bucket, &mut cut, &HashMap::new());
            staging.pack(&squeezers).unwrap();
            let slice = staging.number(i64::try_from(stored.len()).unwrap()..);
            let bytes: usize = slice.iter().map(|(_, _, block)| block.data.len()).sum();
            assert!(bytes <= SLICE + SLICE / 64, "a slice of {bytes} bytes");
            slices += 1;
            for (_, number, block) in slice {
                let bytes = squeezers.with(|squeezer| Ok(squeezer.unpack_block(&block.data).unwrap()));
                stored.insert(number, bytes.unwrap());
            }
            let is_held = record.bodies.iter().map(|body| !body.bytes.is_empty()).collect::<Vec<_>>();
            assert_eq!(is_held, [slices < 5, is_more], "after slice {slices}");
            if !is_more {
                break;
            }
        }
        assert_eq!(slices, 7);
        assert_eq!(record.bodies.iter().map(|body| body.info.clone()).collect::<Vec<_>>(), infos);
        for (staged, body) in cut.staged().zip([asked, answered]) {
            let Manifest::Segments(segments) = staging.manifest(bucket, staged) else {
                panic!("it is stored")
            };
            let stretch = |segment: &Segment| {
                let from = segment.offset as usize;
                &stored[&segment.block][from..from + segment.length as usize]
            };
            let read: Vec<u8> = segments.iter().flat_map(stretch).copied().collect();
            assert!(read == body);
        }
    }
}
