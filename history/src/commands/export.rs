//! `tidemap history export`: a range of time as a table.

mod parquet;
mod table;

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use tidemap_service::{
    cli::{self, UsageError},
    clock::unix_ms,
    moment::{digits, duration_ms, moment_ms},
};
use tidemap_wire::{
    NodeName,
    history_query::{HistoryError, HistorySeries, MAX_STEPS, RangeRequest},
};
use tokio_util::sync::CancellationToken;

use self::table::Table;
use super::new_file::NewFile;
use crate::{
    answers::{self, AnswerError},
    store::{Settled, Store},
};

const MINUTE_MS: i64 = 60_000;
/// What stands for standard output.
const STDOUT: &str = "-";

/// What to write, and where.
#[derive(clap::Args, Clone, Debug)]
pub struct ExportArgs {
    /// The file to write, or - for standard output; one that exists is not replaced.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The form of the file.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// Begin: a time such as 2026-11-29T09:00:00Z, Unix milliseconds, or -24h, -30d.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
    from: i64,
    /// End, likewise.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment, default_value = "now")]
    to: i64,
    /// Length of a row's time: a multiple of a minute such as 1m, 15m, 1h, 1d, or auto for at most 1,500 rows
    /// each.
    #[arg(long, value_name = "STEP", value_parser = step, default_value = "auto")]
    step: RowLength,
    /// One node's rows.
    #[arg(long, value_name = "NODE", value_parser = NodeName::parse, conflicts_with_all = ["by", "key"])]
    node: Option<NodeName>,
    /// Whose rows: `node` (of every node), `fleet`, `location`, `provider` or `label:NAME` (of the group that
    /// --key names).
    #[arg(long, value_name = "WHAT", value_parser = By::parse, default_value = "fleet")]
    by: By,
    /// Which location, which provider, or which value of the label.
    #[arg(long, value_name = "VALUE")]
    key: Option<String>,
    /// With each node's use of processors, memory and disk, and its load: of one node, or of every node.
    #[arg(long)]
    host: bool,
    /// The station's folder; that of `tidemap up` unless given.
    #[arg(long, env = "TIDEMAP_HISTORY_DIR", value_name = "FOLDER")]
    pub(super) history_dir: Option<PathBuf>,
}

/// The form of the file.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Lines as in RFC 4180, with a header; what is not known is empty.
    Csv,
    /// Apache Parquet; what is not known is null.
    Parquet,
}

/// Length of a row's time in milliseconds; chosen unless given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RowLength(Option<u64>);

/// Whose rows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Node,
    Fleet,
    Location,
    Provider,
    Label(String),
}

fn moment(text: &str) -> Result<i64, String> {
    moment_ms(text, unix_ms()).filter(|ms| *ms >= 0).ok_or_else(|| {
        "must be a time such as 2026-11-29T09:00:00Z, Unix milliseconds, -24h, -30d or now".to_owned()
    })
}

fn step(text: &str) -> Result<RowLength, String> {
    if text == "auto" {
        return Ok(RowLength(None));
    }
    let ms = duration_ms(text).or_else(|| digits(text));
    let ms =
        ms.filter(|ms| *ms >= MINUTE_MS && ms % MINUTE_MS == 0 && *ms / MINUTE_MS < i64::from(u32::MAX / 4));
    ms.map(|ms| RowLength(Some(ms.unsigned_abs())))
        .ok_or_else(|| "must be auto or a multiple of a minute: 60s, 15m, 1h, 1d, or milliseconds".to_owned())
}

impl By {
    fn parse(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("label:")) {
            ("node", _) => Ok(Self::Node),
            ("fleet", _) => Ok(Self::Fleet),
            ("location", _) => Ok(Self::Location),
            ("provider", _) => Ok(Self::Provider),
            (_, Some(label)) if !label.is_empty() => Ok(Self::Label(label.to_owned())),
            _ => Err("must be node, fleet, location, provider or label:NAME".to_owned()),
        }
    }
}

impl ExportArgs {
    pub(super) fn run(&self, history: &Path, stop: &CancellationToken) -> anyhow::Result<()> {
        if self.from >= self.to {
            return Err(UsageError("--from: must lie before --to".to_owned()).into());
        }
        let mut store = Store::open_to_read(history, Settled::default())
            .with_context(|| format!("cannot read {}", history.display()))?;
        let series = self.series(&mut store)?;
        if self.file == Path::new(STDOUT) {
            let written = self.write(&mut store, &series, io::stdout(), stop);
            return match written {
                // A reader that has closed the pipe, as `| head` does, has seen enough.
                Err(error) if is_broken_pipe(&error) => Ok(()),
                written => written.map(drop),
            };
        }
        let (new, file) = NewFile::create(&self.file)?;
        let rows = self.write(&mut store, &series, file, stop)?;
        let bytes = new.finish()?;
        let place = self.file.display();
        cli::print(format_args!("{place}: {rows} rows, {:.1} MB", bytes as f64 / 1e6))?;
        Ok(())
    }

