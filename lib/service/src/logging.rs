//! Logs: to standard error, as text for people or JSON for collectors.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::UsageError;

/// What is logged, and how.
#[derive(clap::Args, Clone, Debug)]
pub struct LogArgs {
    /// What is logged: a level (error, warn, info, debug, trace) or a filter such as `info,async_nats=debug`.
    #[arg(long, env = "RUST_LOG", default_value = "info", global = true)]
    pub log: String,
    /// How it is written.
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
        // async-nats tells each attempt to connect, refused ones as errors; `nats` says what matters, at a bounded rate.
        // warp tells every browser that leaves in mid-stream as an error.
        let directives = format!("async_nats=off,warp=off,{}", self.log);
        let filter = EnvFilter::try_new(directives)
            .map_err(|error| UsageError(format!("--log: {error} (try info, debug, warn)")))?;
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        match self.log_format {
            LogFormat::Text => builder.with_target(false).init(),
            LogFormat::Json => builder.json().flatten_event(true).init(),
        }
        Ok(())
    }
}
