//! Host metrics on made trees of hosts that are not like most: each metric has the right value or is absent,
//! and whatever hangs takes nothing else with it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc::sync_channel,
    thread,
    time::Duration,
};

use clap::Parser;
use tempfile::TempDir;
use tidemap_agent::{AgentArgs, AgentConfig, internals::HostMetrics};
use tidemap_wire::{Bps, Host, Report};

const GIB: u64 = 1 << 30;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    agent: AgentArgs,
}

struct Tree(TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(tree.path("sys/class/net/lo")).unwrap();
        fs::create_dir_all(tree.path("proc/net")).unwrap();
        for (file, text) in files {
            tree.write(file, text);
        }
        tree
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), text).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// A file whose opening hangs, because nothing writes to the pipe.
    fn hang(&self, file: &str) {
        self.write(file, "");
        fs::remove_file(self.path(file)).unwrap();
        assert!(Command::new("mkfifo").arg(self.path(file)).status().unwrap().success());
    }

    fn roots(&self) -> [String; 4] {
        let folder = |name: &str| self.path(name).to_str().unwrap().to_owned();
        ["--sysfs-root".to_owned(), folder("sys"), "--procfs-root".to_owned(), folder("proc")]
    }

    fn metrics(&self) -> HostMetrics {
        let args = ["agent", "--node", "made"].map(str::to_owned).into_iter().chain(self.roots());
        HostMetrics::new(&AgentConfig::new(Cli::parse_from(args).agent).unwrap())
    }

    fn host(&self) -> Host {
        self.metrics().read(2_000)
    }
}

#[test]
fn the_cache_of_zfs_is_not_memory_in_use() {
    let total = 62 * GIB + 8 * GIB / 10;
    let meminfo = format!("MemTotal: {} kB\nMemAvailable: {} kB\n", total / 1024, (total - 58 * GIB) / 1024);
    let tree = Tree::new(&[("proc/meminfo", &meminfo)]);
    let used = || tree.host().memory_used_bytes.map(|bytes| bytes.div_ceil(1 << 20));
    assert_eq!(used(), Some(58 << 10));
    let arcstats = "9 1 0x01 147 39984 1 2\nname type data\nsize 4 51539607552\nc_min 4 2147483648\n";
    tree.write("proc/spl/kstat/zfs/arcstats", arcstats);
    assert_eq!(used(), Some(12 << 10));
}

#[test]
fn reserved_huge_pages_are_in_use() {
    let meminfo = "MemTotal: 1000 kB\nMemFree: 150 kB\nMemAvailable: 200 kB\nHugePages_Total: 300\n\
                   HugePages_Free: 300\nHugepagesize: 2 kB\nHugetlb: 600 kB\n";
    assert_eq!(Tree::new(&[("proc/meminfo", meminfo)]).host().memory_used_bytes, Some(800 << 10));
}

#[test]
fn a_host_whose_kernel_does_not_say_what_is_available_has_an_estimate() {
    let meminfo = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 300 kB\nShmem: 50 kB\n";
    assert_eq!(Tree::new(&[("proc/meminfo", meminfo)]).host().memory_used_bytes, Some(600 << 10));
}

