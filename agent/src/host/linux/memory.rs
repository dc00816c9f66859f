//! `/proc/meminfo`: memory and swap.

use std::path::Path;

use tidemap_wire::Host;

use super::KeptFile;

/// Reads memory and swap.
#[derive(Debug)]
pub(super) struct Memory {
    meminfo: KeptFile,
}

impl Memory {
    pub(super) fn new(procfs: &Path) -> Self {
        Self { meminfo: KeptFile::new(procfs.join("meminfo")) }
    }

    pub(super) fn read(&mut self, host: &mut Host) {
        if let Some(meminfo) = self.meminfo.text() {
            parse(meminfo, host);
        }
    }
}

fn parse(meminfo: &str, host: &mut Host) {
    let bytes = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let used = |total: Option<u64>, free: Option<u64>| total?.checked_sub(free?);
    host.memory_total_bytes = bytes("MemTotal");
    host.memory_used_bytes = used(host.memory_total_bytes, bytes("MemAvailable"));
    host.swap_total_bytes = bytes("SwapTotal");
    host.swap_used_bytes = used(host.swap_total_bytes, bytes("SwapFree"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(meminfo: &str) -> Host {
        let mut host = Host::default();
        parse(meminfo, &mut host);
        host
    }

    #[test]
    fn memory_in_use_is_what_cannot_be_reclaimed() {
        let meminfo =
            "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  600 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
        let expected = Host {
            memory_total_bytes: Some(1_024_000),
            memory_used_bytes: Some(409_600),
            swap_total_bytes: Some(0),
            swap_used_bytes: Some(0),
            ..Host::default()
        };
        assert_eq!(parsed(meminfo), expected);
        assert_eq!(parsed("MemTotal: 5 pages\n"), Host::default());
    }
}
