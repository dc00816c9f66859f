//! Made sysfs and procfs trees, and the agent's program on them.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;
use tidemap_wire::Report;

/// A tree with the folders `sys` and `proc`.
pub(crate) struct Tree {
    pub(crate) root: TempDir,
    next_index: u32,
}

/// An agent that prints reports of a tree; killed on drop.
pub(crate) struct Agent {
    pub(crate) child: Child,
    /// `None` once the output is no longer read.
    pub(crate) lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sys/class/net")).unwrap();
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        let mut tree = Self { root, next_index: 1 };
        tree.link("lo").put("lo", "type", "772");
        tree
    }

    pub(crate) fn net(&self, name: &str) -> PathBuf {
        self.root.path().join("sys/class/net").join(name)
    }

    /// An interface that is up and has nothing behind it.
    pub(crate) fn link(&mut self, name: &str) -> &mut Self {
        fs::create_dir_all(self.net(name).join("statistics")).unwrap();
        let index = self.next_index.to_string();
        self.next_index += 1;
        for (file, text) in [("ifindex", &*index), ("iflink", &index), ("type", "1"), ("flags", "0x1003")] {
            self.put(name, file, text);
        }
        self.put(name, "operstate", "up").count(name, 0, 0)
    }

    /// An interface with a device on the PCI bus behind it.
    pub(crate) fn device(&mut self, name: &str) -> &mut Self {
        self.device_on(name, "pci", "e1000e")
    }

    /// An interface with a device on some bus behind it.
    pub(crate) fn device_on(&mut self, name: &str, bus: &str, driver: &str) -> &mut Self {
        self.link(name);
        let bus = self.root.path().join("sys/bus").join(bus);
        let driver = bus.join("drivers").join(driver);
        let device = self.root.path().join("sys/devices").join(name);
        fs::create_dir_all(&driver).unwrap();
        fs::create_dir_all(&device).unwrap();
        symlink(&bus, device.join("subsystem")).unwrap();
        symlink(driver, device.join("driver")).unwrap();
        symlink(&device, self.net(name).join("device")).unwrap();
        self
    }

    pub(crate) fn put(&mut self, name: &str, file: &str, text: &str) -> &mut Self {
        fs::write(self.net(name).join(file), format!("{text}\n")).unwrap();
        self
    }

    pub(crate) fn kind(&mut self, name: &str, kind: &str) -> &mut Self {
        self.put(name, "uevent", &format!("DEVTYPE={kind}\nINTERFACE={name}"))
    }

    /// Layers one interface on another.
    pub(crate) fn rides(&mut self, upper: &str, lower: &str) -> &mut Self {
        symlink(self.net(lower), self.net(upper).join(format!("lower_{lower}"))).unwrap();
        symlink(self.net(upper), self.net(lower).join(format!("upper_{upper}"))).unwrap();
        self
    }

    /// Makes one interface a port of another.
    pub(crate) fn port(&mut self, port: &str, master: &str) -> &mut Self {
        symlink(self.net(master), self.net(port).join("master")).unwrap();
        self.rides(master, port)
    }

    pub(crate) fn default_route(&mut self, name: &str) -> &mut Self {
        let route =
            format!("Iface\tDestination\n{name}\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
        fs::write(self.root.path().join("proc/net/route"), route).unwrap();
        self
    }

    /// The default route of a host without IPv4.
    pub(crate) fn ipv6_default_route(&mut self, name: &str) -> &mut Self {
        let zero = "0".repeat(32);
        let gateway = format!("fe80{}1", "0".repeat(27));
        let route = |length, next: &str, metric, flags, name| {
            format!("{zero} {length} {zero} 00 {next} {metric} 00000001 00000000 {flags} {name:>8}\n")
        };
        let table = route("00", &zero, "ffffffff", "00200200", "lo")
            + &route("08", &zero, "00000100", "00000001", "tun9")
            + &route("00", &gateway, "00000400", "00000003", name);
        fs::write(self.root.path().join("proc/net/ipv6_route"), table).unwrap();
        self
    }

    /// Each file is replaced in one step, because the kernel never shows a half-written counter.
    pub(crate) fn count(&mut self, name: &str, rx_bytes: u64, tx_bytes: u64) -> &mut Self {
        for (file, bytes) in [("rx_bytes", rx_bytes), ("tx_bytes", tx_bytes)] {
            let path = self.net(name).join("statistics").join(file);
            fs::write(path.with_extension("new"), format!("{bytes}\n")).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }
        self
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemap-agent"));
        command.args(["--sysfs-root"]).arg(self.root.path().join("sys"));
        command.args(["--procfs-root"]).arg(self.root.path().join("proc"));
        command.args(["--node", "made"]).args(args);
        command
    }

    /// The output of `--explain`.
    pub(crate) fn explained(&self, args: &[&str]) -> String {
        let output = self.command(&[&["--explain"], args].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The names of the interfaces that count according to `--explain`.
    pub(crate) fn counted(&self) -> Vec<String> {
        self.counted_with(&[])
    }

    pub(crate) fn counted_with(&self, args: &[&str]) -> Vec<String> {
        let row = |line: &str| {
            let mut words = line.split_whitespace();
            let name = words.next()?.to_owned();
            (words.next()? == "yes").then_some(name)
        };
        self.explained(args).lines().skip(1).take_while(|line| !line.is_empty()).filter_map(row).collect()
    }

    pub(crate) fn agent(&self) -> Agent {
        self.agent_with(&[])
    }

    pub(crate) fn agent_with(&self, flags: &[&str]) -> Agent {
        let flags = [&["--dry-run", "--interval", "0.25"], flags].concat();
        let mut child = self.command(&flags).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Agent { child, lines: Some(lines) }
    }
}

impl Agent {
    pub(crate) fn report(&mut self) -> Report {
        serde_json::from_str(&self.lines.as_mut().unwrap().next().unwrap().unwrap()).unwrap()
    }

    /// Reads reports until one is as wanted; reports from before a change may still come first.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Report) -> bool) -> Report {
        // A minute's, as those from before the change are many after a test that stood still.
        for _ in 0..240 {
            let report = self.report();
            if wanted(&report) {
                return report;
            }
        }
        panic!("no such report within a minute");
    }

    /// Reads reports until one is as wanted, which the second sample after a change at this time must be at
    /// the latest: the agent may have looked before, and read its clock after.
    pub(crate) fn at_once(&mut self, changed_ms: i64, wanted: impl Fn(&Report) -> bool) -> Report {
        loop {
            let reports = [self.report(), self.report()];
            if let Some(report) = reports.iter().find(|report| wanted(report)) {
                return report.clone();
            }
            assert!(reports[0].samples[0].at_ms <= changed_ms, "the change is not noticed: {reports:?}");
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Some agents have ended by themselves.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The interfaces that count according to a report.
pub(crate) fn counted(report: &Report) -> Vec<&str> {
    let interfaces = &report.hello.as_ref().unwrap().interfaces;
    interfaces.iter().filter(|one| one.counted).map(|one| one.name.as_str()).collect()
}
