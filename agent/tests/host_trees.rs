//! Host metrics on made procfs and sysfs trees: each metric is present if its file is, and absent – never 0 –
//! if not.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, fs};

use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidemap_agent::{
    AgentArgs, AgentConfig,
    internals::{Addresses, ErrorCounts, HostMetrics, Identity, Kernel, Topology},
};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    agent: AgentArgs,
}

/// Every file that a metric comes from, with its first content.
const FILES: [(&str, &str); 16] = [
    ("proc/stat", "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\n"),
    ("proc/meminfo", MEMORY),
    ("proc/loadavg", "0.50 1.25 2.00 1/99 12345\n"),
    ("proc/uptime", "86400.50 1000.00\n"),
    ("proc/diskstats", " 254 0 vda 10 0 100 5 20 0 200 5 0 0 0\n 254 1 vda1 10 0 90 5 20 0 190 5 0 0 0\n"),
    ("proc/net/snmp", "Tcp: RtoMin RetransSegs InErrs\nTcp: 200 1000 0\n"),
    ("proc/1/stat", ""),
    ("proc/4711/stat", ""),
    ("sys/block/vda/device/model", ""),
    ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
    ("sys/class/hwmon/hwmon0/temp1_input", "52500\n"),
    ("sys/class/hwmon/hwmon1/fan1_input", "1200\n"),
    ("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "2400000\n"),
    ("sys/devices/system/cpu/cpufreq/policy1/scaling_cur_freq", "3600000\n"),
    ("sys/class/net/eth0/statistics/rx_bytes", "1\n"),
    ("sys/class/net/eth0/statistics/tx_bytes", "1\n"),
];
const MEMORY: &str = "MemTotal: 1000 kB\nMemAvailable: 600 kB\nSwapTotal: 100 kB\nSwapFree: 75 kB\n";

struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (file, text) in FILES {
            tree.write(file, text);
        }
        tree
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Makes a file unreadable. A folder in its place fails for root, too.
    fn spoil(&self, file: &str) {
        fs::remove_file(self.0.path().join(file)).unwrap();
        fs::create_dir(self.0.path().join(file)).unwrap();
    }

    fn config(&self) -> AgentConfig {
        let folder = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        let roots = ["--sysfs-root", &folder("sys"), "--procfs-root", &folder("proc")];
        AgentConfig::new(Cli::parse_from([&["agent", "--node", "made"], &roots[..]].concat()).agent).unwrap()
    }

    /// The metrics two seconds after the first reading. In that time the host was a quarter busy, used its
    /// disk and retransmitted seven segments.
    fn host(&self, spoiled: &str) -> Value {
        let mut metrics = HostMetrics::new(&self.config());
        if spoiled != "proc/stat" {
            self.write("proc/stat", "cpu  120 0 55 870 55 0 0 0 0 0\ncpu0 1\ncpu1 1\n");
        }
        if spoiled != "proc/diskstats" {
            self.write("proc/diskstats", " 254 0 vda 10 0 300 5 20 0 1200 5 0 0 0\n");
        }
        if spoiled != "proc/net/snmp" {
            self.write("proc/net/snmp", "Tcp: RtoMin RetransSegs InErrs\nTcp: 200 1007 0\n");
        }
        serde_json::to_value(metrics.read(2_000)).unwrap()
    }
}

