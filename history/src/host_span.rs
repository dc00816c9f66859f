//! A few of a host's metrics over a span of time.

use tidemap_wire::{CpuMinute, HostMinute};

/// What minutes tell of their host. Shares are tenths of a percent; what no minute tells is absent. A group
/// has none of it: the largest share of many hosts says nothing about any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostSpan {
    /// The use of all processors, added up over samples.
    cpu_sum: u64,
    /// How many samples these are.
    cpu_samples: u32,
    cpu_max: u16,
    /// The largest share of memory in use.
    pub memory_max: Option<u16>,
    /// The largest share of the disk in use.
    pub disk_max: Option<u16>,
    /// The highest load average over 1 minute, hundredths.
    pub load_max: Option<u32>,
}

impl HostSpan {
    /// Of one minute.
    pub(crate) fn of_minute(minute: HostMinute) -> Self {
        let HostMinute { cpu, memory_max, disk_max, load_max } = minute;
        let CpuMinute { samples, mean, max } = cpu.unwrap_or_default();
        Self {
            cpu_sum: u64::from(mean) * u64::from(samples),
            cpu_samples: samples.into(),
            cpu_max: max,
            memory_max,
            disk_max,
            load_max,
        }
    }

    /// Adds another span of the same host.
    pub(crate) fn add(&mut self, other: &Self) {
        self.cpu_sum = self.cpu_sum.saturating_add(other.cpu_sum);
        self.cpu_samples = self.cpu_samples.saturating_add(other.cpu_samples);
        self.cpu_max = self.cpu_max.max(other.cpu_max);
        self.memory_max = self.memory_max.max(other.memory_max);
        self.disk_max = self.disk_max.max(other.disk_max);
        self.load_max = self.load_max.max(other.load_max);
    }

    /// The mean use of all processors.
    pub(crate) fn cpu_mean(&self) -> Option<u16> {
        let samples = u64::from(self.cpu_samples);
        let mean = self.cpu_sum.saturating_add(samples / 2).checked_div(samples)?;
        Some(u16::try_from(mean).unwrap_or(u16::MAX).min(self.cpu_max))
    }

    /// The highest use of all processors.
    pub(crate) fn cpu_max(&self) -> Option<u16> {
        (self.cpu_samples > 0).then_some(self.cpu_max)
    }

    /// As numbers: samples, their sum, and maxima; see [`HostSpan::of_numbers`].
    pub(crate) fn numbers(&self) -> [u64; 6] {
        let [memory, disk, load] = stored(self.memory_max, self.disk_max, self.load_max);
        [self.cpu_samples.into(), self.cpu_sum, self.cpu_max.into(), memory, disk, load]
    }

    /// The span that has these numbers; none if no span has them.
    pub(crate) fn of_numbers([samples, sum, max, memory, disk, load]: [u64; 6]) -> Option<Self> {
        let (memory_max, disk_max, load_max) = known(memory, disk, load)?;
        let (cpu_samples, cpu_max) = (u32::try_from(samples).ok()?, u16::try_from(max).ok()?);
        Some(Self { cpu_sum: sum, cpu_samples, cpu_max, memory_max, disk_max, load_max })
    }
}

/// A minute as numbers: samples, their mean, and maxima.
pub(crate) fn numbers_of(minute: HostMinute) -> [u64; 6] {
    let CpuMinute { samples, mean, max } = minute.cpu.unwrap_or_default();
    let [memory, disk, load] = stored(minute.memory_max, minute.disk_max, minute.load_max);
    [samples.into(), mean.into(), max.into(), memory, disk, load]
}

/// The minute that has these numbers; none if no minute has them.
pub(crate) fn minute_of([samples, mean, max, memory, disk, load]: [u64; 6]) -> Option<HostMinute> {
    let (memory_max, disk_max, load_max) = known(memory, disk, load)?;
    let number = |number: u64| u16::try_from(number).ok();
    let cpu = CpuMinute { samples: number(samples)?, mean: number(mean)?, max: number(max)? };
    Some(HostMinute { cpu: Some(cpu).filter(|cpu| cpu.samples > 0), memory_max, disk_max, load_max })
}

/// Maxima that are larger by one, because 0 is absent.
fn stored(memory: Option<u16>, disk: Option<u16>, load: Option<u32>) -> [u64; 3] {
    [memory.map(u64::from), disk.map(u64::from), load.map(u64::from)].map(|max| max.map_or(0, |max| max + 1))
}

fn known(memory: u64, disk: u64, load: u64) -> Option<(Option<u16>, Option<u16>, Option<u32>)> {
    let share = |stored: u64| stored.checked_sub(1).map(u16::try_from).transpose().ok();
    let load = load.checked_sub(1).map(u32::try_from).transpose().ok()?;
    Some((share(memory)?, share(disk)?, load))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(samples: u16, mean: u16, max: u16) -> HostSpan {
        HostSpan::of_minute(HostMinute {
            cpu: Some(CpuMinute { samples, mean, max }),
            ..HostMinute::default()
        })
    }

    #[test]
    fn a_mean_is_that_of_all_samples_and_a_maximum_stays() {
        let mut span = minute(12, 100, 990);
        span.add(&minute(4, 501, 502));
        assert_eq!((span.cpu_mean(), span.cpu_max()), (Some(200), Some(990)));
        let memory = HostMinute { memory_max: Some(700), ..HostMinute::default() };
        span.add(&HostSpan::of_minute(memory));
        assert_eq!((span.cpu_mean(), span.memory_max, span.disk_max), (Some(200), Some(700), None));
        assert_eq!(HostSpan::default().cpu_mean(), None);
        assert_eq!(HostSpan::default().cpu_max(), None);
    }
}
