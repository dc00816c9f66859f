//! `--dry-run` and `--explain`: reports as JSON lines, and the table of interfaces.

use std::io;

use tidemap_service::{cli, clock::Stopwatch};
use tokio_util::sync::CancellationToken;

use crate::{
    config::AgentConfig,
    kernel::RULE,
    outbox::Outbox,
    probes::Probes,
    sampler::{self, Sampler},
};

/// Prints each report as a JSON line, exactly as it would be published, until `shutdown` or until the reader
/// closes the pipe.
pub(crate) async fn dry_run(config: AgentConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut outbox = Outbox::new(config.node.clone(), fastrand::u64(..));
    let enough = shutdown.child_token();
    let sampler = Sampler::start(&config)?;
    let mut probes = Probes::start(&config.probes, config.probe_interval);
    let clock = Stopwatch::start();
    sampler::at_a_steady_pace(sampler, enough.clone(), |mut observation| {
        let now_ms = clock.now_ms();
        observation.sample.probes = probes.take();
        outbox.push(observation.sample, observation.hello, now_ms);
        while let Some(batch) = outbox.next(now_ms) {
            outbox.acknowledged(batch.id, 0);
            if !print(&serde_json::to_string(&batch.report)?)? {
                enough.cancel();
            }
        }
        Ok(())
    })
    .await
}

/// Prints every network interface, whether it counts and why, and the rule of this system.
pub(crate) fn explain(config: &AgentConfig) -> anyhow::Result<()> {
    let sampler = Sampler::start(config)?;
    let width = sampler.judged().map(|(link, _)| link.name.len()).max().unwrap_or(0).max("interface".len());
    let mut table = format!("{:width$}  counts  {:>10}  reason", "interface", "speed");
    for (link, verdict) in sampler.judged() {
        let counts = if verdict.counted { "yes" } else { "no" };
        let speed = link.speed_mbps.map_or("–".to_owned(), |mbps| format!("{mbps} Mbit/s"));
        table.push_str(&format!("\n{:width$}  {counts:6}  {speed:>10}  {}", link.name, verdict.reason));
    }
    print(&format!("{table}\n\n{RULE}"))?;
    Ok(())
}

/// Prints a line; returns `false` when the reader has closed the pipe, as `| head` does.
fn print(line: &str) -> io::Result<bool> {
    match cli::print(line) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}
