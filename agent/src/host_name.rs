//! The name of this host.

use sysinfo::System;

/// The host's name; `None` when the system has none.
pub fn host_name() -> Option<String> {
    System::host_name().ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}
