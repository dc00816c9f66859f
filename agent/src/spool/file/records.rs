//! Records: a length, a checksum, and MessagePack. Wherever a file is cut off, reading yields a prefix of the
//! records that were written.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tidemap_wire::{Sample, decode, encode};

/// Length and checksum, 4 bytes each, little-endian.
const HEAD_BYTES: usize = 8;

/// An event of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Record {
    /// A run has read a sample.
    Waits { boot: u64, sample: Box<Sample> },
    /// The broker has samples of a run.
    Stored { boot: u64, seqs: Vec<u64> },
}

/// Adds a record to the bytes of a file.
pub(super) fn append(bytes: &mut Vec<u8>, record: &Record) {
    let payload = encode(record);
    // Records are a few kilobytes at most; a longer one would be read as damaged.
    bytes.extend(u32::try_from(payload.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(crc32fast::hash(&payload).to_le_bytes());
    bytes.extend(payload);
}

/// The records before the first damaged one, and how many bytes they take.
pub(super) fn read(bytes: &[u8]) -> (Vec<Record>, usize) {
    let (mut records, mut rest) = (Vec::new(), bytes);
    while let Some((record, after)) = first(rest) {
        records.push(record);
        rest = after;
    }
    (records, bytes.len() - rest.len())
}

/// Says that what follows is of this run alone. Earlier versions take it for samples that are stored, of
/// which there are none, and drop it when they rewrite the file.
pub(super) fn mark(boot: u64) -> Record {
    Record::Stored { boot, seqs: Vec::new() }
}

/// The newest sample, if all after the last mark are of its run. Otherwise an earlier version has written
/// here since, and its samples may no longer be in the file.
pub(super) fn newest(records: &[Record]) -> Option<(u64, Sample)> {
    let (at, run) = records.iter().enumerate().rev().find_map(|(at, record)| match record {
        Record::Stored { boot, seqs } if seqs.is_empty() => Some((at, *boot)),
        _ => None,
    })?;
    let samples = records[at..].iter().filter_map(|record| match record {
        Record::Waits { boot, sample } => Some((*boot, sample)),
        Record::Stored { .. } => None,
    });
    let samples: Vec<_> = samples.collect();
    let is_of_one_run = samples.iter().all(|(boot, _)| *boot == run);
    let newest = samples.into_iter().max_by_key(|(_, sample)| sample.seq).filter(|_| is_of_one_run);
    newest.map(|(run, sample)| (run, Sample::clone(sample)))
}

/// The samples that still wait, oldest first, with their runs.
pub(super) fn waiting(records: Vec<Record>) -> Vec<(u64, Sample)> {
    let (mut samples, mut stored) = (Vec::new(), HashSet::new());
    for record in records {
        match record {
            Record::Waits { boot, sample } => samples.push((boot, *sample)),
            Record::Stored { boot, seqs } => stored.extend(seqs.into_iter().map(|seq| (boot, seq))),
        }
    }
    samples.retain(|(boot, sample)| !stored.contains(&(*boot, sample.seq)));
    samples
}

/// The first record, if it is whole, and the bytes after it.
fn first(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (length, checksum) = head.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    let (payload, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    // An empty payload has the checksum 0, and some file systems leave zeros behind after a power loss; but
    // an empty payload is not valid MessagePack, so it is rejected below.
    if crc32fast::hash(payload) != u32::from_le_bytes(checksum.try_into().ok()?) {
        return None;
    }
    Some((decode(payload).ok()?, after))
}
