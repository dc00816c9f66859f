//! How long a simulation runs, which faults it has, and where its ack log is written.

use std::{path::PathBuf, time::Duration};

use tidemap_service::{cli::UsageError, clock::whole_ms};

/// The largest accepted number of seconds: a day.
const LONGEST_S: f64 = 86_400.0;

/// Arguments about the end of a run, and about faults.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct PlanArgs {
    /// End the run after each node has taken this many samples and the broker has acknowledged them all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    samples: Option<u64>,
    /// End the run after this many seconds, once the broker has acknowledged all samples.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Write a line to this file for each sample that the broker has acknowledged. Nodes then keep and resend
    /// their samples as agents do.
    #[arg(long, value_name = "FILE")]
    ack_log: Option<PathBuf>,
    /// Share of the reports that are published twice, 0 to 1; needs --ack-log, as do all flags that follow.
    #[arg(long, value_name = "FRACTION", value_parser = fraction, requires = "ack_log")]
    duplicate: Option<f64>,
    /// Delay each report by a random time of up to this many seconds, so that reports arrive out of order.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "ack_log")]
    shuffle: Option<Duration>,
    /// Make each node's clock wrong by up to this many seconds, ahead or behind.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "ack_log")]
    skew: Option<Duration>,
    /// Put each node's clock back once, within its first ten seconds, by up to this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "ack_log", conflicts_with = "restart_every")]
    leap: Option<Duration>,
    /// Restart agents again and again after this many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "ack_log")]
    restart_every: Option<Duration>,
    /// Share of the nodes whose agents restart, 0 to 1.
    #[arg(long, value_name = "FRACTION", value_parser = fraction, requires = "restart_every")]
    churn: Option<f64>,
}

/// When the fleet ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit {
    /// Samples of each node.
    pub(crate) samples: Option<u64>,
    /// Milliseconds.
    pub(crate) duration_ms: Option<u64>,
}

/// Faults of clocks and agents. All times are milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AgentFaults {
    /// Each clock is off by up to this.
    pub(crate) skew_ms: u64,
    /// Each clock is put back by up to this.
    pub(crate) leap_ms: u64,
    /// Agents restart after this.
    pub(crate) restart_every_ms: Option<u64>,
    /// The share of agents that restart, 0 to 1.
    pub(crate) churn: f64,
}

/// Faults on the way to the broker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WayFaults {
    /// Share of the reports that are sent twice.
    pub(crate) duplicate: f64,
    /// Longest delay.
    pub(crate) shuffle: Duration,
}

/// The checked arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) limit: Limit,
    pub(crate) ack_log: Option<PathBuf>,
    pub(crate) faults: AgentFaults,
    pub(crate) way: WayFaults,
}

impl PlanArgs {
    /// Checks that the times are possible with this interval.
    pub(crate) fn check(self, interval: Duration) -> Result<Plan, UsageError> {
        if self.restart_every.is_some_and(|every| every < interval * 2) {
            return Err(UsageError("--restart-every: at least two intervals".to_owned()));
        }
        let faults = AgentFaults {
            skew_ms: self.skew.map_or(0, whole_ms),
            leap_ms: self.leap.map_or(0, whole_ms),
            restart_every_ms: self.restart_every.map(whole_ms),
            churn: self.churn.unwrap_or(1.0),
        };
        Ok(Plan {
            limit: Limit { samples: self.samples, duration_ms: self.duration.map(whole_ms) },
            ack_log: self.ack_log,
            faults,
            way: WayFaults {
                duplicate: self.duplicate.unwrap_or(0.0),
                shuffle: self.shuffle.unwrap_or(Duration::ZERO),
            },
        })
    }
}

impl Limit {
    /// Whether a node that has taken this many samples may take another.
    pub(crate) fn allows(self, samples: u64, run_ms: u64) -> bool {
        self.samples.is_none_or(|most| samples < most) && !self.is_over(run_ms)
    }

    /// Whether no node takes samples any more.
    pub(crate) fn is_over(self, run_ms: u64) -> bool {
        self.duration_ms.is_some_and(|duration_ms| run_ms >= duration_ms)
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("not from 0 to 1".to_owned()) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=LONGEST_S).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err("not from 0.001 to 86400 seconds".to_owned())
    }
}
