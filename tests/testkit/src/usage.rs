//! A process's resources, from the kernel's figures.

use std::{fs, time::Duration};

use anyhow::Context;
use tidemap_service::open_files;

/// Resident memory, in bytes.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

/// Processor time, in user and kernel mode.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may contain anything.
    let fields: Vec<&str> = stat.rsplit_once(')').context("a strange stat")?.1.split_whitespace().collect();
    let ticks = fields.get(11).context("no utime")?.parse::<u64>()?
        + fields.get(12).context("no stime")?.parse::<u64>()?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Raises this process's limit of open files, which its children inherit, as far as the operator allows.
pub fn raise_file_limit(needed: u64) -> anyhow::Result<()> {
    let limit = open_files::raise_limit();
    anyhow::ensure!(
        limit.is_none_or(|limit| limit >= needed),
        "this needs {needed} open files: raise the hard limit (ulimit -Hn)"
    );
    Ok(())
}
