//! The processor's temperature.

use std::path::{Path, PathBuf};

use super::files::{Chip, Input, Inputs, chips, inputs};

/// Drivers of processors whose names do not say so.
const PROCESSOR_DRIVERS: [&str; 6] =
    ["coretemp", "k8temp", "k10temp", "zenpower", "via_cputemp", "x86_pkg_temp"];
/// Parts of the names of thermal zones in processors, beside those that contain `cpu`.
const PROCESSOR_PARTS: [&str; 4] = ["soc", "package", "bigcore", "littlecore"];
/// Parts of names that contain `cpu` or `soc`, but measure something near it. A battery's is its charge.
const OTHER_PARTS: [&str; 10] =
    ["battery", "bat", "charger", "pmic", "vrm", "vreg", "board", "ambient", "skin", "adc"];

/// Reads the processor's temperature.
#[derive(Debug)]
pub(crate) struct Temperature {
    hwmon: PathBuf,
    thermal: PathBuf,
    of_chips: Inputs,
    of_zones: Inputs,
}

impl Temperature {
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self {
            hwmon: sysfs.join("class/hwmon"),
            thermal: sysfs.join("class/thermal"),
            of_chips: Inputs::default(),
            of_zones: Inputs::default(),
        }
    }

    /// The hottest place of the processor, in degrees Celsius.
    pub(crate) fn celsius(&mut self) -> Option<f64> {
        let is_processors = |chip: &Chip| is_processor(&chip.name);
        let mut chips = chips(&self.hwmon, "hwmon", "name");
        chips.retain(is_processors);
        let found = |chips: &[Chip]| chips.iter().flat_map(temperatures).collect();
        if let Some(celsius) = hottest(self.of_chips.values(chips, found)) {
            return Some(celsius);
        }
        let mut zones = self::chips(&self.thermal, "thermal_zone", "type");
        zones.retain(is_processors);
        let found =
            |zones: &[Chip]| zones.iter().map(|zone| Input::alone(zone.folder.join("temp"))).collect();
        hottest(self.of_zones.values(zones, found))
    }
}

/// The inputs of a processor's chip. AMD's Tctl is what fans are to be controlled by, up to 27 °C above the
/// temperature; where it differs, the chip has Tdie as well.
fn temperatures(chip: &Chip) -> Vec<Input> {
    let mut labelled: Vec<_> =
        inputs(chip, "temp").into_iter().map(|input| (input.label().unwrap_or_default(), input)).collect();
    if labelled.iter().any(|(label, _)| label == "Tdie") {
        labelled.retain(|(label, _)| label != "Tctl");
    }
    labelled.into_iter().map(|(_, input)| input).collect()
}

fn is_processor(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if PROCESSOR_DRIVERS.contains(&&*name) {
        return true;
    }
    // `soc0-thermal` and `cpu_thermal1` have numbered parts.
    let parts = || {
        let all = name.split(|sign: char| !sign.is_ascii_alphanumeric());
        all.map(|part| part.trim_end_matches(|sign: char| sign.is_ascii_digit()))
    };
    let is_of_processor = name.contains("cpu") || parts().any(|part| PROCESSOR_PARTS.contains(&part));
    is_of_processor && !parts().any(|part| OTHER_PARTS.contains(&part))
}

/// The highest of values in thousandths of a degree.
fn hottest(values: Vec<i64>) -> Option<f64> {
    values.into_iter().filter(|milli| is_plausible(*milli)).max().map(|milli| milli as f64 / 1000.0)
}

/// A sensor that is switched off, broken or not connected reports the end of its range, such as −40, 127 or
/// −273.15 °C, or about 0. No processor works there.
fn is_plausible(milli: i64) -> bool {
    -40_000 < milli && milli < 127_000 && milli.abs() >= 200
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processors_sensors_are_known_by_name() {
        for name in [
            "coretemp",
            "k10temp",
            "zenpower",
            "cpu_thermal",
            "cpu-thermal",
            "soc_thermal",
            "cpu0-thermal",
            "cpuss-2-usr",
            "mtktscpu",
            "TCPU",
            "soc_dts0",
            "x86_pkg_temp",
            "bigcore1-thermal",
            "package-thermal",
        ] {
            assert!(is_processor(name), "{name}");
        }
        for name in [
            "nvme",
            "acpitz",
            "iwlwifi_1",
            "battery",
            "battery-soc",
            "gpu-thermal",
            "amdgpu",
            "pch_cannonlake",
            "BAT0",
            "cpu-vrm",
            "cpu_board",
            "socket",
            "nct6775",
            "power_meter",
            "cpu-adc",
            "charger_soc",
            "",
        ] {
            assert!(!is_processor(name), "{name}");
        }
    }

    #[test]
    fn what_a_broken_sensor_reports_is_no_temperature() {
        for milli in
            [0, -1, 1, 45, -40_000, -128_000, -273_150, 127_000, 127_500, 255_000, i64::MIN, i64::MAX]
        {
            assert!(!is_plausible(milli), "{milli}");
        }
        for milli in [-20_000, 900, 45_000, 110_000, 126_000] {
            assert!(is_plausible(milli), "{milli}");
        }
        assert_eq!(hottest(vec![127_000, 51_500, 0, 48_000]), Some(51.5));
        assert_eq!(hottest(vec![127_000]), None);
    }
}
