//! A few of a host's metrics over a minute.

use crate::{Host, bounds};

/// A host's minute, of the samples of the minute's row that tell of it. What none of them tells is absent.
///
/// Shares are tenths of a percent. Of two rows, the processor's use is that of the row that knows more
/// samples of it, so it is always that of a set of samples; the others are maxima. So joining rows forgets
/// their order and repetitions, as with all else in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostMinute {
    /// Use of all processors.
    pub cpu: Option<CpuMinute>,
    /// The largest share of memory in use.
    pub memory_max: Option<u16>,
    /// The largest share of the disk in use.
    pub disk_max: Option<u16>,
    /// The highest load average over 1 minute, hundredths.
    pub load_max: Option<u32>,
}

/// Use of all processors over a minute, tenths of a percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuMinute {
    /// How many samples tell it, at least one.
    pub samples: u16,
    /// Their mean, rounded.
    pub mean: u16,
    /// The highest.
    pub max: u16,
}

impl HostMinute {
    /// What one sample tells, whose values are within the bounds of a report.
    pub fn of_sample(host: &Host) -> Self {
        let share = |percent: f64| (percent * 10.0).round() as u16;
        let use_of = |share: u16| CpuMinute { samples: 1, mean: share, max: share };
        Self {
            cpu: host.cpu_percent.map(share).map(use_of),
            memory_max: host.memory_percent().map(share),
            disk_max: host.disk_percent().map(share),
            load_max: host.load_1.map(|load| (load * 100.0).round() as u32),
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What both tell. Of an absent value and a known one, the known one is the larger.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            cpu: match (self.cpu, other.cpu) {
                (Some(one), Some(two)) => Some(one.join(two)),
                (one, two) => one.or(two),
            },
            memory_max: self.memory_max.max(other.memory_max),
            disk_max: self.disk_max.max(other.disk_max),
            load_max: self.load_max.max(other.load_max),
        }
    }

    /// Cuts off what no host can be.
    pub(super) fn bound(&mut self) {
        let Self { cpu, memory_max, disk_max, load_max } = self;
        *cpu = cpu.filter(|cpu| cpu.samples > 0);
        if let Some(cpu) = cpu {
            cpu.max = cpu.max.min(bounds::SHARE);
            cpu.mean = cpu.mean.min(cpu.max);
        }
        for share in [memory_max, disk_max].into_iter().flatten() {
            *share = (*share).min(bounds::SHARE);
        }
        *load_max = load_max.map(|load| load.min(bounds::LOAD));
    }
}

impl CpuMinute {
    fn join(self, other: Self) -> Self {
        let more = (self.samples, self.mean).max((other.samples, other.mean));
        Self { samples: more.0, mean: more.1, max: self.max.max(other.max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_rounded_to_tenths_and_hundredths_and_what_it_does_not_tell_is_absent() {
        let host = Host {
            cpu_percent: Some(12.34),
            memory_used_bytes: Some(1),
            memory_total_bytes: Some(3),
            disk_used_bytes: Some(5),
            load_1: Some(0.567),
            ..Host::default()
        };
        let cpu = CpuMinute { samples: 1, mean: 123, max: 123 };
        let expected =
            HostMinute { cpu: Some(cpu), memory_max: Some(333), disk_max: None, load_max: Some(57) };
        assert_eq!(HostMinute::of_sample(&host), expected);
        assert!(HostMinute::of_sample(&Host::default()).is_empty());
    }

    #[test]
    fn the_mean_is_that_of_the_row_with_more_samples() {
        let of = |samples, mean, max| HostMinute {
            cpu: Some(CpuMinute { samples, mean, max }),
            ..HostMinute::default()
        };
        assert_eq!(of(11, 900, 990).join(of(12, 40, 80)), of(12, 40, 990));
        assert_eq!(of(12, 30, 80).join(of(12, 40, 70)), of(12, 40, 80));
        assert_eq!(HostMinute::default().join(of(1, 2, 3)), of(1, 2, 3));
    }

    #[test]
    fn no_share_is_more_than_all_and_a_use_of_no_sample_is_none() {
        let cpu = |samples, mean, max| Some(CpuMinute { samples, mean, max });
        let most = Some(u16::MAX);
        let mut host = HostMinute {
            cpu: cpu(3, u16::MAX, 7),
            memory_max: most,
            disk_max: most,
            load_max: Some(u32::MAX),
        };
        host.bound();
        let share = Some(bounds::SHARE);
        let expected = HostMinute {
            cpu: cpu(3, 7, 7),
            memory_max: share,
            disk_max: share,
            load_max: Some(bounds::LOAD),
        };
        assert_eq!(host, expected);
        let mut nothing = HostMinute { cpu: cpu(0, 1, 1), ..HostMinute::default() };
        nothing.bound();
        assert!(nothing.is_empty());
    }
}
