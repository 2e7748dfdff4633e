//! Bodies on their way into blocks.

use std::collections::{BTreeMap, HashMap};

use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::chunking::Address;
use verbatim_archive_format::encoding::Manifest;
use verbatim_archive_format::record::tenant;
use verbatim_archive_format::squeeze::Squeezers;
use verbatim_archive_format::stage::{NewBlock, Piece, Place, Stage, Staged};
use verbatim_core::model::ExchangeRecord;
use verbatim_core::ports::PortResult;

/// The bodies of one record, cut into pieces.
pub(crate) struct Cut {
    tenant: String,
    bodies: Vec<Vec<Piece>>,
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
        let bodies = record.bodies.iter().map(|body| stage.cut(&tenant, &body.bytes)).collect();
        Cut { tenant, bodies }
    }

    /// Takes the bodies of a record in; `places` has those of their pieces that are stored.
    pub(crate) fn take(
        &mut self,
        record: &ExchangeRecord,
        bucket: Bucket,
        cut: &Cut,
        places: &HashMap<(Bucket, Address), Place>,
        squeezers: &Squeezers,
    ) -> PortResult<Vec<Staged>> {
        let tenant = &cut.tenant;
        let stage = self.stages.entry(bucket).or_default();
        let mut bodies = Vec::with_capacity(record.bodies.len());
        for (body, pieces) in record.bodies.iter().zip(&cut.bodies) {
            let mut staged = Staged::default();
            for piece in pieces {
                if let Some(address) = piece.address
                    && let Some(place) = places.get(&(bucket, address))
                {
                    stage.learn(tenant, address, *place);
                }
                stage.put(tenant, &body.bytes, piece, &mut staged);
                if stage.is_full() {
                    let packed = squeezers.with(|squeezer| stage.pack(squeezer))?;
                    self.packed.entry(bucket).or_default().extend(packed);
                }
            }
            bodies.push(staged);
        }
        Ok(bodies)
    }

    /// Packs the rest; gives how many blocks want numbers.
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
    /// The addresses of all pieces that may be stored already.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> {
        self.bodies.iter().flatten().filter_map(|piece| piece.address)
    }
}
