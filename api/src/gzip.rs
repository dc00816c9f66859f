//! gzip from pieces that are compressed separately: several threads can compress one file, and one piece can
//! be part of many files.
//!
//! A piece consists of deflate blocks that end on a byte boundary and refer to nothing before them. A file is
//! a header, pieces, and a trailer, whose checksum is combined from those of the pieces.

use std::io::Write;

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compression, write::DeflateEncoder};

/// The gzip header: deflate, no name, no time, unknown system.
pub(crate) const HEADER: Bytes = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/// An empty final deflate block.
const END: [u8; 2] = [3, 0];

/// A compressed piece, with the checksum and the length of its plain text for the trailer.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) blocks: Bytes,
    crc: Hasher,
    len: usize,
}

/// The checksum and the length of all pieces so far, for the trailer.
#[derive(Debug, Default)]
pub(crate) struct GzipSum {
    crc: Hasher,
    len: usize,
}

impl Piece {
    /// Compresses. Never `None`, because writing to memory does not fail.
    pub(crate) fn of(plain: &[u8], level: u32) -> Option<Self> {
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::new(level));
        encoder.write_all(plain).and_then(|()| encoder.flush()).ok()?;
        let blocks = Bytes::copy_from_slice(encoder.get_ref());
        let mut crc = Hasher::new();
        crc.update(plain);
        Some(Self { blocks, crc, len: plain.len() })
    }
}

impl GzipSum {
    pub(crate) fn add(&mut self, piece: &Piece) {
        self.crc.combine(&piece.crc);
        self.len = self.len.wrapping_add(piece.len);
    }

    pub(crate) fn trailer(self) -> Bytes {
        // gzip stores the length modulo 2³².
        let len = (self.len as u32).to_le_bytes();
        [&END[..], &self.crc.finalize().to_le_bytes(), &len].concat().into()
    }
}
