//! Where the counters stood at a sample, kept beside the spool for the next run of the agent. Pure.
//!
//! The next run begins with what moved since the newest sample of the run before, which the spool has with
//! its sums. So however old the counters are, what samples contain that were read after them is not counted
//! again. They are used only beside that sample, and on the same boot of the kernel.

use serde::{Deserialize, Serialize};
use tidemap_wire::Sample;

use crate::meter::{CarriedOver, Key, Moved, Standing};

/// Nothing is made of a longer pause: another run of the agent, without this spool, may have counted it.
const LONGEST_PAUSE_MS: u64 = 3_600_000;

/// Where the counters stand, and the sums that a run has made of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// The kernel's name for the time since it started.
    pub(crate) kernel_boot: String,
    /// How long ago that was.
    pub(crate) uptime_ms: u64,
    pub(crate) sums: Moved,
    /// What the devices have moved beyond this that samples of earlier runs contain.
    pub(crate) contained: Moved,
    pub(crate) devices: Vec<CountedDevice>,
}

/// A counted interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountedDevice {
    /// Which it is, whatever its name; no other has it on this boot of the kernel.
    pub(crate) identity: u64,
    pub(crate) standing: Standing,
}

/// A sample of a run, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SampleId {
    pub(crate) run: u64,
    pub(crate) seq: u64,
}

/// The newest sample in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) id: SampleId,
    pub(crate) sums: Moved,
}

/// What a run keeps for the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    pub(crate) run: u64,
    /// The newest sample of the run before, while the spool has none of this run.
    pub(crate) follows: Option<SampleId>,
    pub(crate) stand: Stand,
}

/// What the next run makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    stand: Stand,
    total: Moved,
    contained: Moved,
}

impl Newest {
    pub(crate) fn of(run: u64, sample: &Sample) -> Self {
        let sums = Moved { rx_bytes: sample.rx_bytes, tx_bytes: sample.tx_bytes };
        Self { id: SampleId { run, seq: sample.seq }, sums }
    }
}

impl Baseline {
    /// What it is worth beside the newest sample in the spool: nothing if that is another run's, whose
    /// samples may contain the same bytes.
    pub(crate) fn beside(self, newest: Option<Newest>) -> Option<Earlier> {
        let Newest { id, sums } = newest?;
        let (total, newer) = if id.run == self.run {
            (Moved::default(), sums.less(self.stand.sums))
        } else if self.follows == Some(id) {
            (self.stand.sums, Moved::default())
        } else {
            return None;
        };
        let contained = self.stand.contained.plus(newer);
        Some(Earlier { stand: self.stand, total, contained })
    }
}

impl Earlier {
    /// What the meter goes on from, and how long ago that was; `None` if the kernel was started meanwhile.
    /// `key` finds the counted interface with an identity.
    pub(crate) fn left(
        self,
        kernel_boot: &str,
        uptime_ms: u64,
        key: impl Fn(u64) -> Option<Key>,
    ) -> Option<(CarriedOver, u64)> {
        let Self { stand, total, contained } = self;
        let is_usable = |ago_ms: &u64| stand.kernel_boot == kernel_boot && *ago_ms <= LONGEST_PAUSE_MS;
        let ago_ms = uptime_ms.checked_sub(stand.uptime_ms).filter(is_usable)?;
        let devices = stand.devices.into_iter();
        let devices = devices.filter_map(|device| Some((key(device.identity)?, device.standing))).collect();
        Some((CarriedOver { devices, total, contained }, ago_ms))
    }
}

#[cfg(test)]
mod tests;
