//! Linux: what the files of procfs say. Pure functions of their text.

/// Time that all processors have spent, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuTime {
    /// At work.
    pub(super) busy: u64,
    /// In all.
    pub(super) total: u64,
}

/// Bytes that all disks have moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DiskBytes {
    /// Read.
    pub(super) read: u64,
    /// Written.
    pub(super) written: u64,
}

/// Memory and swap, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// All memory.
    pub(super) total: Option<u64>,
    /// Memory in use that cannot be reclaimed.
    pub(super) used: Option<u64>,
    /// All swap.
    pub(super) swap_total: Option<u64>,
    /// Swap in use.
    pub(super) swap_used: Option<u64>,
}

/// `/proc/stat`: the processors' time, and how many there are.
pub(super) fn cpu(stat: &str) -> Option<(CpuTime, u32)> {
    let mut lines = stat.lines();
    let fields = lines.next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let times: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    // Guests' time, at the end of the line, is part of user time already.
    let [user, nice, system, idle, waiting, irq, softirq, stolen] = *times.get(..8)?.as_array()?;
    let busy = user + nice + system + irq + softirq + stolen;
    let processors = lines.take_while(|line| line.starts_with("cpu")).count();
    Some((CpuTime { busy, total: busy + idle + waiting }, u32::try_from(processors).ok()?))
}

impl CpuTime {
    /// Use of all processors since `before`, 0 to 100; unknown when no time has passed or it went backwards.
    pub(super) fn percent_since(self, before: CpuTime) -> Option<f64> {
        let total = self.total.checked_sub(before.total).filter(|total| *total > 0)?;
        // Idle time of a processor may fall by a tick when it is switched off, which makes busy exceed total.
        let busy = self.busy.checked_sub(before.busy)?.min(total);
        Some(busy as f64 / total as f64 * 100.0)
    }
}

/// `/proc/meminfo`.
pub(super) fn memory(meminfo: &str) -> Memory {
    let bytes = |key: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let used = |total: Option<u64>, free: Option<u64>| total?.checked_sub(free?);
    let (total, swap_total) = (bytes("MemTotal"), bytes("SwapTotal"));
    Memory {
        total,
        used: used(total, bytes("MemAvailable")),
        swap_total,
        swap_used: used(swap_total, bytes("SwapFree")),
    }
}

/// `/proc/loadavg`: over 1, 5 and 15 minutes.
pub(super) fn load(loadavg: &str) -> Option<[f64; 3]> {
    let mut fields = loadavg.split_ascii_whitespace();
    let mut next = || fields.next()?.parse::<f64>().ok().filter(|load| load.is_finite());
    Some([next()?, next()?, next()?])
}

/// `/proc/uptime`: seconds since the host booted.
pub(super) fn uptime_s(uptime: &str) -> Option<u64> {
    uptime.split_once('.')?.0.parse().ok()
}

/// `/proc/cpuinfo`: the processors' mean frequency in megahertz.
pub(super) fn cpu_mhz(cpuinfo: &str) -> Option<u32> {
    let told = |line: &str| line.strip_prefix("cpu MHz")?.trim_start().strip_prefix(':')?.trim().parse().ok();
    let mhz: Vec<f64> = cpuinfo.lines().filter_map(told).filter(|mhz: &f64| mhz.is_finite()).collect();
    let mean = mhz.iter().sum::<f64>() / mhz.len() as f64;
    (mean >= 1.0).then_some(mean.round() as u32)
}

/// `/proc/diskstats`: what the disks named by `is_disk` have moved. The kernel counts in sectors of 512 bytes always.
pub(super) fn disks(diskstats: &str, mut is_disk: impl FnMut(&str) -> bool) -> Option<DiskBytes> {
    let disk = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        fields.next().filter(|name| is_disk(name))?;
        let read = fields.nth(2)?.parse::<u64>().ok()?;
        let written = fields.nth(3)?.parse::<u64>().ok()?;
        Some((read, written))
    };
    let add = |sum: (u64, u64), one: (u64, u64)| (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1));
    let (read, written) = diskstats.lines().filter_map(disk).reduce(add)?;
    Some(DiskBytes { read: read.saturating_mul(512), written: written.saturating_mul(512) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_use_is_time_at_work_over_time_passed() {
        let stat = "cpu  100 10 50 800 20 5 5 10 30 0\ncpu0 50 5 25 400 10 2 3 5 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n";
        let (before, processors) = cpu(stat).unwrap();
        assert_eq!((before, processors), (CpuTime { busy: 180, total: 1000 }, 2));
        let now = CpuTime { busy: 230, total: 1200 };
        assert_eq!(now.percent_since(before), Some(25.0));
        assert_eq!(before.percent_since(before), None);
        assert_eq!(before.percent_since(now), None);
        assert_eq!(cpu("intr 5\n"), None);
    }

    #[test]
    fn memory_in_use_is_what_cannot_be_reclaimed() {
        let told =
            "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  600 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
        let expected =
            Memory { total: Some(1_024_000), used: Some(409_600), swap_total: Some(0), swap_used: Some(0) };
        assert_eq!(memory(told), expected);
        assert_eq!(memory("MemTotal: 5 pages\n"), Memory::default());
    }

    #[test]
    fn load_and_uptime_are_absent_when_they_make_no_sense() {
        assert_eq!(load("0.10 1.20 3.40 1/99 12345\n"), Some([0.1, 1.2, 3.4]));
        assert_eq!(load("0.1 x 3"), None);
        assert_eq!(uptime_s("12345.67 999.0\n"), Some(12_345));
        assert_eq!(uptime_s(""), None);
    }

    #[test]
    fn only_whole_disks_move_bytes() {
        let told = " 254 0 vda 10 0 100 5 20 0 200 5 0 0 0\n 254 1 vda1 10 0 90 5 20 0 190 5 0 0 0\n 7 0 loop0 1 0 8 0 0 0 0 0 0 0 0\n";
        assert_eq!(disks(told, |name| name == "vda"), Some(DiskBytes { read: 51_200, written: 102_400 }));
        assert_eq!(disks(told, |_| false), None);
    }
}
