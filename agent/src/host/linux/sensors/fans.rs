//! Fans.

use std::path::{Path, PathBuf};

use super::files::{Chip, Inputs, chips, inputs};

/// Faster than any fan. Chips report 65,535 or more where none is connected.
const TOO_FAST_RPM: u32 = 50_000;

/// Reads the fans of all chips.
#[derive(Debug)]
pub(crate) struct Fans {
    hwmon: PathBuf,
    inputs: Inputs,
}

impl Fans {
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self { hwmon: sysfs.join("class/hwmon"), inputs: Inputs::default() }
    }

    /// The fastest fan's turns per minute.
    pub(crate) fn rpm(&mut self) -> Option<u32> {
        let all = |chips: &[Chip]| chips.iter().flat_map(|chip| inputs(chip, "fan")).collect();
        let values = self.inputs.values(chips(&self.hwmon, "hwmon", "name"), all);
        values.into_iter().filter_map(|rpm| u32::try_from(rpm).ok()).filter(|rpm| *rpm < TOO_FAST_RPM).max()
    }
}