#[test]
fn a_threadrippers_temperature_is_not_what_its_fans_are_controlled_by() {
    let tree = Tree::new(&[
        ("sys/class/hwmon/hwmon0/name", "k10temp\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "95000\n"),
        ("sys/class/hwmon/hwmon0/temp1_label", "Tctl\n"),
    ]);
    assert_eq!(tree.host().temperature_c, Some(95.0), "a processor without an offset");
    tree.write("sys/class/hwmon/hwmon0/temp2_input", "68000\n");
    tree.write("sys/class/hwmon/hwmon0/temp2_label", "Tdie\n");
    assert_eq!(tree.host().temperature_c, Some(68.0));
    tree.write("sys/class/hwmon/hwmon0/temp3_input", "69250\n");
    tree.write("sys/class/hwmon/hwmon0/temp3_label", "Tccd1\n");
    assert_eq!(tree.host().temperature_c, Some(69.25));
}

#[test]
fn broken_sensors_and_those_of_other_things_are_not_the_processors() {
    let tree = Tree::new(&[
        ("sys/class/hwmon/hwmon0/name", "BAT0\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "33000\n"),
        ("sys/class/hwmon/hwmon1/name", "nct6775\n"),
        ("sys/class/hwmon/hwmon1/temp1_input", "127000\n"),
        ("sys/class/hwmon/hwmon1/fan1_input", "65535\n"),
        ("sys/class/hwmon/hwmon1/fan2_input", "-1\n"),
        ("sys/class/thermal/thermal_zone0/type", "battery-soc\n"),
        ("sys/class/thermal/thermal_zone0/temp", "61000\n"),
    ]);
    assert_eq!((tree.host().temperature_c, tree.host().fan_rpm), (None, None));
    tree.write("sys/class/thermal/thermal_zone1/type", "soc-thermal\n");
    tree.write("sys/class/thermal/thermal_zone1/temp", "44000\n");
    assert_eq!(tree.host().temperature_c, Some(44.0));
    for (number, placeholder) in (1..).zip(["127000", "0", "-128000", "-40000", "x", "255000"]) {
        tree.write(&format!("sys/class/hwmon/hwmon2/temp{number}_input"), placeholder);
    }
    tree.write("sys/class/hwmon/hwmon2/name", "coretemp\n");
    assert_eq!(tree.host().temperature_c, Some(44.0), "a broken chip leaves the thermal zone");
    tree.write("sys/class/hwmon/hwmon2/temp7_input", "51000\n");
    tree.write("sys/class/hwmon/hwmon2/temp8_input", "90000\n");
    tree.write("sys/class/hwmon/hwmon2/temp8_fault", "1\n");
    tree.write("sys/class/hwmon/hwmon1/fan3_input", "900\n");
    assert_eq!((tree.host().temperature_c, tree.host().fan_rpm), (Some(51.0), Some(900)));
    // Linux 3.10 has a chip's files in its device's folder.
    tree.write("sys/class/hwmon/hwmon3/device/name", "coretemp\n");
    tree.write("sys/class/hwmon/hwmon3/device/temp1_input", "52000\n");
    assert_eq!(tree.host().temperature_c, Some(52.0));
}

#[test]
fn sensors_whose_numbers_change_are_looked_for_again() {
    let tree = Tree::new(&[]);
    let mut metrics = tree.metrics();
    let mut celsius = || metrics.read(5_000).temperature_c;
    assert_eq!(celsius(), None);
    tree.write("sys/class/hwmon/hwmon1/name", "coretemp\n");
    tree.write("sys/class/hwmon/hwmon1/temp1_input", "50000\n");
    assert_eq!(celsius(), Some(50.0), "its module was loaded");
    tree.rename("sys/class/hwmon/hwmon1", "sys/class/hwmon/hwmon5");
    assert_eq!(celsius(), Some(50.0), "loaded again");
    tree.write("sys/class/hwmon/hwmon2/name", "nvme\n");
    tree.write("sys/class/hwmon/hwmon2/temp1_input", "88000\n");
    tree.rename("sys/class/hwmon/hwmon2", "sys/class/hwmon/hwmon9");
    tree.rename("sys/class/hwmon/hwmon5", "sys/class/hwmon/hwmon2");
    tree.rename("sys/class/hwmon/hwmon9", "sys/class/hwmon/hwmon5");
    assert_eq!(celsius(), Some(50.0), "exchanged with another's");
    tree.rename("sys/class/hwmon/hwmon2/temp1_input", "sys/class/hwmon/hwmon2/temp2_input");
    celsius();
    assert_eq!(celsius(), Some(50.0), "of another core, after a reading that failed");
    fs::remove_dir_all(tree.path("sys/class/hwmon")).unwrap();
    assert_eq!(celsius(), None);
}

#[test]
fn processors_that_are_switched_off_and_on_keep_the_frequency_known() {
    let tree = Tree::new(&[("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "2000000\n")]);
    let mut metrics = tree.metrics();
    assert_eq!(metrics.read(5_000).cpu_mhz, Some(2_000));
    tree.write("sys/devices/system/cpu/cpufreq/policy1/scaling_cur_freq", "3000000\n");
    tree.write("sys/devices/system/cpu/cpufreq/policy2/scaling_cur_freq", "<unknown>\n");
    tree.write("sys/devices/system/cpu/cpufreq/policy3/scaling_cur_freq", "0\n");
    assert_eq!(metrics.read(5_000).cpu_mhz, Some(2_500));
    fs::remove_dir_all(tree.path("sys/devices/system/cpu/cpufreq/policy0")).unwrap();
    assert_eq!(metrics.read(5_000).cpu_mhz, Some(3_000));
}

#[test]
fn a_processors_time_that_steps_back_leaves_its_use_known() {
    let tree = Tree::new(&[("proc/stat", "cpu  100 0 50 800 50 0 0 40 9 0\ncpu0 1\n")]);
    let mut metrics = tree.metrics();
    tree.write("proc/stat", "cpu  150 0 50 950 45 0 0 3 9 0\ncpu0 1\n");
    assert_eq!(metrics.read(5_000).cpu_percent, Some(25.0));
    tree.write("proc/stat", "cpu  1 0 1 9 0 0 0 0 0 0\ncpu0 1\n");
    assert_eq!(metrics.read(5_000).cpu_percent, None, "a reset");
    tree.write("proc/stat", "cpu  2 0 1 10\ncpu0 1\n");
    assert_eq!(metrics.read(5_000).cpu_percent, Some(50.0), "an old kernel's line");
}

/// Lines of `/proc/diskstats`: names, and sectors read and written.
fn diskstats(disks: &[(&str, u64)]) -> String {
    disks
        .iter()
        .map(|(name, sectors)| format!(" 8 0 {name} 1 0 {sectors} 0 1 0 {sectors} 0 0 0 0\n"))
        .collect()
}

#[test]
fn a_disks_bytes_are_counted_once() {
    let names =
        ["nvme0n1", "nvme0n1p1", "nvme0c0n1", "nvme0c1n1", "dm-0", "md0", "loop0", "zram0", "sda", "sda1"];
    let tree = Tree::new(&[("proc/diskstats", &diskstats(&names.map(|name| (name, 0))))]);
    for disk in ["nvme0n1", "nvme0c0n1", "nvme0c1n1", "sda"] {
        tree.write(&format!("sys/block/{disk}/device/model"), "");
    }
    let mut metrics = tree.metrics();
    let of_path = |name: &str| if name.starts_with("nvme0c") { 500 } else { 1_000 };
    tree.write("proc/diskstats", &diskstats(&names.map(|name| (name, of_path(name)))));
    let rates = |host: Host| [host.disk_read_bps, host.disk_write_bps].map(|rate| rate.map(Bps::get));
    assert_eq!(rates(metrics.read(2_000)), [Some(512_000.0); 2]);
}

#[test]
fn a_disk_that_comes_or_goes_does_not_hide_the_others() {
    let tree = Tree::new(&[("proc/diskstats", &diskstats(&[("vda", 100), ("sdb", 9_000)]))]);
    for disk in ["vda", "sdb"] {
        tree.write(&format!("sys/block/{disk}/device/model"), "");
    }
    let mut metrics = tree.metrics();
    let mut rate = |disks: &[(&str, u64)]| {
        tree.write("proc/diskstats", &diskstats(disks));
        metrics.read(1_000).disk_read_bps.map(Bps::get)
    };
    assert_eq!(rate(&[("vda", 110)]), Some(5_120.0));
    assert_eq!(rate(&[("vda", 120), ("sdb", 7_000)]), Some(5_120.0), "not what it moved before");
    assert_eq!(rate(&[("vda", 130), ("sdb", 7_010)]), Some(10_240.0));
    assert_eq!(rate(&[("vda", 140), ("sdb", 3)]), Some(5_120.0), "its counters were reset");
    assert_eq!(rate(&[]), None);
}

#[test]
fn processes_are_not_known_where_some_are_hidden() {
    let tree = Tree::new(&[("proc/1/stat", ""), ("proc/4711/stat", "")]);
    let namespace = |number: u64| {
        fs::create_dir_all(tree.path("proc/self/ns")).unwrap();
        drop(fs::remove_file(tree.path("proc/self/ns/pid")));
        symlink(format!("pid:[{number}]"), tree.path("proc/self/ns/pid")).unwrap();
    };
    namespace(4_026_531_836);
    assert_eq!(tree.host().processes, Some(2));
    namespace(4_026_532_198);
    assert_eq!(tree.host().processes, None, "a container");
    tree.write("proc/2/comm", "sh\n");
    assert_eq!(tree.host().processes, None, "a container with a second process");
    tree.write("proc/2/comm", "kthreadd\n");
    assert_eq!(tree.host().processes, Some(3), "a container with the host's procfs");
    namespace(4_026_531_836);
    fs::remove_dir_all(tree.path("proc/1")).unwrap();
    assert_eq!(tree.host().processes, None, "hidepid");
}

#[test]
fn beside_a_root_that_cannot_be_written_to_the_disk_is_where_the_data_is() {
    let tree = Tree::new(&[]);
    let data = tree.path("data");
    fs::create_dir(&data).unwrap();
    let data = data.to_str().unwrap();
    assert_eq!(tree.metrics().disk_path(), None);
    let mounts = format!(
        "20 1 7:1 / / ro,relatime - squashfs /dev/loop1 ro\n\
         21 20 254:1 / {data} rw,relatime shared:1 - ext4 /dev/vda rw\n\
         22 20 0:44 / /nfs rw - nfs4 dead:/ rw\n"
    );
    tree.write("proc/self/mountinfo", &mounts);
    let mut metrics = tree.metrics();
    let space = metrics.read(5_000);
    assert_eq!(metrics.disk_path(), Some(data));
    assert!(0 < space.disk_used_bytes.unwrap() && space.disk_used_bytes < space.disk_total_bytes);
    tree.write("proc/self/mountinfo", &mounts.replace("squashfs /dev/loop1 ro", "ext4 /dev/vda rw"));
    metrics.read(5_000);
    assert_eq!(metrics.disk_path(), Some(data), "it is chosen once a minute");
    metrics.read(60_000);
    assert_eq!(metrics.disk_path(), None);
}

#[test]
fn a_containers_limits_are_beside_what_its_host_has() {
    let tree = Tree::new(&[
        ("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 8000000 kB\n"),
        ("proc/stat", "cpu  1 0 1 9 0 0 0 0 0 0\ncpu0 1\ncpu1 1\n"),
        ("proc/self/cgroup", "0::/\n"),
        ("sys/fs/cgroup/memory.max", "1073741824\n"),
        ("sys/fs/cgroup/cpu.max", "150000 100000\n"),
    ]);
    let host = tree.host();
    assert_eq!((host.memory_total_bytes, host.container_memory_limit_bytes), (Some(8 * GIB), Some(GIB)));
    assert_eq!((host.cpu_count, host.container_cpu_limit), (Some(2), Some(1.5)));
}

#[test]
fn a_sensor_that_hangs_is_not_known_until_it_answers_and_takes_no_other_with_it() {
    let tree = Tree::new(&[
        ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
        ("sys/class/hwmon/hwmon0/fan1_input", "1200\n"),
        ("proc/loadavg", "0.50 1.25 2.00 1/99 12345\n"),
    ]);
    tree.hang("sys/class/hwmon/hwmon0/temp1_input");
    let mut metrics = tree.metrics();
    for _ in 0..5 {
        let host = metrics.read(5_000);
        assert_eq!((host.temperature_c, host.fan_rpm, host.load_1), (None, Some(1_200), Some(0.5)));
    }
    // Opens once the reader has opened it.
    fs::write(tree.path("sys/class/hwmon/hwmon0/temp1_input"), "47000\n").unwrap();
    while metrics.read(0).temperature_c.is_none() {
        thread::yield_now();
    }
    assert_eq!(metrics.read(0).temperature_c, Some(47.0));
    assert_eq!(metrics.read(15_001).temperature_c, None, "it hangs again, and its last value is old");
}

#[test]
fn whatever_hangs_the_agent_goes_on_and_ends_when_it_is_asked_to() {
    let hanging = [
        ("sys/class/hwmon/hwmon0/temp1_input", "temperature_c"),
        ("sys/class/hwmon/hwmon0/fan1_input", "fan_rpm"),
        ("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "cpu_mhz"),
        ("proc/self/mountinfo", "disk_total_bytes"),
        ("proc/meminfo", "load_1"),
    ];
    thread::scope(|scope| {
        for (file, lost) in hanging {
            scope.spawn(move || goes_on_without(file, lost));
        }
    });
}

fn goes_on_without(file: &str, lost: &str) {
    let tree = Tree::new(&[
        ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "50000\n"),
        ("sys/class/hwmon/hwmon0/fan1_input", "1200\n"),
        ("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "2000000\n"),
        ("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 8000000 kB\n"),
        ("proc/loadavg", "0.50 1.25 2.00 1/99 12345\n"),
    ]);
    tree.hang(file);
    let mut agent = Command::new(env!("CARGO_BIN_EXE_tidemap-agent"))
        .args(["--node", "made", "--dry-run", "--interval", "0.25"])
        .args(tree.roots())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(agent.stdout.take().unwrap()).lines();
    let mut report = || serde_json::from_str::<Report>(&lines.next().unwrap().unwrap()).unwrap();
    let host = serde_json::to_value(report().samples.remove(0).host.unwrap()).unwrap();
    for metric in ["temperature_c", "fan_rpm", "cpu_mhz", "disk_total_bytes", "load_1"] {
        assert_eq!(host.get(metric).is_none(), metric == lost, "{file}, {metric}: {host}");
    }
    for seq in 2..=4 {
        assert_eq!(report().samples[0].seq, seq, "{file}");
    }
    assert!(Command::new("kill").arg(agent.id().to_string()).status().unwrap().success());
    let (ended, end) = sync_channel(1);
    thread::spawn(move || ended.send(agent.wait().unwrap().success()));
    assert_eq!(end.recv_timeout(Duration::from_secs(30)), Ok(true), "{file}: it does not end");
}
