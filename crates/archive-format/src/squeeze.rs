//! Compression of blocks and heads. The last byte says how, so that ways can be added and none taken away.

use std::sync::{LazyLock, Mutex, PoisonError};

use verbatim_core::ports::{PortError, PortResult};
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::encoding::Malformed;

/// As it is.
const PLAIN: u8 = 0;
/// A zstd frame.
const ZSTD: u8 = 1;
/// A zstd frame made with the first dictionary.
const ZSTD_DICTIONARY_1: u8 = 2;

/// Beyond this level the processor's time grows faster than the gain on bodies.
const BLOCK_LEVEL: i32 = 1;
/// Heads are names and values that the dictionary holds, and hashes: coding what is left costs more than half of the
/// time for a fiftieth of the bytes, and below zero zstd leaves it.
const HEADS_LEVEL: i32 = -1;
/// Past this size a block has its own repetitions, and the dictionary only costs.
const DICTIONARY_BELOW: usize = 16 * 1024;
/// No block is larger: it is begun below 32 KiB, and ends with a piece. Damaged bytes must not reserve more.
const LARGEST_BLOCK: usize = 16 << 20;
/// No heads are larger: those of two bodies of 4 GiB in the smallest pieces, and of as many chunks as are recorded.
pub const LARGEST_HEADS: usize = 32 << 20;

/// Words that such texts are full of, most frequent last. Files depend on every byte of it for ever: a better one is
/// a second dictionary.
static DICTIONARY_1: &[u8] = include_bytes!("dictionary-1.txt");
static BLOCKS_1: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, BLOCK_LEVEL));
static HEADS_1: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, HEADS_LEVEL));
static DECODER_1: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_1));

/// Compressors, kept because setting one up costs more than a small text.
#[derive(Default)]
pub struct Squeezers {
    idle: Mutex<Vec<Squeezer>>,
}

impl Squeezers {
    /// Lends one out for `work`.
    ///
    /// # Errors
    /// Those of `work`; transient where a compressor can't be set up.
    pub fn with<T>(&self, work: impl FnOnce(&mut Squeezer) -> PortResult<T>) -> PortResult<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut squeezer = match idle {
            Some(squeezer) => squeezer,
            None => Squeezer::new()
                .map_err(|error| PortError::transient("could not set up compression", error))?,
        };
        let result = work(&mut squeezer);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(squeezer);
        result
    }
}

/// Packs and unpacks.
pub struct Squeezer {
    heads: Compressor<'static>,
    small: Compressor<'static>,
    large: Compressor<'static>,
    unpack: Decompressor<'static>,
    unpack_1: Decompressor<'static>,
}

impl Squeezer {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            heads: Compressor::with_prepared_dictionary(&HEADS_1)?,
            small: Compressor::with_prepared_dictionary(&BLOCKS_1)?,
            large: Compressor::new(BLOCK_LEVEL)?,
            unpack: Decompressor::new()?,
            unpack_1: Decompressor::with_prepared_dictionary(&DECODER_1)?,
        })
    }

    /// Packs pieces of bodies.
    ///
    /// # Errors
    /// Transient where there is no memory to compress with; so for heads.
    pub fn pack_block(&mut self, bytes: &[u8]) -> PortResult<Vec<u8>> {
        match bytes.len() {
            0..DICTIONARY_BELOW => pack(&mut self.small, ZSTD_DICTIONARY_1, bytes),
            _ => pack(&mut self.large, ZSTD, bytes),
        }
    }

    /// Packs encoded heads.
    ///
    /// # Errors
    /// As for blocks.
    pub fn pack_heads(&mut self, bytes: &[u8]) -> PortResult<Vec<u8>> {
        pack(&mut self.heads, ZSTD_DICTIONARY_1, bytes)
    }

    /// A block that was packed.
    ///
    /// # Errors
    /// Where these are not bytes that were packed, or more than any block has.
    pub fn unpack_block(&mut self, packed: &[u8]) -> Result<Vec<u8>, Malformed> {
        self.unpack(packed, LARGEST_BLOCK)
    }

    /// Encoded heads that were packed.
    ///
    /// # Errors
    /// As for blocks.
    pub fn unpack_heads(&mut self, packed: &[u8]) -> Result<Vec<u8>, Malformed> {
        self.unpack(packed, LARGEST_HEADS)
    }

    fn unpack(&mut self, packed: &[u8], most: usize) -> Result<Vec<u8>, Malformed> {
        let (&way, frame) = packed.split_last().ok_or(Malformed("packed bytes"))?;
        let decompressor = match way {
            PLAIN if frame.len() > most => return Err(Malformed("fewer packed bytes")),
            PLAIN => return Ok(frame.to_vec()),
            ZSTD => &mut self.unpack,
            ZSTD_DICTIONARY_1 => &mut self.unpack_1,
            _ => return Err(Malformed("a known way of packing")),
        };
        let size = Decompressor::upper_bound(frame).filter(|&size| size <= most);
        let size = size.ok_or(Malformed("a zstd frame that tells its size"))?;
        decompressor.decompress(frame, size).map_err(|_| Malformed("a whole zstd frame"))
    }
}