fn names(host: &Value) -> BTreeSet<&str> {
    host.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_metric_has_the_value_of_its_file() {
    let mut host = Tree::new().host("");
    // The root file system is this machine's own.
    let disk = ["disk_used_bytes", "disk_total_bytes"]
        .map(|name| host.as_object_mut().unwrap().remove(name).unwrap().as_u64().unwrap());
    assert!(0 < disk[0] && disk[0] <= disk[1], "{disk:?}");
    let expected = json!({
        "cpu_percent": 25.0, "cpu_count": 2, "cpu_mhz": 3000,
        "memory_used_bytes": 400 * 1024, "memory_total_bytes": 1000 * 1024,
        "swap_used_bytes": 25 * 1024, "swap_total_bytes": 100 * 1024,
        "disk_read_bps": 200.0 * 512.0 / 2.0, "disk_write_bps": 1000.0 * 512.0 / 2.0,
        "load_1": 0.5, "load_5": 1.25, "load_15": 2.0,
        "uptime_s": 86_400, "temperature_c": 52.5, "fan_rpm": 1200, "processes": 2,
        "tcp_retransmits": 7,
    });
    assert_eq!(host, expected);
}

#[test]
fn a_metric_that_cannot_be_read_is_absent_and_takes_no_other_with_it() {
    let whole = Tree::new().host("");
    let check = |file: &str, missing: &[&str]| {
        for garbled in [false, true] {
            let tree = Tree::new();
            if garbled {
                tree.write(file, "garbage\n");
            } else {
                tree.spoil(file);
            }
            let host = tree.host(file);
            let lost: Vec<_> = names(&whole).difference(&names(&host)).copied().collect();
            assert_eq!(lost, missing, "{file}, garbled: {garbled}");
        }
    };
    check("proc/stat", &["cpu_count", "cpu_percent"]);
    let memory = ["memory_total_bytes", "memory_used_bytes", "swap_total_bytes", "swap_used_bytes"];
    check("proc/meminfo", &memory);
    check("proc/loadavg", &["load_1", "load_15", "load_5"]);
    check("proc/uptime", &["uptime_s"]);
    check("proc/diskstats", &["disk_read_bps", "disk_write_bps"]);
    check("proc/net/snmp", &["tcp_retransmits"]);
    check("sys/class/hwmon/hwmon0/temp1_input", &["temperature_c"]);
    check("sys/class/hwmon/hwmon1/fan1_input", &["fan_rpm"]);
    check("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", &[]);
}

#[test]
fn without_readable_files_only_the_root_file_system_is_known() {
    let tree = Tree::new();
    for folder in ["proc", "sys"] {
        fs::remove_dir_all(tree.0.path().join(folder)).unwrap();
        fs::create_dir(tree.0.path().join(folder)).unwrap();
    }
    let host = serde_json::to_value(HostMetrics::new(&tree.config()).read(2_000)).unwrap();
    assert_eq!(names(&host), BTreeSet::from(["disk_total_bytes", "disk_used_bytes"]));
}

#[test]
fn a_fixed_frequency_is_read_from_cpuinfo() {
    let tree = Tree::new();
    fs::remove_dir_all(tree.0.path().join("sys/devices")).unwrap();
    tree.write(
        "proc/cpuinfo",
        "processor\t: 0\ncpu MHz\t\t: 2400.000\nprocessor\t: 1\ncpu MHz\t\t: 2600.000\n",
    );
    assert_eq!(tree.host("")["cpu_mhz"], 2500);
    tree.write("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 48.00\n");
    assert_eq!(tree.host("").get("cpu_mhz"), None);
}

#[test]
fn errors_and_drops_are_known_when_all_their_counters_are() {
    let tree = Tree::new();
    let kernel = Kernel::new(&tree.config()).unwrap();
    assert_eq!(kernel.error_counts("eth0"), None);
    for (file, count) in [("rx_errors", "1"), ("tx_errors", "2"), ("rx_dropped", "30"), ("tx_dropped", "40")]
    {
        tree.write(&format!("sys/class/net/eth0/statistics/{file}"), count);
    }
    assert_eq!(
        kernel.error_counts("eth0"),
        Some(ErrorCounts { rx_errors: 1, tx_errors: 2, rx_drops: 30, tx_drops: 40 })
    );
    tree.spoil("sys/class/net/eth0/statistics/tx_dropped");
    assert_eq!(kernel.error_counts("eth0"), None);
}

#[test]
fn a_host_reports_its_system_kernel_and_architecture() {
    let identity = Identity::of_host(&Tree::new().config());
    let hello = identity.hello(&Topology::default(), &[], &Addresses::default());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(hello.kernel.as_deref(), Some(release.trim()));
    assert_eq!(hello.arch.as_deref(), Some(std::env::consts::ARCH));
    assert!(hello.os.is_some() && !hello.hostname.is_empty());
    assert_eq!((hello.internal_ip, hello.external_ip, hello.addresses), (None, None, vec![]));
}
