//! Linux: the folder of interfaces in sysfs.

use std::{io, path::Path};

use rustix::fs::FileType;

use super::{folder::Folder, names};
use crate::meter::Counters;

/// The names in the folder of interfaces, in no order.
pub(super) fn names(class_net: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    Folder::open(class_net)?.list(|name, kind| {
        // `bonding_masters` is a file in the folder of interfaces.
        if kind != FileType::RegularFile {
            found.push(names::shown(name));
        }
    })?;
    Ok(found)
}

/// The counters of an interface.
pub(super) fn counters(class_net: &Path, name: &str) -> Option<Counters> {
    counters_in(&Folder::passage(&class_net.join(names::raw(name)))?)
}

/// The counters in an interface's folder.
pub(super) fn counters_in(folder: &Folder) -> Option<Counters> {
    Some(Counters {
        rx_bytes: folder.number("statistics/rx_bytes")?,
        tx_bytes: folder.number("statistics/tx_bytes")?,
    })
}
