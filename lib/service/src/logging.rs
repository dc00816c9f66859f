//! Logs go to [standard error](crate::stderr), as text for people or as JSON for collectors. A [`Throttle`]
//! bounds what repeats.

use std::{io::IsTerminal, time::Duration};

use tokio::time::Instant;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{cli::UsageError, stderr::LogWriter};

/// Which messages are logged, and in which format.
#[derive(clap::Args, Clone, Debug)]
pub struct LogArgs {
    /// Log level (error, warn, info, debug, trace, off), or a filter such as `tidemap_ingest=debug`, where
    /// everything else is logged at `info`.
    #[arg(long, env = "RUST_LOG", default_value = "info", global = true)]
    pub log: String,
    /// Log format.
    #[arg(
        long,
        env = "TIDEMAP_LOG_FORMAT",
        value_enum,
        ignore_case = true,
        default_value_t = LogFormat::Text,
        global = true
    )]
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
        let filter = filter(&self.log).map_err(|problem| UsageError(format!("--log: {problem}")))?;
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

/// What is logged. A word alone must be a level: in the filter's own language any other word is the name of a
/// module, so a mistyped level would silence everything, errors too. Without a level for everything, that
/// is `info`.
fn filter(text: &str) -> Result<EnvFilter, String> {
    // async-nats logs each attempt to connect, refused ones as errors; `nats` logs what matters, at a bounded
    // rate. warp logs every browser that leaves in mid-stream as an error.
    let mut directives = "async_nats=off,warp=off".to_owned();
    let mut usual = LevelFilter::INFO;
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let known = match directive.rsplit_once('=') {
            // A span's field, as in `[span{field=1}]`, ends with a bracket.
            Some((module, word)) if !word.ends_with(']') => format!("{}={}", module.trim(), level(word)?),
            None if !directive.starts_with('[') => {
                usual = level(directive)?;
                continue;
            }
            _ => directive.to_owned(),
        };
        directives = format!("{directives},{known}");
    }
    // They log every byte of requests with the passwords in them, and addresses whole, some of which are
    // passwords. The last one holds.
    EnvFilter::try_new(format!("{usual},{directives},ureq_proto::util=off,ureq::util=off"))
        .map_err(|error| format!("{error} (try info, debug, warn)"))
}

fn level(word: &str) -> Result<LevelFilter, String> {
    let word = word.trim();
    let usual = if word.eq_ignore_ascii_case("warning") { "warn" } else { word };
    usual.parse().map_err(|_| {
        format!("{word:?} is no level: try info, debug, warn, or for one module a filter such as tidemap_ingest=debug")
    })
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

    #[test]
    fn a_word_alone_is_a_level_and_everything_else_is_logged_at_info() {
        for (text, most) in [
            ("info", LevelFilter::INFO),
            ("warning", LevelFilter::WARN),
            ("WARN", LevelFilter::WARN),
            ("error", LevelFilter::ERROR),
            ("off", LevelFilter::OFF),
            ("", LevelFilter::INFO),
            (" , debug ,", LevelFilter::DEBUG),
            ("tidemap_ingest=debug", LevelFilter::DEBUG),
            ("warn,tidemap_ingest=warning", LevelFilter::WARN),
            ("tidemap_ingest=warn", LevelFilter::INFO),
            ("async_nats = trace", LevelFilter::TRACE),
        ] {
            let filter = filter(text).unwrap();
            assert_eq!(filter.max_level_hint(), Some(most), "{text}: {filter}");
        }
    }

    #[test]
    fn no_level_logs_the_bytes_of_requests() {
        for text in ["trace", "ureq_proto=trace", "ureq_proto::util=trace", "ureq::util=trace"] {
            let filter = filter(text).unwrap().to_string();
            for module in ["ureq_proto::util", "ureq::util"] {
                assert!(filter.contains(&format!("{module}=off")), "{filter}");
                assert!(!filter.contains(&format!("{module}=trace")), "{filter}");
            }
        }
    }

    #[test]
    fn a_mistyped_level_is_refused_instead_of_silencing_everything() {
        for text in ["eror", "tidemap", "info,tidemap_ingest", "tidemap=eror", "inof,warp=warn", "true"] {
            let refused = filter(text).unwrap_err();
            assert!(refused.contains("try info, debug, warn"), "{text}: {refused}");
        }
    }

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
