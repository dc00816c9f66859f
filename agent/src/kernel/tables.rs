//! Linux: the tables of procfs, whose lines are words between blanks.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use super::names;

/// A router's table may hold the whole internet. The kernel lists IPv4's wide routes first; where IPv6's are
/// cut off, it answers by netlink.
const MOST_BYTES: u64 = 2 << 20;

/// A word of a line.
pub(super) fn word(line: &str, at: usize) -> Option<String> {
    line.split_ascii_whitespace().nth(at).map(str::to_owned)
}

/// The lines of a file; names of interfaces in them need not be UTF-8.
pub(super) fn lines(path: &Path) -> Option<Vec<String>> {
    let file = BufReader::new(File::open(path).ok()?.take(MOST_BYTES));
    Some(file.split(b'\n').map_while(Result::ok).map(|line| names::shown(&line)).collect())
}