    /// Whose rows, by their names in the table.
    fn series(&self, store: &mut Store) -> anyhow::Result<Vec<(String, HistorySeries)>> {
        if let Some(node) = &self.node {
            let ids = [node.id()].into_iter().chain(node.earlier_id());
            for id in ids.clone() {
                if store.nodes()?.contains(id) {
                    return Ok(vec![(id.text(), HistorySeries::Node(id.clone()))]);
                }
            }
            let unknown = format!("--node {}: the history has never heard of it", node.display());
            return Err(UsageError(unknown).into());
        }
        if self.host && self.by != By::Node {
            let words = "--host: goes with --node NODE or --by node: groups have no such columns";
            return Err(UsageError(words.to_owned()).into());
        }
        let key = self.key.clone();
        let missing = || UsageError("--key: is missing: which location, provider or value".to_owned());
        let group = match &self.by {
            By::Node | By::Fleet if key.is_some() => {
                let words = "--key: goes with --by location, --by provider or --by label:NAME";
                return Err(UsageError(words.to_owned()).into());
            }
            By::Node => {
                let nodes = store.nodes()?.into_iter().map(|id| (id.text(), HistorySeries::Node(id)));
                return Ok(nodes.collect());
            }
            By::Fleet => HistorySeries::Fleet,
            By::Location => HistorySeries::Location(key.clone().ok_or_else(missing)?),
            By::Provider => HistorySeries::Provider(key.clone().ok_or_else(missing)?),
            By::Label(name) => HistorySeries::Label(name.clone(), key.clone().ok_or_else(missing)?),
        };
        Ok(vec![(key.unwrap_or_else(|| "fleet".to_owned()), group)])
    }

    /// Writes all rows; returns how many.
    fn write(
        &self,
        store: &mut Store,
        series: &[(String, HistorySeries)],
        out: impl Write + Send + 'static,
        stop: &CancellationToken,
    ) -> anyhow::Result<u64> {
        let out = BufWriter::new(out);
        let mut table: Box<dyn Table> = match self.format {
            Format::Csv => Box::new(table::Csv::begin(out, self.host)?),
            Format::Parquet => Box::new(parquet::Parquet::begin(out, self.host)?),
        };
        let rows = self.fill(store, series, &mut *table, stop)?;
        table.finish()?;
        Ok(rows)
    }

    /// Adds all rows to a table; returns how many.
    fn fill(
        &self,
        store: &mut Store,
        series: &[(String, HistorySeries)],
        table: &mut dyn Table,
        stop: &CancellationToken,
    ) -> anyhow::Result<u64> {
        let mut rows = 0;
        for (name, of) in series {
            let RowLength(step_ms) = self.step;
            // As many steps as can be asked for at once.
            let most_ms = step_ms.map_or(i64::MAX, |step_ms| {
                i64::try_from(step_ms).unwrap_or(i64::MAX).saturating_mul(i64::from(MAX_STEPS))
            });
            let mut from_ms = self.from;
            let until_ms = answers::complete_until_ms(store.at_ms());
            while from_ms < self.to {
                ensure!(!stop.is_cancelled(), "interrupted");
                let whole = from_ms / most_ms * most_ms;
                let to_ms = whole.saturating_add(most_ms).min(self.to);
                let request =
                    RangeRequest { of: of.clone(), from_ms, to_ms, step_ms, host: self.host, recent: None };
                for part in
                    answers::range(store, &request, until_ms, None).map_err(|error| self.refused(error))?
                {
                    rows += part.rx_bytes.len() as u64;
                    table.add(name, &part)?;
                }
                from_ms = to_ms;
            }
        }
        Ok(rows)
    }

    /// Why there are no rows.
    fn refused(&self, error: AnswerError) -> anyhow::Error {
        match error {
            AnswerError::Refused(HistoryError::UnknownSeries) => {
                let key = self.key.as_deref().unwrap_or_default();
                UsageError(format!("--key {key}: the history has never heard of it")).into()
            }
            AnswerError::Refused(error) => UsageError(error.to_string()).into(),
            AnswerError::Store(error) => error.into(),
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests;
