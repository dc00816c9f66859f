//! Linux: temperature, fans and processor frequency, from sysfs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tidemap_wire::Host;

/// Drivers whose temperature is the processor's.
const PROCESSOR_CHIPS: [&str; 7] =
    ["coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "via_cputemp"];

/// On a large host, reading each processor's frequency takes a noticeable time; the mean of a few is as good.
const FREQUENCIES: usize = 8;

/// The sensors' files. They are found once, because searching through all sensors is expensive.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    temperatures: Vec<PathBuf>,
    fans: Vec<PathBuf>,
    frequencies: Vec<PathBuf>,
    /// The frequency in `/proc/cpuinfo`, for kernels that do not scale it, as in most virtual machines.
    fixed_mhz: Option<u32>,
}

impl Sensors {
    /// Finds this host's sensors.
    pub(super) fn find(sysfs: &Path, procfs: &Path) -> Self {
        let chips = folders(&sysfs.join("class/hwmon"), "hwmon");
        let is_processor = |chip: &PathBuf| {
            fs::read_to_string(chip.join("name")).is_ok_and(|name| PROCESSOR_CHIPS.contains(&name.trim()))
        };
        let mut temperatures: Vec<_> =
            chips.iter().filter(|chip| is_processor(chip)).flat_map(|chip| inputs(chip, "temp")).collect();
        if temperatures.is_empty() {
            let zones = folders(&sysfs.join("class/thermal"), "thermal_zone").into_iter();
            temperatures =
                zones.filter(|zone| is_processor_zone(zone)).map(|zone| zone.join("temp")).collect();
        }
        let policies = folders(&sysfs.join("devices/system/cpu/cpufreq"), "policy");
        let step = policies.len().div_ceil(FREQUENCIES).max(1);
        let frequencies = policies.iter().step_by(step).map(|policy| policy.join("scaling_cur_freq"));
        let cpuinfo = || fs::read_to_string(procfs.join("cpuinfo")).ok();
        Self {
            temperatures,
            fans: chips.iter().flat_map(|chip| inputs(chip, "fan")).collect(),
            frequencies: frequencies.collect(),
            fixed_mhz: if policies.is_empty() { cpuinfo().and_then(|text| fixed_mhz(&text)) } else { None },
        }
    }

    pub(super) fn read(&self, host: &mut Host) {
        host.temperature_c = self.temperature_c();
        host.fan_rpm = self.fan_rpm();
        host.cpu_mhz = self.cpu_mhz();
    }

    /// The hottest place of the processor, in degrees Celsius.
    fn temperature_c(&self) -> Option<f64> {
        // A sensor that is switched off or broken reports an impossible value.
        let degrees = numbers(&self.temperatures).map(|milli| milli as f64 / 1000.0);
        degrees.filter(|degrees| (-50.0..150.0).contains(degrees) && *degrees != 0.0).reduce(f64::max)
    }

    /// The fastest fan's turns per minute.
    fn fan_rpm(&self) -> Option<u32> {
        numbers(&self.fans).filter_map(|rpm| u32::try_from(rpm).ok()).max()
    }

    /// The processors' mean frequency.
    fn cpu_mhz(&self) -> Option<u32> {
        let (sum, count) =
            numbers(&self.frequencies).fold((0, 0), |(sum, count), khz| (sum + khz, count + 1));
        if count == 0 { self.fixed_mhz } else { u32::try_from(sum / count / 1000).ok() }
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

fn is_processor_zone(zone: &Path) -> bool {
    fs::read_to_string(zone.join("type")).is_ok_and(|kind| {
        let kind = kind.trim().to_ascii_lowercase();
        kind == "x86_pkg_temp" || kind.contains("cpu") || kind.contains("soc")
    })
}

fn folders(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    named(parent, |name| name.starts_with(prefix))
}

fn inputs(chip: &Path, prefix: &str) -> Vec<PathBuf> {
    named(chip, |name| name.starts_with(prefix) && name.ends_with("_input"))
}

fn named(parent: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let is_wanted = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(&wanted);
    entries.flatten().filter(is_wanted).map(|entry| entry.path()).collect()
}

fn numbers(files: &[PathBuf]) -> impl Iterator<Item = i64> {
    files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_own_sensors_are_read_and_absent_ones_are_absent() {
        let sysfs = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = sysfs.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let none = Sensors::find(sysfs.path(), sysfs.path());
        assert_eq!((none.temperature_c(), none.fan_rpm(), none.cpu_mhz()), (None, None, None));

        write("class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
        write("class/thermal/thermal_zone0/temp", "41000\n");
        assert_eq!(Sensors::find(sysfs.path(), sysfs.path()).temperature_c(), Some(41.0));

        write("class/hwmon/hwmon0/name", "nvme\n");
        write("class/hwmon/hwmon0/temp1_input", "90000\n");
        write("class/hwmon/hwmon1/name", "coretemp\n");
        write("class/hwmon/hwmon1/temp1_input", "52000\n");
        write("class/hwmon/hwmon1/temp2_input", "55500\n");
        write("class/hwmon/hwmon1/temp3_input", "-273000\n");
        write("class/hwmon/hwmon2/fan1_input", "0\n");
        write("class/hwmon/hwmon2/fan2_input", "1234\n");
        write("devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "2000000\n");
        write("devices/system/cpu/cpufreq/policy1/scaling_cur_freq", "3000000\n");
        let found = Sensors::find(sysfs.path(), sysfs.path());
        assert_eq!(found.temperature_c(), Some(55.5));
        assert_eq!(found.fan_rpm(), Some(1234));
        assert_eq!(found.cpu_mhz(), Some(2500));
    }
}
