//! `/proc/stat`: how busy the processors are, and how many there are.

use std::path::Path;

use tidemap_wire::Host;

use super::KeptFile;

/// Reads the processors' use.
#[derive(Debug)]
pub(super) struct Cpu {
    stat: KeptFile,
    before: Option<CpuTime>,
}

/// Time that all processors have spent, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTime {
    /// Time spent working.
    busy: u64,
    /// Time spent working or idle.
    total: u64,
}

impl Cpu {
    pub(super) fn new(procfs: &Path) -> Self {
        let mut cpu = Self { stat: KeptFile::new(procfs.join("stat")), before: None };
        cpu.before = cpu.now().map(|(time, _)| time);
        cpu
    }

    pub(super) fn read(&mut self, host: &mut Host) {
        let now = self.now();
        host.cpu_count = now.map(|(_, processors)| processors);
        host.cpu_percent = now.zip(self.before).and_then(|((now, _), before)| now.percent_since(before));
        self.before = now.map(|(time, _)| time);
    }

    fn now(&mut self) -> Option<(CpuTime, u32)> {
        parse(self.stat.text()?)
    }
}

impl CpuTime {
    /// Use of all processors since `before`, 0 to 100; unknown when no time has passed or it went backwards.
    fn percent_since(self, before: CpuTime) -> Option<f64> {
        let total = self.total.checked_sub(before.total).filter(|total| *total > 0)?;
        // Idle time of a processor may fall by a tick when it is switched off, which makes busy exceed total.
        let busy = self.busy.checked_sub(before.busy)?.min(total);
        Some(busy as f64 / total as f64 * 100.0)
    }
}

/// The processors' time, and the number of processors.
fn parse(stat: &str) -> Option<(CpuTime, u32)> {
    let mut lines = stat.lines();
    let fields = lines.next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let times: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    // The time of guests, at the end of the line, is already part of user time.
    let [user, nice, system, idle, waiting, irq, softirq, stolen] = *times.get(..8)?.as_array()?;
    let busy = user + nice + system + irq + softirq + stolen;
    let processors = lines.take_while(|line| line.starts_with("cpu")).count();
    Some((CpuTime { busy, total: busy + idle + waiting }, u32::try_from(processors).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_use_is_time_at_work_over_time_passed() {
        let stat = "cpu  100 10 50 800 20 5 5 10 30 0\ncpu0 50 5 25 400 10 2 3 5 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n";
        let (before, processors) = parse(stat).unwrap();
        assert_eq!((before, processors), (CpuTime { busy: 180, total: 1000 }, 2));
        let now = CpuTime { busy: 230, total: 1200 };
        assert_eq!(now.percent_since(before), Some(25.0));
        assert_eq!(before.percent_since(before), None);
        assert_eq!(before.percent_since(now), None);
        assert_eq!(parse("intr 5\n"), None);
    }
}
