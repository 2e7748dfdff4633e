//! Content codings, so applied that every frame can be read as soon as it is there.

use std::io::{self, Write};

use crate::directives::Encoding;

/// How hard to try, of 11; what providers' front ends use on the fly is of this order.
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW: u32 = 20;
const BROTLI_BUFFER: usize = 4096;

enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Deflate(flate2::write::ZlibEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(encoding: Encoding) -> io::Result<Self> {
        let level = flate2::Compression::default();
        Ok(match encoding {
            Encoding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level)),
            Encoding::Deflate => Self::Deflate(flate2::write::ZlibEncoder::new(Vec::new(), level)),
            Encoding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            ))),
            Encoding::Zstd => Self::Zstd(zstd::Encoder::new(Vec::new(), 0)?),
        })
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(frame),
            Self::Deflate(encoder) => encoder.write_all(frame),
            Self::Brotli(encoder) => encoder.write_all(frame),
            Self::Zstd(encoder) => encoder.write_all(frame),
        }
    }

    /// Makes everything written so far readable; says how many bytes that came to.
    fn flush(&mut self) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.flush().map(|()| encoder.get_ref().len()),
            Self::Deflate(encoder) => encoder.flush().map(|()| encoder.get_ref().len()),
            Self::Brotli(encoder) => encoder.flush().map(|()| encoder.get_ref().len()),
            Self::Zstd(encoder) => encoder.flush().map(|()| encoder.get_ref().len()),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// Compresses bytes frame by frame. `ends` are the frames' ends before, and become those after.
pub(crate) fn compress(bytes: &[u8], ends: &mut [usize], encoding: Encoding) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(encoding)?;
    let (mut start, last) = (0, ends.len().saturating_sub(1));
    for (index, end) in ends.iter_mut().enumerate() {
        encoder.write(&bytes[start..*end])?;
        start = *end;
        if index < last {
            *end = encoder.flush()?;
        }
    }
    let compressed = encoder.finish()?;
    if let Some(end) = ends.last_mut() {
        *end = compressed.len();
    }
    Ok(compressed)
}
