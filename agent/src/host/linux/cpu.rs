//! `/proc/stat`: how busy the processors are, and how many there are.

use std::{array, path::Path};

use tidemap_wire::Host;

use super::KeptFile;

/// Reads the processors' use.
#[derive(Debug)]
pub(super) struct Cpu {
    stat: KeptFile,
    before: Option<CpuTime>,
}

/// Time that all processors have spent, in ticks: user, nice, system, idle, waiting, interrupts, soft
/// interrupts, stolen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTime([u64; 8]);

/// Where the idle times are: idle, and idle while something waits for a disk.
const IDLE: [usize; 2] = [3, 4];

impl Cpu {
    pub(super) fn new(procfs: &Path) -> Self {
        Self { stat: KeptFile::new(procfs.join("stat")), before: None }
    }

    pub(super) fn read(&mut self, host: &mut Host) {
        let now = self.stat.text().and_then(parse);
        host.cpu_count = now.map(|(_, processors)| processors);
        host.cpu_percent = now.zip(self.before).and_then(|((now, _), before)| now.percent_since(before));
        self.before = now.map(|(time, _)| time);
    }
}

impl CpuTime {
    /// Use of all processors since `before`, 0 to 100; unknown when no time has passed or it went backwards.
    fn percent_since(self, before: Self) -> Option<f64> {
        // After a reset, such as of LXCFS, the times are not comparable.
        self.total().checked_sub(before.total())?;
        // Single times step back while the sum grows: waiting on any kernel, stolen on some hypervisors, idle
        // when a processor is switched off.
        let passed = Self(array::from_fn(|index| self.0[index].saturating_sub(before.0[index])));
        let total = passed.total();
        let idle = IDLE.iter().fold(0, |sum, index| passed.0[*index].saturating_add(sum)).min(total);
        (total > 0).then(|| (total - idle) as f64 / total as f64 * 100.0)
    }

    fn total(self) -> u64 {
        self.0.into_iter().fold(0, u64::saturating_add)
    }
}

/// The processors' time, and the number of processors.
fn parse(stat: &str) -> Option<(CpuTime, u32)> {
    let mut lines = stat.lines();
    let fields = lines.next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    // The time of guests, at the end of the line, is already part of user time. Old kernels and containers
    // count fewer kinds of time than eight.
    let known: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    if known.len() < 4 {
        return None;
    }
    let times = array::from_fn(|index| known.get(index).copied().unwrap_or(0));
    let processors = lines.take_while(|line| line.starts_with("cpu")).count();
    Some((CpuTime(times), u32::try_from(processors).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_use_is_time_at_work_over_time_passed() {
        let stat = "cpu  100 10 50 800 20 5 5 10 30 0\ncpu0 50 5 25 400 10 2 3 5 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n";
        let (before, processors) = parse(stat).unwrap();
        assert_eq!((before, processors), (CpuTime([100, 10, 50, 800, 20, 5, 5, 10]), 2));
        let now = CpuTime([130, 10, 60, 940, 30, 5, 5, 20]);
        assert_eq!(now.percent_since(before), Some(25.0));
        assert_eq!(before.percent_since(before), None);
        assert_eq!(before.percent_since(now), None);
        assert_eq!(parse("intr 5\n"), None);
        assert_eq!(parse("cpu  1 2 3\n"), None);
        assert_eq!(parse("cpu  1 2 3 4\ncpu0 1\n").unwrap().0, CpuTime([1, 2, 3, 4, 0, 0, 0, 0]));
    }

    #[test]
    fn a_time_that_steps_back_counts_as_none() {
        let before = CpuTime([100, 0, 0, 800, 50, 0, 0, 40]);
        let waiting = CpuTime([150, 0, 0, 950, 45, 0, 0, 40]);
        assert_eq!(waiting.percent_since(before), Some(25.0));
        let stolen = CpuTime([150, 0, 0, 950, 50, 0, 0, 3]);
        assert_eq!(stolen.percent_since(before), Some(25.0));
        let absurd = CpuTime([u64::MAX, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(absurd.percent_since(before), Some(100.0));
    }
}
