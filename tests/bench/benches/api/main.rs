//! The API's throughput, latency and cost: `cargo xtask bench api`.
//!
//! Real processes around a real broker. Things that are compared are measured in turns, in one run, by the
//! same client. Goals stand beside the figures, and a missed one makes the exit code 1. `-- --quick` measures
//! for a shorter time, `-- stats` and the like measure a part. Everything shares this machine's cores,
//! including this client.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

mod audience;
mod services;
mod trivial;

use std::{ops::Range, process::ExitCode, time::Duration};

use tidemap_bench::table::{Goal, Table};
use tidemap_testkit::{
    client::{Connection, Load, load, quantile, request},
    nginx::Nginx,
    probe,
    stream::{self, EventStream},
    usage,
};
use tidemap_wire::timing::{READER_OFFSET, TICK};
use tokio::time::{Instant, sleep};

use audience::Audience;
use services::Services;
use trivial::{Kind, Trivial};

/// The fleet of the goals for bodies and latency.
const NODES: u32 = 10_000;
/// The fleet of the goals for many clients.
const NODES_OF_MANY: u32 = 1_000;
/// Connections that ask for a large body, and for a small one.
const LARGE_CONNECTIONS: usize = 8;
const SMALL_CONNECTIONS: usize = 64;
/// What a core answers of small requests, beside a server that does nothing else. Where that one answers
/// 100,000, this is 50,000.
const STATS_RATIO: f64 = 0.5;
/// Lists that no client reads, 1,600 MB of them, and the megabytes that the API may take for them: its budget
/// for lists, and at most as much again for lists that are being built and for what its allocator keeps.
const UNREAD: usize = 100;
const UNREAD_MB: f64 = 1_000.0;

/// What may be measured alone, by naming it; further there is `streams`.
const LATENCY: &str = "latency";
const BODIES: &str = "bodies";
const STATS: &str = "stats";
const PARTS_OF_LARGE: [&str; 3] = [LATENCY, BODIES, STATS];

/// How long everything takes.
struct Plan {
    rounds: u32,
    round: Duration,
    samples: u64,
    clients: usize,
    listening: Duration,
}

const FULL: Plan = Plan {
    rounds: 3,
    round: Duration::from_secs(3),
    samples: 240,
    clients: 5_000,
    listening: Duration::from_secs(20),
};
const QUICK: Plan = Plan {
    rounds: 1,
    round: Duration::from_secs(1),
    samples: 40,
    clients: 500,
    listening: Duration::from_secs(5),
};

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [argument, more @ ..] = &args[..]
        && argument == trivial::ARGUMENT
    {
        trivial::serve(more).await.unwrap();
    }
    let plan = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
    // The API has a file for each client, and so does this process.
    usage::raise_file_limit(plan.clients as u64 + 1_000).unwrap();
    let mut table = Table::begin();
    let begun = Instant::now();
    let wants = |part: &str| args.iter().all(|arg| arg.starts_with("--") || arg == part);
    if PARTS_OF_LARGE.into_iter().any(wants) {
        large_fleet(&plan, &mut table, wants).await.unwrap();
    }
    if wants("streams") {
        many_clients(&plan, &mut table).await.unwrap();
    }
    eprintln!("{:.0} s", begun.elapsed().as_secs_f64());
    if table.end("api.json").unwrap() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is measured over 10,000 nodes.
async fn large_fleet(plan: &Plan, table: &mut Table, wants: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    eprintln!("{NODES} nodes, one report a second each");
    let mut services = Services::start(NODES).await?;
    if wants(LATENCY) {
        latency(plan, &services, table).await?;
    }
    if wants(BODIES) {
        largest_delta(&services, table).await?;
        bodies(plan, &services, table).await?;
    }
    if wants(STATS) {
        stats(plan, &services, table).await?;
    }
    if wants(BODIES) {
        unread_lists(&services, table).await?;
    }
    services.silence_fleet().await
}

/// Sample to event, beside what no program can make shorter: the broker stores a sample, which the
/// acknowledgements of the same samples time, and then it waits for its worker's tick, at most a whole one,
/// and for the API's.
async fn latency(plan: &Plan, services: &Services, table: &mut Table) -> anyhow::Result<()> {
    let probed = probe::measure(services.reporter().await?, services.address, plan.samples).await?;
    let what = |what: &str| format!("sample to event: {what}");
    table.note(what("samples"), probed.latencies_us.len() as f64, "", Goal::None);
    table.note(what("samples without one"), probed.lost as f64, "", Goal::AtMost(0.0));
    for (name, share, ticks, goal) in [("p50", 0.5, 0.5, 1.2), ("p99", 0.99, 1.0, 1.4)] {
        let ms = |times_us| quantile(times_us, share) as f64 / 1_000.0;
        let waiting_ms = (TICK.mul_f64(ticks) + READER_OFFSET).as_secs_f64() * 1_000.0;
        let least_ms = waiting_ms + ms(&probed.acks_us);
        table.note(what(name), ms(&probed.latencies_us), "ms", Goal::None);
        table.note(what(&format!("ticks and acknowledgement, {name}")), least_ms, "ms", Goal::None);
        let ratio = ms(&probed.latencies_us) / least_ms;
        table.note(what(&format!("ratio, {name}")), ratio, "", Goal::AtMost(goal));
    }
    Ok(())
}

