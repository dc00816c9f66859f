//! Linux: `/proc/net/dev`, the interfaces of this process's own network namespace with their counters.

use std::{collections::BTreeMap, fs, io, path::Path};

use super::{ErrorCounts, names};
use crate::meter::Counters;

/// A line of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) counters: Counters,
    pub(super) errors: ErrorCounts,
}

/// All interfaces by name.
pub(super) fn read(file: &Path) -> io::Result<BTreeMap<String, Line>> {
    let bytes = fs::read(file)?;
    Ok(bytes.split(|byte| *byte == b'\n').skip(2).filter_map(line).collect())
}

fn line(bytes: &[u8]) -> Option<(String, Line)> {
    let text = names::shown(bytes);
    // A name may hold anything but a blank, a slash and a colon.
    let (name, columns) = text.trim_start().split_once(':')?;
    let columns: Vec<u64> = columns.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let [rx_bytes, _, rx_errors, rx_drops, _, _, _, _, tx_bytes, _, tx_errors, tx_drops, ..] = columns[..]
    else {
        return None;
    };
    let errors = ErrorCounts { rx_errors, tx_errors, rx_drops, tx_drops };
    Some((name.to_owned(), Line { counters: Counters { rx_bytes, tx_bytes }, errors }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_an_interface() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = b"Inter-|   Receive    |  Transmit\n face |bytes    packets errs drop|bytes\n\
              lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0\n\
            w\xff0:1000       1    2    3    0     0          0         0     2000       1    4    5    0     0       0          0\n";
        fs::write(file.path(), text).unwrap();
        let lines = read(file.path()).unwrap();
        assert_eq!(lines.keys().collect::<Vec<_>>(), ["lo", r"w\xff0"]);
        let line = lines[r"w\xff0"];
        assert_eq!(line.counters, Counters { rx_bytes: 1000, tx_bytes: 2000 });
        assert_eq!(line.errors, ErrorCounts { rx_errors: 2, tx_errors: 4, rx_drops: 3, tx_drops: 5 });
    }
}