/// The shorter of compressed and plain.
fn pack(compressor: &mut Compressor<'_>, way: u8, bytes: &[u8]) -> PortResult<Vec<u8>> {
    let packed = compressor.compress(bytes);
    let mut packed = packed.map_err(|error| PortError::transient("could not compress", error))?;
    if packed.len() < bytes.len() {
        packed.push(way);
    } else {
        packed.clear();
        packed.extend_from_slice(bytes);
        packed.push(PLAIN);
    }
    packed.shrink_to_fit();
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        Squeezers::default().with(|squeezer| squeezer.pack_block(bytes)).unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
        Squeezers::default().with(|squeezer| Ok(squeezer.unpack_block(bytes))).unwrap()
    }

    #[test]
    fn every_size_reads_back_and_text_gets_smaller() {
        for size in [0, 1, 100, DICTIONARY_BELOW - 1, DICTIONARY_BELOW, 300_000] {
            let text: Vec<u8> =
                b"{\"role\":\"user\",\"content\":\"hello\"},".iter().copied().cycle().take(size).collect();
            let small = packed(&text);
            assert!(small.len() <= size / 2 + 2, "{size} became {}", small.len());
            assert_eq!(unpacked(&small), Ok(text));
        }
    }

    #[test]
    fn heads_and_blocks_that_are_larger_than_any_are_refused_before_they_are_unpacked() {
        let vast =
            Squeezers::default().with(|squeezer| squeezer.pack_block(&vec![0; LARGEST_HEADS + 1])).unwrap();
        assert!(vast.len() < 8 << 10, "{} bytes", vast.len());
        let refused = Err(Malformed("a zstd frame that tells its size"));
        assert_eq!(unpacked(&vast), refused);
        assert_eq!(Squeezers::default().with(|squeezer| Ok(squeezer.unpack_heads(&vast))).unwrap(), refused);
        let most =
            Squeezers::default().with(|squeezer| squeezer.pack_heads(&vec![0; LARGEST_HEADS])).unwrap();
        let heads = Squeezers::default().with(|squeezer| Ok(squeezer.unpack_heads(&most))).unwrap();
        assert_eq!(heads.map(|heads| heads.len()), Ok(LARGEST_HEADS));
    }

    #[test]
    fn the_first_dictionary_never_changes() {
        assert_eq!(
            blake3::hash(DICTIONARY_1).to_hex().as_str(),
            "9d49d220d053677d11bdb8c2e17cdd2677951d74be8ff033b910a8606bc3c011"
        );
    }

    proptest! {
        #[test]
        fn what_does_not_get_smaller_grows_by_a_byte_at_most(bytes: Vec<u8>) {
            let packed = packed(&bytes);
            let heads = Squeezers::default().with(|squeezer| squeezer.pack_heads(&bytes)).unwrap();
            for packed in [packed, heads] {
                prop_assert!(packed.len() <= bytes.len() + 1);
                prop_assert_eq!(unpacked(&packed), Ok(bytes.clone()));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            for way in 0..4 {
                let _ = unpacked(&[&bytes[..], &[way]].concat());
            }
        }
    }
}