/// All nodes in one delta, as after a pause of the API that was longer than the nodes' interval.
async fn largest_delta(services: &Services, table: &mut Table) -> anyhow::Result<()> {
    for (coding, goal) in [("identity", 100_000.0), ("gzip", 40_000.0)] {
        let mut stream = EventStream::open(services.address, coding).await?;
        let mut beginning = Vec::new();
        let opened = Instant::now();
        // The stream opens with a snapshot, whose size is not measured.
        while opened.elapsed() < Duration::from_secs(2) {
            stream.frame(&mut beginning, 0).await?;
        }
        services.api.freeze()?;
        sleep(Duration::from_millis(1_500)).await;
        services.api.thaw()?;
        let (mut largest, thawed) = (0, Instant::now());
        while thawed.elapsed() < Duration::from_secs(2) {
            largest = largest.max(stream.frame(&mut beginning, 0).await?);
        }
        let answered = if coding == "gzip" && !stream.is_gzip { " asked for, not given" } else { "" };
        table.note(format!("largest delta, {coding}{answered}"), largest as f64, "bytes", Goal::AtMost(goal));
    }
    Ok(())
}

/// How nginx serves `nodes.json`, at its fastest.
const FROM_FILES: &str = "sendfile on; tcp_nopush on; gzip_static on; keepalive_timeout 600s;
    keepalive_requests 1000000000; open_file_cache max=10; types { application/json json; }";

/// All nodes as one body, beside nginx.
async fn bodies(plan: &Plan, services: &Services, table: &mut Table) -> anyhow::Result<()> {
    let mut connection = Connection::open(services.address).await?;
    let plain = connection.body(request("/api/nodes", "identity").as_bytes()).await?;
    let gzip = connection.body(request("/api/nodes", "gzip").as_bytes()).await?;
    let nginx = Nginx::start(FROM_FILES, &[("nodes.json", &plain), ("nodes.json.gz", &gzip)]).await?;
    for (coding, bytes) in [("identity", plain.len()), ("gzip", gzip.len())] {
        let (mut ours, mut theirs) = (Load::default(), Load::default());
        for _ in 0..plan.rounds {
            let ask = |address, path| async move {
                load(address, &request(path, coding), LARGE_CONNECTIONS, plan.round).await
            };
            ours.add(&ask(services.address, "/api/nodes").await?);
            theirs.add(&ask(nginx.address, "/nodes.json").await?);
        }
        let what = |what: &str| format!("GET /api/nodes, {coding}: {what}");
        table.note(what("body"), bytes as f64, "bytes", Goal::None);
        table.note(what("ours"), ours.per_second(), "requests/s", Goal::None);
        table.note(what("ours, p99"), ours.quantile_ms(0.99), "ms", Goal::None);
        table.note(what("nginx"), theirs.per_second(), "requests/s", Goal::None);
        table.note(what("nginx, p99"), theirs.quantile_ms(0.99), "ms", Goal::None);
        table.note(what("ratio"), ours.per_second() / theirs.per_second(), "", Goal::AtLeast(0.8));
    }
    Ok(())
}

/// A small body, compared with a server that only answers.
async fn stats(plan: &Plan, services: &Services, table: &mut Table) -> anyhow::Result<()> {
    let ask = request("/api/stats", "identity");
    let body = Connection::open(services.address).await?.exchange(ask.as_bytes()).await?;
    let bare = Trivial::start(Kind::Bare, body).await?;
    let warp = Trivial::start(Kind::Warp, body).await?;
    let servers =
        [(services.address, services.api.pid()), (bare.address, bare.pid), (warp.address, warp.pid)];
    let mut sums = [(); 3].map(|()| (Load::default(), Duration::ZERO));
    for _ in 0..plan.rounds {
        for ((address, pid), (sum, cpu)) in servers.into_iter().zip(&mut sums) {
            let before = usage::processor_time(pid)?;
            sum.add(&load(address, &ask, SMALL_CONNECTIONS, plan.round).await?);
            *cpu += usage::processor_time(pid)? - before;
        }
    }
    let a_core = |(load, cpu): &(Load, Duration)| load.requests as f64 / cpu.as_secs_f64().max(0.01);
    let [ours, bare, warp] = sums;
    let what = |what: &str| format!("GET /api/stats: {what}");
    table.note(what("body"), body as f64, "bytes", Goal::None);
    table.note(what("the client's limit"), bare.0.per_second(), "requests/s", Goal::None);
    table.note(what("ours"), ours.0.per_second(), "requests/s", Goal::None);
    table.note(what("share of that limit"), ours.0.per_second() / bare.0.per_second(), "", Goal::None);
    table.note(what("a server that parses nothing, a core"), a_core(&bare), "requests/s", Goal::None);
    table.note(what("warp with one route, a core"), a_core(&warp), "requests/s", Goal::None);
    table.note(what("ours, a core"), a_core(&ours), "requests/s", Goal::None);
    let ratio = a_core(&ours) / a_core(&bare);
    table.note(what("ratio to a server that parses nothing"), ratio, "", Goal::AtLeast(STATS_RATIO));
    table.note(what("ratio to warp"), a_core(&ours) / a_core(&warp), "", Goal::None);
    Ok(())
}

