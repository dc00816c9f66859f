//! What a relay publishes: `tidemap.v1.pack.<slot>.<relay>`.

use serde::Deserialize;
use serde_bytes::Bytes;

/// Reports of many nodes of one slot in one message.
///
/// A MessagePack map `{"reports": [bin, …]}`: each report is a byte string with exactly the bytes that the
/// agent sent. So one unreadable report does not affect the others, and fields of a newer agent pass through
/// an older relay. All reports must be from nodes of the subject's slot.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Pack<'a> {
    #[serde(borrow)]
    reports: Vec<&'a Bytes>,
}

impl<'a> Pack<'a> {
    /// The largest pack, which is as large as the largest message that the streams accept.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// The largest report that fits into a pack.
    pub const MAX_REPORT_BYTES: usize = Self::MAX_BYTES - HEAD.len() - 3;

    /// The most reports in a pack. The smallest of an agent has some 60 bytes, so a thousand fit.
    pub const MAX_REPORTS: usize = 4_096;

    /// The reports, each to be decoded by [`crate::decode`], in the order in which the relay received them.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.reports.iter().map(|report| &***report)
    }
}

/// The node that a report claims to be from, read without the rest of the report.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Claim<'a> {
    /// The node that it names.
    pub node: &'a str,
}

/// A pack that is being written.
#[derive(Clone, Debug)]
pub struct PackWriter {
    bytes: Vec<u8>,
    count: u16,
}

/// A map of one entry, its key, and an array whose length is filled in at the end.
const HEAD: [u8; 12] = *b"\x81\xa7reports\xdc\0\0";

impl Default for PackWriter {
    fn default() -> Self {
        Self { bytes: HEAD.to_vec(), count: 0 }
    }
}

impl PackWriter {
    /// Adds a report. Returns `false` when it does not fit.
    pub fn push(&mut self, report: &[u8]) -> bool {
        let (long, short) = (u16::try_from(report.len()), u8::try_from(report.len()));
        let Ok(long) = long else { return false };
        let frame = if short.is_ok() { 2 } else { 3 };
        if self.bytes.len() + frame + report.len() > Pack::MAX_BYTES || self.len() == Pack::MAX_REPORTS {
            return false;
        }
        match short {
            Ok(short) => self.bytes.extend([0xc4, short]),
            Err(_) => {
                self.bytes.push(0xc5);
                self.bytes.extend(long.to_be_bytes());
            }
        }
        self.bytes.extend(report);
        self.count += 1;
        true
    }

    /// How many reports it holds.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes it has.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The message.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[HEAD.len() - 2..HEAD.len()].copy_from_slice(&self.count.to_be_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use proptest::prelude::*;

    #[test]
    fn the_largest_report_fits_alone_and_no_larger_one_does() {
        let mut pack = PackWriter::default();
        assert!(!pack.push(&vec![7; Pack::MAX_REPORT_BYTES + 1]) && pack.is_empty());
        assert!(pack.push(&vec![7; Pack::MAX_REPORT_BYTES]));
        assert!(!pack.push(&[]));
        let bytes = pack.finish();
        assert_eq!(bytes.len(), Pack::MAX_BYTES);
        let pack: Pack<'_> = decode(&bytes).unwrap();
        assert_eq!(pack.reports().map(<[u8]>::len).collect::<Vec<_>>(), [Pack::MAX_REPORT_BYTES]);
    }

    proptest! {
        #[test]
        fn packed_reports_are_read_back(reports in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..40)) {
            let mut pack = PackWriter::default();
            prop_assert!(reports.iter().all(|report| pack.push(report)));
            prop_assert_eq!(pack.len(), reports.len());
            let bytes = pack.finish();
            let pack: Pack<'_> = decode(&bytes).unwrap();
            prop_assert_eq!(pack.reports().map(<[u8]>::to_vec).collect::<Vec<_>>(), reports);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(pack) = decode::<Pack<'_>>(&bytes) {
                pack.reports().for_each(drop);
            }
        }
    }
}
