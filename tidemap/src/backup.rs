//! `tidemap backup` and `tidemap restore`: the host with the broker, as it was at one moment.

pub(crate) mod buckets;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use tidemap_broker::data_dir::{
    DataDir,
    archive::{self, About, Extra, ExtraContent},
};
use tidemap_service::{
    causes::causes,
    cli::{UsageError, say},
    clock::unix_ms,
    moment,
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{HISTORY_FOLDER, operator::BrokersArgs};

/// What stands for standard output or standard input.
const STREAM: &str = "-";

/// Where to, and from where.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct BackupArgs {
    /// The file to write, which its owner alone may read, as it holds all keys; - for standard output. One
    /// that exists is replaced when the new one is whole.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where `tidemap up` keeps its data.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The history's folder; `history` in the data folder unless given.
    #[arg(long, env = "TIDEMAP_HISTORY_DIR", value_name = "FOLDER")]
    history_dir: Option<PathBuf>,
    #[command(flatten)]
    brokers: BrokersArgs,
}

/// From where, and where to.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup; - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder to make, or an empty one.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Writes a backup, while `tidemap up` runs or not.
pub(crate) async fn back_up(args: BackupArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let dir = folder(args.data_dir)?;
    if !dir.join("keys").is_dir() {
        let words = format!("--data-dir {}: no Tidemap has been started here yet", dir.display());
        return Err(UsageError(words).into());
    }
    let to_stream = args.file == Path::new(STREAM);
    if to_stream && io::stdout().is_terminal() {
        return Err(UsageError("FILE: a backup is not for a terminal".to_owned()).into());
    }
    let kept = buckets::read(&args.brokers.at(&dir), &dir).await;
    let mut extras = kept.unwrap_or_else(|error| {
        say(format_args!(
            "the broker is not reached, so the backup lacks its list of nodes and what fires: {}",
            causes(error.as_ref())
        ));
        Vec::new()
    });
    let history = args.history_dir.unwrap_or_else(|| dir.join(HISTORY_FOLDER));
    spawn_blocking(move || {
        // Beside the backup, where there must be room for as much.
        let beside = if to_stream { std::env::temp_dir() } else { parent(&args.file) };
        let copies = tempfile::tempdir_in(&beside).with_context(|| beside.display().to_string())?;
        let copy = copies.path().join(tidemap_history::FILE);
        if tidemap_history::back_up(&history, &copy, &shutdown)? {
            let name = Path::new(HISTORY_FOLDER).join(tidemap_history::FILE);
            extras.push(Extra { name, content: ExtraContent::File(copy) });
        }
        let about = About::now(unix_ms());
        let pack = |out: &mut dyn Write| archive::pack(&dir, &about, &extras, out);
        let count = if to_stream {
            pack(&mut io::stdout().lock())?
        } else {
            let place = || args.file.display().to_string();
            let mut file = tempfile::NamedTempFile::new_in(&beside).with_context(place)?;
            let count = pack(&mut BufWriter::new(&mut file))?;
            ensure!(!shutdown.is_cancelled(), "interrupted");
            file.as_file().sync_all().with_context(place)?;
            file.persist(&args.file).with_context(place)?;
            count
        };
        say(format_args!("{count} files of {} are saved; the backup holds all keys", dir.display()));
        anyhow::Ok(())
    })
    .await?
}

/// Makes a data folder from a backup.
pub(crate) fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let dir = folder(args.data_dir)?;
    let place = args.file.display();
    let locked = DataDir::lock(&dir)?;
    let unpacked = if args.file == Path::new(STREAM) {
        archive::unpack(io::stdin().lock(), &locked)
    } else {
        let file = File::open(&args.file).with_context(|| place.to_string())?;
        archive::unpack(BufReader::new(file), &locked)
    };
    let (about, count) = unpacked.with_context(|| place.to_string())?;
    say(format_args!(
        "{count} files of {} are in {} (saved by tidemap {}). Start with the options of before: tidemap up --data-dir {}",
        moment::rfc3339(about.made_ms),
        dir.display(),
        about.version,
        dir.display()
    ));
    Ok(())
}

fn folder(named: Option<PathBuf>) -> Result<PathBuf, UsageError> {
    named
        .or_else(DataDir::default_path)
        .ok_or_else(|| UsageError("--data-dir: there is no home folder to choose a default in".to_owned()))
}

fn parent(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
