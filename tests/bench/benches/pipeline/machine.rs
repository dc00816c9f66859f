//! The load of the whole machine, which shows the limiting resource.

use std::fs;

use anyhow::Context;

/// Above this share of all cores, the processors are the limit.
const FULL: f64 = 0.9;
/// Above this share of the cores' time spent waiting for the disk, the disk is the limit.
const WAITING: f64 = 0.2;

/// The processors' time since the machine started, in ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    idle: f64,
    waiting: f64,
    stolen: f64,
    all: f64,
}

/// The processors' load in a span of time, in cores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) cores: f64,
    pub(crate) busy: f64,
    /// Idle, waiting for a disk.
    pub(crate) waiting: f64,
    /// Used by another guest of the same host.
    pub(crate) stolen: f64,
}

impl Ticks {
    /// The present values.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line =
            stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("no line for all")?;
        Self::of(line)
    }

    fn of(line: &str) -> anyhow::Result<Self> {
        let fields: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        // user, nice, system, idle, iowait, irq, softirq, steal; the time of guests is included in the first
        // two.
        let [_, _, _, idle, waiting, _, _, stolen, ..] = fields[..] else { anyhow::bail!("too few: {line}") };
        Ok(Self { idle, waiting, stolen, all: fields.iter().take(8).sum() })
    }

    /// The load since `before`, on this many cores.
    pub(crate) fn since(self, before: Self, cores: f64) -> Load {
        let all = (self.all - before.all).max(1.0);
        let share = |of: fn(&Self) -> f64| (of(&self) - of(&before)) / all * cores;
        let (idle, waiting, stolen) = (share(|t| t.idle), share(|t| t.waiting), share(|t| t.stolen));
        Load { cores, busy: cores - idle - waiting - stolen, waiting, stolen }
    }
}

impl Load {
    /// The limiting resource, and the processes that used it. `used` are the cores of each process.
    pub(crate) fn limit(&self, used: &[(&str, f64)]) -> String {
        let Self { cores, busy, waiting, stolen } = *self;
        let mut by_use = used.to_vec();
        by_use.sort_by(|one, other| other.1.total_cmp(&one.1));
        let shares: Vec<_> = by_use.iter().map(|(process, used)| format!("{process} {used:.2}")).collect();
        let others = (busy - used.iter().map(|(_, used)| used).sum::<f64>()).max(0.0);
        let what = if busy + stolen >= cores * FULL {
            "the processors".to_owned()
        } else if waiting >= cores * WAITING {
            "the disk".to_owned()
        } else {
            "neither the processors nor the disk".to_owned()
        };
        format!(
            "{what} (of {cores:.0} cores {busy:.2} busy: {}, others {others:.2}; {waiting:.2} waiting for the disk, \
             {stolen:.2} lent to other guests)",
            shares.join(", ")
        )
    }
}
