//! Real traffic through real interfaces, in network namespaces of our own: a bridge with three containers
//! behind it. They are counted once, and probed.
//!
//! Not run by the usual test harness, because this program also sends and receives inside the namespaces.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    let args: Vec<_> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("sink") => linux::sink(&args[2]),
        Some("listen") => linux::listen(&args[2]),
        Some("source") => linux::source(&args[2], args[3].parse().unwrap()),
        // Test runners list the tests in this way.
        Some("--list") => println!("traffic_is_counted_once: test"),
        _ => linux::traffic_is_counted_once(),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        io::{BufRead, BufReader, Lines, Read},
        net::{TcpListener, UdpSocket},
        process::{Child, ChildStdout, Command, Stdio},
    };

    use tidemap_wire::{Bps, Probe, Report};

    const DATAGRAMS: u64 = 3_000;
    const PAYLOAD_BYTES: usize = 1_400;
    /// With the headers of UDP (8) and IP (20), as a bridge counts what it receives. A sending interface adds
    /// 14 bytes of Ethernet header, nearly 1 %; counters never include preamble, checksum and gap.
    const DATAGRAM_BYTES: u64 = 1_428;

    /// Receives datagrams and discards them until standard input ends.
    pub(super) fn sink(address: &str) {
        let socket = UdpSocket::bind(address).unwrap();
        println!("{}", socket.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut datagram = [0; 2048];
            while socket.recv(&mut datagram).is_ok() {}
        });
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }

    /// Accepts connections until standard input ends.
    pub(super) fn listen(address: &str) {
        let listener = TcpListener::bind(address).unwrap();
        println!("{}", listener.local_addr().unwrap());
        std::thread::spawn(move || while listener.accept().is_ok() {});
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }

    /// Sends datagrams.
    pub(super) fn source(address: &str, datagrams: u64) {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..datagrams {
            socket.send_to(&[7; PAYLOAD_BYTES], address).unwrap();
        }
    }

    pub(super) fn traffic_is_counted_once() {
        let Some(lab) = Lab::new() else { return };
        let mut sink = lab.spawn("host", &[&this(), "sink", "10.213.0.1:0"]);
        let address = sink.lines.next().unwrap().unwrap();
        let mut on_host = lab.spawn_agent("host");
        let mut in_container = lab.spawn_agent("c1");
        // Both agents have taken their baselines once their first reports are out.
        let mut host_sum = Sum::of(&on_host.report(), "br0");
        let mut container_sum = Sum::of(&in_container.report(), "eth0");
        let kernel_before = lab.kernel_rx_bytes("host", "br0");
        for container in ["c1", "c2", "c3"] {
            lab.run(container, &[&this(), "source", &address, &DATAGRAMS.to_string()]);
        }
        let kernel = lab.kernel_rx_bytes("host", "br0") - kernel_before;
        host_sum.read_until(&mut on_host, |sum| sum.rx_bytes >= kernel);
        container_sum.read_until(&mut in_container, |sum| sum.tx_bytes >= DATAGRAMS * DATAGRAM_BYTES);

        let near = |what: &str, reported: u64, truth: u64, per_mille: u64| {
            assert!(
                reported.abs_diff(truth) * 1000 <= truth * per_mille,
                "{what}: reported {reported}, true {truth}"
            );
            println!("{what}: reported {reported}, true {truth}: ok");
        };
        near(
            "host, bytes sent by its three containers",
            host_sum.rx_bytes,
            3 * DATAGRAMS * DATAGRAM_BYTES,
            10,
        );
        near("host, sum of rate × time against the kernel", host_sum.rx_by_rates, kernel, 1);
        near("container, bytes sent", container_sum.tx_bytes, DATAGRAMS * DATAGRAM_BYTES, 10);
        lab.counts_its_ipv6_way_out("c3");
        near("container, sum of rate × time", container_sum.tx_by_rates, container_sum.tx_bytes, 0);
        drop((on_host, in_container));
        probes_tell_answers_from_loss_and_from_what_is_forbidden(&lab);
    }

    /// One container answers, one drops echo requests, one address is nobody's.
    fn probes_tell_answers_from_loss_and_from_what_is_forbidden(lab: &Lab) {
        lab.run("host", &["ip", "addr", "add", "fd00:213::1/64", "dev", "br0", "nodad"]);
        lab.run("c2", &["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"]);
        lab.run("host", &["sysctl", "-qw", "net.ipv4.ping_group_range=0 65535"]);
        let mut sink = lab.spawn("c1", &[&this(), "listen", "10.213.0.11:0"]);
        let address = sink.lines.next().unwrap().unwrap();
        let [answered, open] = ["icmp://10.213.0.11".to_owned(), format!("tcp://{address}")];
        let [version_6, drops] = ["icmp://[fd00:213::3]", "icmp://10.213.0.12"].map(str::to_owned);
        let [nobody, refused] = ["icmp://10.213.0.99", "tcp://10.213.0.11:1"].map(str::to_owned);
        let targets = [&answered, &open, &version_6, &drops, &nobody, &refused];
        let args = targets.map(|target| ["--probe", target]).concat();
        let args = [&args[..], &["--probe-interval", "5"]].concat();
        let found = lab.spawn_agent_with("host", &args).probes();
        let probe = |target: &str| found.iter().find(|probe| probe.target == target).unwrap();
        for target in [&answered, &open, &version_6] {
            let probe = probe(target);
            assert!(probe.sent > 0 && probe.lost == 0 && probe.failure.is_none(), "{probe:?}");
            let times = [probe.min_ms, probe.median_ms, probe.max_ms].map(Option::unwrap);
            assert!(times[0] > 0.0 && times.is_sorted() && times[2] < 4_000.0, "{probe:?}");
        }
        for target in [&drops, &nobody, &refused] {
            let probe = probe(target);
            assert!(probe.sent > 0 && probe.lost == probe.sent, "{probe:?}");
            let times = [probe.min_ms, probe.median_ms, probe.max_ms, probe.jitter_ms];
            assert_eq!((times, &probe.failure), ([None; 4], &None), "{probe:?}");
        }
        // Where the host forbids it, nothing is said about the target.
        lab.run("host", &["sysctl", "-qw", "net.ipv4.ping_group_range=1 0"]);
        let found = lab.spawn_agent_with("host", &["--probe", &answered]).probes();
        let [probe] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((probe.sent, probe.lost, probe.median_ms), (0, 0, None), "{probe:?}");
        assert!(probe.failure.as_ref().unwrap().contains("ping_group_range"), "{probe:?}");
        println!("probes: answered, lost and forbidden: ok");
    }

    /// What an agent has reported so far.
    struct Sum {
        rx_bytes: u64,
        tx_bytes: u64,
        rx_by_rates: u64,
        tx_by_rates: u64,
    }

    impl Sum {
        /// Begins with the first report, which must count this interface and no other.
        fn of(report: &Report, counted: &str) -> Self {
            let interfaces = &report.hello.as_ref().unwrap().interfaces;
            let names: Vec<_> =
                interfaces.iter().filter(|one| one.counted).map(|one| one.name.as_str()).collect();
            assert_eq!(names, [counted], "{interfaces:#?}");
            let mut sum = Self { rx_bytes: 0, tx_bytes: 0, rx_by_rates: 0, tx_by_rates: 0 };
            sum.add(report);
            sum
        }

        fn add(&mut self, report: &Report) {
            for sample in &report.samples {
                let bytes = |rate: Option<Bps>| rate.unwrap().bytes_in(sample.elapsed_ms);
                self.rx_by_rates += bytes(sample.rx_bps);
                self.tx_by_rates += bytes(sample.tx_bps);
                (self.rx_bytes, self.tx_bytes) = (sample.rx_bytes, sample.tx_bytes);
            }
        }

        fn read_until(&mut self, agent: &mut Process, done: impl Fn(&Self) -> bool) {
            for _ in 0..240 {
                if done(self) {
                    return;
                }
                self.add(&agent.report());
            }
            panic!("a minute on, the agent has reported {} in, {} out", self.rx_bytes, self.tx_bytes);
        }
    }

    /// A process in a namespace; killed on drop.
    struct Process {
        child: Child,
        lines: Lines<BufReader<ChildStdout>>,
    }

    impl Process {
        fn report(&mut self) -> Report {
            serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
        }

        /// The next minute of probes.
        fn probes(&mut self) -> Vec<Probe> {
            let mut reports = (0..240).map(|_| self.report());
            reports.find_map(|report| report.samples.into_iter().find_map(|sample| sample.probes)).unwrap()
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            // It may have ended by itself; either way it is gone now.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }

    /// Four namespaces: a host with a bridge, and three containers with one end of a pair each. Removed on
    /// drop.
    struct Lab {
        prefix: String,
    }

    impl Lab {
        /// `None`, with a message, if this user may not create namespaces.
        fn new() -> Option<Self> {
            let lab = Self { prefix: format!("tidemap-{}", std::process::id()) };
            let made = Command::new("ip").args(["netns", "add", &lab.name("host")]).output();
            let why = match made {
                Ok(output) if output.status.success() => {
                    lab.furnish();
                    return Some(lab);
                }
                Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
                Err(error) => error.to_string(),
            };
            assert!(
                !is_root(),
                "cannot make a network namespace though we are root (install iproute2?): {why}"
            );
            eprintln!("NOT TESTED: real traffic in network namespaces, because that takes root: {why}");
            None
        }

        fn furnish(&self) {
            self.run("host", &["ip", "link", "add", "br0", "type", "bridge"]);
            self.run("host", &["ip", "addr", "add", "10.213.0.1/24", "dev", "br0"]);
            self.run("host", &["ip", "link", "set", "br0", "up"]);
            self.run("host", &["ip", "route", "add", "default", "via", "10.213.0.254"]);
            for (number, container) in [(11, "c1"), (12, "c2"), (13, "c3")] {
                let (inside, port) = (self.name(container), format!("port{number}"));
                assert!(Command::new("ip").args(["netns", "add", &inside]).status().unwrap().success());
                self.run(
                    "host",
                    &["ip", "link", "add", &port, "type", "veth", "peer", "eth0", "netns", &inside],
                );
                self.run("host", &["ip", "link", "set", &port, "master", "br0", "up"]);
                self.run(container, &["ip", "addr", "add", &format!("10.213.0.{number}/24"), "dev", "eth0"]);
                self.run(container, &["ip", "link", "set", "eth0", "up"]);
                self.run(container, &["ip", "route", "add", "default", "via", "10.213.0.1"]);
            }
        }

        /// Removes a container's IPv4 addresses, so that only IPv6 is left.
        fn counts_its_ipv6_way_out(&self, container: &str) {
            let explained = || {
                let binary = env!("CARGO_BIN_EXE_tidemap-agent");
                let table = self.run(container, &[binary, "--explain", "--node", container]);
                table.lines().find(|line| line.starts_with("eth0")).unwrap().to_owned()
            };
            self.run(container, &["ip", "-4", "addr", "flush", "dev", "eth0"]);
            assert!(explained().contains(" no "), "no way out, nothing counts: {}", explained());
            self.run(container, &["ip", "addr", "add", "fd00:213::3/64", "dev", "eth0", "nodad"]);
            self.run(container, &["ip", "-6", "route", "add", "default", "via", "fd00:213::1"]);
            assert!(
                explained().contains(" yes ") && explained().contains("default route"),
                "{}",
                explained()
            );
            println!("container with IPv6 alone: {}", explained());
        }

        fn name(&self, namespace: &str) -> String {
            format!("{}-{namespace}", self.prefix)
        }

        fn command(&self, namespace: &str, args: &[&str]) -> Command {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &self.name(namespace)]).args(args);
            command
        }

        fn run(&self, namespace: &str, args: &[&str]) -> String {
            let output = self.command(namespace, args).output().unwrap();
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }

        fn spawn(&self, namespace: &str, args: &[&str]) -> Process {
            let mut command = self.command(namespace, args);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            Process { child, lines }
        }

        fn spawn_agent(&self, namespace: &str) -> Process {
            self.spawn_agent_with(namespace, &[])
        }

        fn spawn_agent_with(&self, namespace: &str, more: &[&str]) -> Process {
            let binary = env!("CARGO_BIN_EXE_tidemap-agent");
            let usual = [binary, "--dry-run", "--interval", "0.25", "--node", namespace];
            self.spawn(namespace, &[&usual, more].concat())
        }

        fn kernel_rx_bytes(&self, namespace: &str, interface: &str) -> u64 {
            let path = format!("/sys/class/net/{interface}/statistics/rx_bytes");
            self.run(namespace, &["cat", &path]).trim().parse().unwrap()
        }
    }

    impl Drop for Lab {
        fn drop(&mut self) {
            for namespace in ["c1", "c2", "c3", "host"] {
                // Removing namespaces that were never created fails; the message is suppressed.
                drop(Command::new("ip").args(["netns", "del", &self.name(namespace)]).output());
            }
        }
    }

    fn this() -> String {
        std::env::current_exe().unwrap().to_str().unwrap().to_owned()
    }

    fn is_root() -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().any(|line| line.split_whitespace().take(3).eq(["Uid:", "0", "0"]))
    }
}
