//! What a sample costs, beside a bare read of two counters from sysfs: processor time of this thread and memory.
//!
//! `cargo bench -p tidemap-agent`. Figures with everything warm; `paced` is the real thing, with cold caches.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() {
    linux::run();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, hint::black_box, time::Duration};

    use clap::Parser;
    use tidemap_agent::{
        AgentArgs, AgentConfig, host::HostMetrics, identity::Addresses, kernel::Kernel, links::Links,
        outbox::Outbox, sampler::Sampler,
    };
    use tidemap_wire::encode;

    const ROUNDS: u32 = 1_000;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        agent: AgentArgs,
    }

    pub(super) fn run() {
        let config = AgentConfig::new(Cli::parse_from(["agent"]).agent).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let kernel = Kernel::new(&config).unwrap();
        let names = kernel.names().unwrap();
        let mut host = HostMetrics::new(&config);
        let mut sampler = Sampler::start(&config).unwrap();
        let mut links = Links::new(&config).unwrap();
        let mut outbox = Outbox::new(config.node, 1);

        let bare = cost(|| {
            for file in ["rx_bytes", "tx_bytes"] {
                black_box(fs::read_to_string(format!("/sys/class/net/lo/statistics/{file}")).unwrap());
            }
        });
        println!("{:>9.1} µs  bare read of two counters", bare);
        print("names of the interfaces", bare, cost(|| _ = black_box(kernel.names())));
        print("topology", bare, cost(|| _ = black_box(kernel.topology(&names, |_| None))));
        print("addresses", bare, cost(|| _ = black_box(Addresses::of_host())));
        print("host metrics", bare, cost(|| _ = black_box(host.read(5_000))));
        let mut sampled = || {
            let seen = sampler.sample();
            outbox.push(seen.sample, seen.hello, 0);
            let parcel = outbox.next(0).unwrap();
            black_box(encode(&parcel.report));
            outbox.acknowledged(parcel.id);
        };
        print("sample, as a report", bare, cost(&mut sampled));

        print("host metrics, paced", bare, paced(|| _ = black_box(host.read(5_000))));
        print("thorough look, paced", bare, paced(|| _ = black_box(links.look(true))));
        print("sample, paced, all included", bare, paced(sampled));
        let status = fs::read_to_string("/proc/self/status").unwrap();
        println!("{}", status.lines().find(|line| line.starts_with("VmRSS")).unwrap());
    }

    fn print(what: &str, bare_us: f64, us: f64) {
        println!("{us:>9.1} µs  {what} ({:.1} × bare)", us / bare_us);
    }

    /// Microseconds of this thread's processor time per call.
    fn cost(mut call: impl FnMut()) -> f64 {
        let before = thread_us();
        for _ in 0..ROUNDS {
            call();
        }
        (thread_us() - before) / f64::from(ROUNDS)
    }

    /// The same with pauses between the calls, in which others use the caches.
    fn paced(mut call: impl FnMut()) -> f64 {
        let before = thread_us();
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(200));
            call();
        }
        (thread_us() - before) / 50.0
    }

    fn thread_us() -> f64 {
        let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        told.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1000.0
    }
}
