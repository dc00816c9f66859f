//! The processors' frequency.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{super::entries, files::number};

/// On a large host, reading each processor's frequency takes a noticeable time; the mean of a few is as good.
const FREQUENCIES: usize = 8;

/// Reads the processors' frequency.
#[derive(Debug)]
pub(crate) struct Frequency {
    policies: PathBuf,
    cpuinfo: PathBuf,
    /// The frequency in `/proc/cpuinfo`, for kernels that do not scale it, as in most virtual machines. It is
    /// long, so it is read once.
    fixed_mhz: Option<Option<u32>>,
}

impl Frequency {
    pub(crate) fn new(sysfs: &Path, procfs: &Path) -> Self {
        let policies = sysfs.join("devices/system/cpu/cpufreq");
        Self { policies, cpuinfo: procfs.join("cpuinfo"), fixed_mhz: None }
    }

    /// The processors' mean frequency. Processors are switched on and off, so they are looked for each time.
    pub(crate) fn mhz(&mut self) -> Option<u32> {
        let policies = entries(&self.policies, |name| name.starts_with("policy"));
        if policies.is_empty() {
            let cpuinfo = || fs::read_to_string(&self.cpuinfo).ok().and_then(|text| fixed_mhz(&text));
            return *self.fixed_mhz.get_or_insert_with(cpuinfo);
        }
        let step = policies.len().div_ceil(FREQUENCIES).max(1);
        let current = |policy: &PathBuf| number(&policy.join("scaling_cur_freq")).filter(|khz| *khz > 0);
        let khz: Vec<i64> = policies.iter().step_by(step).filter_map(current).collect();
        let sum = khz.iter().fold(0_i64, |sum, khz| sum.saturating_add(*khz));
        let mean_khz = sum.checked_div(i64::try_from(khz.len()).ok()?)?;
        u32::try_from(mean_khz / 1000).ok()
    }
}

/// `/proc/cpuinfo`: the processors' mean frequency in megahertz.
fn fixed_mhz(cpuinfo: &str) -> Option<u32> {
    let of_line =
        |line: &str| line.strip_prefix("cpu MHz")?.trim_start().strip_prefix(':')?.trim().parse().ok();
    let mhz: Vec<f64> = cpuinfo.lines().filter_map(of_line).filter(|mhz: &f64| mhz.is_finite()).collect();
    let mean = mhz.iter().sum::<f64>() / mhz.len() as f64;
    (mean >= 1.0).then_some(mean.round() as u32)
}
