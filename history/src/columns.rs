//! Numbers as bytes: columns compressed by pco, and single numbers of variable length.

use pco::{ChunkConfig, standalone};

/// Bytes that no program of this version has written, or that have changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tile is damaged")]
pub(crate) struct Damaged;

/// A column with fewer values is smaller as single numbers: pco writes a header of some 20 bytes.
const FEW: usize = 8;
/// The level of pco beyond which day tiles become less than 1 % smaller.
const LEVEL: usize = 8;
/// How a column is written.
const CONSTANT: u8 = 0;
const SINGLE: u8 = 1;
const PACKED: u8 = 2;
/// More values than this are in no tile.
const MAX_LENGTH: u64 = 1 << 20;

/// Writes columns, and their checksum at the end.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// One number, in as many bytes as it needs.
    pub(crate) fn number(&mut self, number: u64) {
        single(&mut self.0, number);
    }

    /// One byte.
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// A column, whose length the reader knows.
    pub(crate) fn column(&mut self, values: &[u64]) {
        if let Some((first, rest)) = values.split_first()
            && rest.iter().all(|value| value == first)
        {
            self.0.push(CONSTANT);
            return self.number(*first);
        }
        let packed = packed(values);
        let mut singles = Vec::with_capacity(values.len() * 5);
        values.iter().for_each(|value| single(&mut singles, *value));
        match packed {
            Some(packed) if packed.len() < singles.len() => {
                self.0.push(PACKED);
                self.number(packed.len() as u64);
                self.0.extend_from_slice(&packed);
            }
            _ => {
                self.0.push(SINGLE);
                self.0.extend_from_slice(&singles);
            }
        }
    }

    /// What was written.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let sum = crc32fast::hash(&self.0);
        self.0.extend_from_slice(&sum.to_le_bytes());
        self.0
    }
}

fn packed(values: &[u64]) -> Option<Vec<u8>> {
    if values.len() < FEW {
        return None;
    }
    standalone::simple_compress(values, &ChunkConfig::default().with_compression_level(LEVEL)).ok()
}

fn single(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Reads what a [`Writer`] has written.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Compares the checksum.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let (content, sum) = bytes.split_last_chunk::<4>().ok_or(Damaged)?;
        let is_whole = crc32fast::hash(content) == u32::from_le_bytes(*sum);
        if is_whole { Ok(Self(content)) } else { Err(Damaged) }
    }

    /// Whether everything was read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// One number.
    pub(crate) fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    /// One number that fits into 32 bits.
    pub(crate) fn small(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.number()?).map_err(|_| Damaged)
    }

    /// How many values follow.
    pub(crate) fn length(&mut self) -> Result<usize, Damaged> {
        let length = self.number()?;
        usize::try_from(length).ok().filter(|_| length <= MAX_LENGTH).ok_or(Damaged)
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        let (byte, rest) = self.0.split_first().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*byte)
    }

    /// A column of so many values.
    pub(crate) fn column(&mut self, length: usize) -> Result<Vec<u64>, Damaged> {
        if length == 0 {
            // An empty column has no constant.
            return if self.byte()? == SINGLE { Ok(Vec::new()) } else { Err(Damaged) };
        }
        match self.byte()? {
            CONSTANT => Ok(vec![self.number()?; length]),
            SINGLE => (0..length).map(|_| self.number()).collect(),
            PACKED => {
                let bytes = self.length()?;
                let (packed, rest) = self.0.split_at_checked(bytes).ok_or(Damaged)?;
                self.0 = rest;
                let mut values = vec![0; length];
                let progress =
                    standalone::simple_decompress_into(packed, &mut values).map_err(|_| Damaged)?;
                if progress.n_processed == length { Ok(values) } else { Err(Damaged) }
            }
            _ => Err(Damaged),
        }
    }

    /// Goes on behind a column of so many values.
    pub(crate) fn skip_column(&mut self, length: usize) -> Result<(), Damaged> {
        match self.byte()? {
            CONSTANT => self.number().map(drop),
            SINGLE => (0..length).try_for_each(|_| self.number().map(drop)),
            PACKED => {
                let bytes = self.length()?;
                self.0 = self.0.get(bytes..).ok_or(Damaged)?;
                Ok(())
            }
            _ => Err(Damaged),
        }
    }

    /// A column of so many numbers that fit into 32 bits.
    pub(crate) fn small_column(&mut self, length: usize) -> Result<Vec<u32>, Damaged> {
        self.column(length)?.into_iter().map(|value| u32::try_from(value).map_err(|_| Damaged)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(values: &[u64]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(values.len() as u64);
        writer.column(values);
        writer.finish()
    }

    fn read(bytes: &[u8]) -> Result<Vec<u64>, Damaged> {
        let mut reader = Reader::new(bytes)?;
        let length = reader.length()?;
        reader.column(length)
    }

    proptest! {
        #[test]
        fn columns_come_back_as_they_were(values in proptest::collection::vec(any::<u64>(), 0..200), few in any::<u8>()) {
            prop_assert_eq!(read(&written(&values)), Ok(values.clone()));
            let small: Vec<u64> = values.iter().map(|value| value % (u64::from(few) + 1)).collect();
            prop_assert_eq!(read(&written(&small)), Ok(small));
        }

        #[test]
        fn a_changed_bit_and_a_missing_end_are_noticed(values in proptest::collection::vec(any::<u64>(), 0..60), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
            let bytes = written(&values);
            let mut changed = bytes.clone();
            changed[at.index(bytes.len())] ^= 1_u8 << bit;
            prop_assert_eq!(read(&changed), Err(Damaged));
            prop_assert_eq!(read(&bytes[..at.index(bytes.len())]), Err(Damaged));
        }
    }
}
