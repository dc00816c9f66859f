//! gzip in pieces that are compressed by themselves: one file can be made by several threads, and one piece
//! can be part of many files.
//!
//! A piece is deflate blocks that end on a whole byte and refer to nothing before them. A header goes in
//! front, and at the end a trailer whose checksum is put together from the pieces' own.

use std::io::Write;

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compression, write::DeflateEncoder};

/// Of gzip: deflate, no name, no time, an unknown system.
pub(crate) const HEADER: Bytes = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/// A last deflate block with nothing in it.
const END: [u8; 2] = [3, 0];

/// A compressed piece, and what a trailer has to know of what it was made from.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) blocks: Bytes,
    crc: Hasher,
    len: usize,
}

/// What a trailer says of everything before it.
#[derive(Debug, Default)]
pub(crate) struct GzipSum {
    crc: Hasher,
    len: usize,
}

impl Piece {
    /// Compresses. `None` cannot be: writing to memory does not fail.
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
        // Of a length beyond 32 bits gzip keeps the lower ones.
        let len = (self.len as u32).to_le_bytes();
        [&END[..], &self.crc.finalize().to_le_bytes(), &len].concat().into()
    }
}
