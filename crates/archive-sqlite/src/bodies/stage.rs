//! Bodies on their way into files of blocks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use verbatim_archive_format::bucket::Bucket;
use verbatim_archive_format::encoding::Manifest;
use verbatim_archive_format::squeeze::Squeezers;
use verbatim_archive_format::stage::{NewBlock, Stage, Staged};
use verbatim_core::ports::{PortError, PortResult};

use super::file::BlocksFile;
use super::{Buckets, file_name};

/// So many bytes of bodies are gathered before they are compressed and written.
const GATHERED: usize = 8 << 20;

/// What a batch brings for each bucket.
pub(crate) struct Stages<'a> {
    buckets: &'a Buckets,
    squeezers: &'a Squeezers,
    stages: HashMap<Bucket, FileStage>,
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
                    PortError::Transient(format!("{} was deleted just now: try again", file_name(bucket)))
                })?;
                vacant.insert(FileStage { file, stage: Stage::default() })
            }
        };
        stage.take(tenant, body, self.squeezers)
    }

    /// Writes the rest; all of it is durable when it returns.
    pub(crate) fn finish(&mut self) -> PortResult<()> {
        self.stages.values_mut().try_for_each(|stage| stage.write(self.squeezers))
    }

    /// Where a body is, once finished.
    pub(crate) fn manifest(&self, bucket: Bucket, body: &Staged) -> Manifest {
        self.stages.get(&bucket).map_or(Manifest::Deleted, |stage| stage.stage.manifest(body))
    }
}

struct FileStage {
    file: Arc<BlocksFile>,
    stage: Stage,
}

impl FileStage {
    fn take(&mut self, tenant: &str, body: &Bytes, squeezers: &Squeezers) -> PortResult<Staged> {
        let pieces = self.stage.cut(tenant, body);
        let addresses = pieces.iter().filter_map(|piece| piece.address);
        let unknown: Vec<_> = addresses.filter(|address| !self.stage.knows(tenant, address)).collect();
        if !unknown.is_empty() {
            for (address, place) in self.file.known(&unknown)? {
                self.stage.learn(tenant, address, place);
            }
        }
        let mut staged = Staged::default();
        for piece in pieces {
            self.stage.put(tenant, body, &piece, &mut staged);
            if self.stage.gathered() >= GATHERED {
                self.write(squeezers)?;
            }
        }
        Ok(staged)
    }

    /// Compresses and stores what has gathered.
    fn write(&mut self, squeezers: &Squeezers) -> PortResult<()> {
        let blocks: Vec<NewBlock> = squeezers.with(|squeezer| self.stage.pack(squeezer))?;
        if blocks.is_empty() {
            return Ok(());
        }
        let kept: usize = blocks.iter().map(|block| block.data.len()).sum();
        metrics::counter!("verbatim_archive_kept_bytes_total").increment(kept as u64);
        self.stage.number(self.file.append(blocks)?);
        Ok(())
    }
}
