//! Logs go to [standard error](crate::stderr), as text for people or as JSON for collectors. A [`Throttle`]
//! bounds what repeats.

use std::{io::IsTerminal, time::Duration};

use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

use crate::{cli::UsageError, stderr::LogWriter};

/// Which messages are logged, and in which format.
#[derive(clap::Args, Clone, Debug)]
pub struct LogArgs {
    /// Log level (error, warn, info, debug, trace), or a filter such as `info,async_nats=debug`.
    #[arg(long, env = "RUST_LOG", default_value = "info", global = true)]
    pub log: String,
    /// Log format.
    #[arg(long, env = "TIDEMAP_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
}

/// How logs are written.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogArgs {
    /// Starts logging. Call it once, from `main`.
    ///
    /// # Errors
    ///
    /// When the filter cannot be read.
    pub fn init(&self) -> anyhow::Result<()> {
        // async-nats logs each attempt to connect, refused ones as errors; `nats` logs what matters, at a
        // bounded rate. warp logs every browser that leaves in mid-stream as an error.
        let directives = format!("async_nats=off,warp=off,{}", self.log);
        let filter = EnvFilter::try_new(directives)
            .map_err(|error| UsageError(format!("--log: {error} (try info, debug, warn)")))?;
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(LogWriter)
            .with_ansi(std::io::stderr().is_terminal());
        match self.log_format {
            LogFormat::Text => builder.with_target(false).init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
        Ok(())
    }
}

/// Lets through the first of many events, and then one in each period.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    period: Duration,
    last: Option<Instant>,
}

impl Throttle {
    /// A throttle that no event has passed yet.
    pub const fn new(period: Duration) -> Self {
        Self { period, last: None }
    }

    /// Whether an event may pass now. If so, a new period begins.
    pub fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.last.is_none_or(|last| now.duration_since(last) >= self.period);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_event_passes_in_each_period() {
        let mut throttle = Throttle::new(Duration::from_secs(30));
        assert!(throttle.is_due() && !throttle.is_due());
        tokio::time::advance(Duration::from_millis(29_999)).await;
        assert!(!throttle.is_due());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(throttle.is_due() && !throttle.is_due());
    }
}
