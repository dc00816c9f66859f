//! The cost of a sample, compared with a bare read of two counters from sysfs.
//!
//! `cargo bench -p tidemap-agent --bench sample`. First the parts, as processor time of this thread: with
//! warm caches, and `paced`, with caches that other processes have used meanwhile. Then the whole: the
//! agent's program with all features, one sample a second against a real broker for a minute; its processor
//! time and memory are the kernel's figures.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    println!("{}", tidemap_testkit::machine::speed());
    linux::parts();
    linux::program();
    println!("{}", tidemap_testkit::machine::speed());
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        hint::black_box,
        process::{Child, Command, Stdio},
        time::Duration,
    };

    use clap::Parser;
    use tidemap_agent::{
        AgentArgs, AgentConfig,
        internals::{Addresses, HostMetrics, Kernel, Links, Sampler},
        outbox::Outbox,
    };
    use tidemap_broker::{
        Broker, BrokerConfig,
        keys::{self, Keys},
    };
    use tidemap_service::{
        nats::{NatsArgs, reached},
        streams,
    };
    use tidemap_wire::{NodeId, PartitionCount, encode};

    const ROUNDS: u32 = 1_000;
    /// Long enough for everything that happens rarely: addresses once a minute, host metrics every five
    /// seconds.
    const SAMPLES: u32 = 60;
    /// The goals, in microseconds and kilobytes.
    const GOAL_US: f64 = 500.0;
    const GOAL_KB: u64 = 10 * 1024;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        agent: AgentArgs,
    }

    pub(super) fn parts() {
        let config = AgentConfig::new(Cli::parse_from(["agent"]).agent).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let kernel = Kernel::new(&config).unwrap();
        let names = kernel.names().unwrap();
        let mut host = HostMetrics::new(&config);
        let mut sampler = Sampler::start(&config).unwrap();
        let mut links = Links::new(&config).unwrap();
        let mut outbox = Outbox::new(config.node, 1);

        let bare = cost(read_bare);
        head("The parts, processor time of each call");
        print("bare read of two counters", bare, bare);
        print("names of the interfaces", bare, cost(|| _ = black_box(kernel.names())));
        print("topology", bare, cost(|| _ = black_box(kernel.topology(&names, |_| None))));
        print("addresses", bare, cost(|| _ = black_box(Addresses::of_host())));
        print("host metrics", bare, cost(|| _ = black_box(host.read(5_000))));
        let mut sampled = || {
            let seen = sampler.sample();
            outbox.push(seen.sample, seen.hello, 0);
            let batch = outbox.next(0).unwrap();
            black_box(encode(&batch.report));
            outbox.acknowledged(batch.id, 0);
        };
        print("sample, as a report", bare, cost(&mut sampled));

        print("host metrics, paced", bare, paced(|| _ = black_box(host.read(5_000))));
        print("thorough look, paced", bare, paced(|| _ = black_box(links.look(true))));
        print("sample, paced, all included", bare, paced(sampled));
    }

    fn read_bare() {
        for file in ["rx_bytes", "tx_bytes"] {
            black_box(fs::read_to_string(format!("/sys/class/net/lo/statistics/{file}")).unwrap());
        }
    }

    /// An agent's process; killed on drop.
    struct Agent(Child);

    impl Agent {
        fn start(broker: &Broker, creds: &std::path::Path) -> Self {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tidemap-agent"));
            command.args(["--node", "bench", "--nats-url", &broker.url(), "--creds"]).arg(creds);
            Self(command.stdout(Stdio::null()).spawn().unwrap())
        }

        /// Processor time of all threads, in microseconds.
        fn cpu_us(&self) -> f64 {
            process_us(&self.0.id().to_string())
        }

        /// A field of `/proc/<pid>/status` in kilobytes: `VmRSS` is the present size, `VmHWM` the largest.
        fn kilobytes(&self, line: &str) -> u64 {
            let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
            let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':')).unwrap();
            value.trim().strip_suffix(" kB").unwrap().parse().unwrap()
        }
    }

    impl Drop for Agent {
        fn drop(&mut self) {
            // It may have ended by itself; either way it is gone now.
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }

    /// The program against a broker of its own, beside a thread that reads two counters at the same pace.
    pub(super) fn program() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let binary = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
            let keys = Keys::open_or_create(dir.path()).unwrap();
            let creds = keys::enroll(dir.path(), &NodeId::from_name("bench").unwrap()).unwrap().seed_path;
            let config = BrokerConfig { dir: dir.path().to_owned(), listen: None, tls: None };
            let mut broker = Broker::start(&binary, config).await.unwrap();
            let service = NatsArgs::new(&broker.url(), Some(&keys.service_seed_path()));
            let client = service.connect("bench", None).await.unwrap();
            reached(&client, Duration::from_secs(30)).await.unwrap();
            let js = async_nats::jetstream::new(client.clone());
            streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
            let mut reports = client.subscribe("tidemap.v1.sample.>").await.unwrap();

            let agent = Agent::start(&broker, &creds);
            // A few samples until everything is set up.
            for _ in 0..3 {
                futures_util::StreamExt::next(&mut reports).await.unwrap();
            }
            let before_us = agent.cpu_us();
            let bare =
                std::thread::spawn(|| paced_each(SAMPLES, Duration::from_secs(1), thread_us, read_bare));
            for _ in 0..SAMPLES {
                futures_util::StreamExt::next(&mut reports).await.unwrap();
            }
            let agent_us = (agent.cpu_us() - before_us) / f64::from(SAMPLES);
            let (rss_kb, peak_kb) = (agent.kilobytes("VmRSS"), agent.kilobytes("VmHWM"));
            drop(agent);
            broker.stop().await.unwrap();
            let bare_us = bare.join().unwrap();
            print_program(bare_us, agent_us, rss_kb, peak_kb);
        });
    }

    fn print_program(bare_us: f64, agent_us: f64, rss_kb: u64, peak_kb: u64) {
        head(&format!("The program, {SAMPLES} samples at one a second, against a broker"));
        print("bare read of two counters, at the same pace beside it", bare_us, bare_us);
        let goal_us = goal(agent_us <= GOAL_US, &format!("{GOAL_US} µs"));
        row(
            "a sample, everything included",
            &format!("{agent_us:.1} µs"),
            &ratio(bare_us, agent_us),
            &goal_us,
        );
        let goal_mb = goal(rss_kb <= GOAL_KB, &format!("{} MB", GOAL_KB / 1024));
        row("memory", &megabytes(rss_kb as f64 / 1024.0), "", &goal_mb);
        row("memory at most", &megabytes(peak_kb as f64 / 1024.0), "", "");
        print_size();
    }

    /// The size of the release build of the program, if there is one.
    fn print_size() {
        let here = std::path::Path::new(env!("CARGO_BIN_EXE_tidemap-agent"));
        let target = here.ancestors().nth(2).unwrap();
        let built = ["dist", "x86_64-unknown-linux-musl/dist", "aarch64-unknown-linux-musl/dist"]
            .map(|folder| target.join(folder).join("tidemap-agent"));
        let found: Vec<_> = built.iter().filter(|path| path.exists()).collect();
        for path in &found {
            let name = path.strip_prefix(target).unwrap().display();
            row(
                &format!("{name}, stripped"),
                &megabytes(fs::metadata(path).unwrap().len() as f64 / 1e6),
                "",
                "",
            );
        }
        if found.is_empty() {
            row("its size as handed out: build it by `cargo xtask dist` first", "", "", "");
        }
    }

    fn print(what: &str, bare_us: f64, us: f64) {
        row(what, &format!("{us:.1} µs"), &ratio(bare_us, us), "");
    }

    fn head(title: &str) {
        println!();
        row(title, "measured", "× bare", "goal");
    }

    fn row(what: &str, measured: &str, ratio: &str, goal: &str) {
        println!("{what:<66} {measured:>10} {ratio:>7}  {goal}");
    }

    fn ratio(bare_us: f64, us: f64) -> String {
        format!("{:.1}", us / bare_us)
    }

    fn megabytes(count: f64) -> String {
        format!("{count:.1} MB")
    }

    fn goal(met: bool, most: &str) -> String {
        format!("≤ {most}: {}", if met { "met" } else { "MISSED" })
    }

    /// Microseconds of this process's processor time per call: host metrics are read in threads.
    fn cost(mut call: impl FnMut()) -> f64 {
        let before = process_us("self");
        for _ in 0..ROUNDS {
            call();
        }
        (process_us("self") - before) / f64::from(ROUNDS)
    }

    /// The same with pauses between the calls, in which other processes use the caches.
    fn paced(call: impl FnMut()) -> f64 {
        paced_each(50, Duration::from_millis(200), || process_us("self"), call)
    }

    fn paced_each(times: u32, pause: Duration, clock_us: impl Fn() -> f64, mut call: impl FnMut()) -> f64 {
        let before = clock_us();
        for _ in 0..times {
            std::thread::sleep(pause);
            call();
        }
        (clock_us() - before) / f64::from(times)
    }

    fn thread_us() -> f64 {
        schedstat_us("/proc/thread-self/schedstat".as_ref())
    }

    /// Of all threads.
    fn process_us(process: &str) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        tasks.map(|task| schedstat_us(&task.unwrap().path().join("schedstat"))).sum()
    }

    fn schedstat_us(file: &std::path::Path) -> f64 {
        let text = fs::read_to_string(file).unwrap();
        text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1000.0
    }
}