/// Whole lists that are requested in many ticks and never read.
async fn unread_lists(services: &Services, table: &mut Table) -> anyhow::Result<()> {
    let api = services.api.pid();
    let (before, mut most) = (usage::resident_bytes(api)?, 0);
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        unread.push(stream::deaf(services.address, "/api/nodes?sort=name").await?);
        sleep(Duration::from_millis(50)).await;
        most = most.max(usage::resident_bytes(api)?);
    }
    let grown = most.saturating_sub(before) as f64 / 1e6;
    table.note(format!("{UNREAD} lists that nobody reads: memory"), grown, "MB", Goal::AtMost(UNREAD_MB));
    Ok(())
}

/// Thousands of event streams, first all of them read, then nine in ten.
async fn many_clients(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("{} event streams at {NODES_OF_MANY} nodes", plan.clients);
    let services = Services::start(NODES_OF_MANY).await?;
    let api = services.api.pid();
    let empty = usage::resident_bytes(api)?;
    let audience = Audience::gather(services.address, plan.clients).await?;
    let all = Listened::during(plan.listening, api).await?;
    audience.turn_deaf();
    let some = Listened::during(plan.listening, api).await?;
    let record = audience.leave().await?;

    table.note("event streams: clients", plan.clients as f64, "", Goal::None);
    let [before, after] = [("all read", &all), ("a tenth reads nothing", &some)].map(|(what, listened)| {
        let delivery = record.delivery(&listened.within);
        let what = |of: &str| format!("event streams, {what}: {of}");
        let kilobytes = listened.resident_bytes.saturating_sub(empty) as f64 / 1_000.0 / plan.clients as f64;
        table.note(what("memory"), kilobytes, "KB a client", Goal::AtMost(30.0));
        table.note(what("processor"), listened.cores, "cores", Goal::None);
        // Four a second; one at either end may fall outside.
        let ticks = Goal::AtLeast(plan.listening.as_secs_f64() * 4.0 - 2.0);
        table.note(what("ticks"), delivery.ticks as f64, "", ticks);
        table.note(what("frames that a reader missed"), delivery.missing as f64, "", Goal::AtMost(0.0));
        table.note(what("streams restarted"), delivery.restarts as f64, "", Goal::AtMost(0.0));
        table.note(what("after its tick, p50"), delivery.since_tick.p50_ms, "ms", Goal::None);
        table.note(what("after its tick, p99"), delivery.since_tick.p99_ms, "ms", Goal::AtMost(1_000.0));
        table.note(what("after the first reader, p50"), delivery.since_first.p50_ms, "ms", Goal::None);
        table.note(what("after the first reader, p99"), delivery.since_first.p99_ms, "ms", Goal::None);
        delivery.since_first.p99_ms
    });
    table.note("event streams: p99 with and without the tenth", after / before, "", Goal::AtMost(1.1));
    Ok(())
}

/// Some time of listening, and what it took of the API.
struct Listened {
    within: Range<Instant>,
    resident_bytes: u64,
    cores: f64,
}

impl Listened {
    async fn during(lasting: Duration, api: u32) -> anyhow::Result<Self> {
        // Sockets and buffers reach their size after a few frames.
        sleep(Duration::from_secs(3)).await;
        let (from, cpu) = (Instant::now(), usage::processor_time(api)?);
        sleep(lasting).await;
        let cores = (usage::processor_time(api)? - cpu).as_secs_f64() / from.elapsed().as_secs_f64();
        let listened =
            Self { within: from..Instant::now(), resident_bytes: usage::resident_bytes(api)?, cores };
        // A frame that some clients receive at the end must reach all of them.
        sleep(Duration::from_secs(1)).await;
        Ok(listened)
    }
}
