//! `tidemap backup` and `tidemap restore`: the host with the broker, as it was at one moment.

pub(crate) mod buckets;
mod history_folder;

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
    cli::{UsageError, say},
    clock::unix_ms,
    moment,
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::{HISTORY_FOLDER, data_folder::data_folder, operator::BrokersArgs};

pub(crate) use history_folder::publish as publish_history_folder;

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
    /// The history's folder; the one that `tidemap up` uses unless given.
    #[arg(long, env = "TIDEMAP_HISTORY_DIR", value_name = "FOLDER")]
    history_dir: Option<PathBuf>,
    /// Do not ask the broker: the backup lacks the list of nodes, what fires, and silences.
    #[arg(long)]
    without_broker: bool,
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
    /// The folder for the history; `history` in the data folder unless given.
    #[arg(long, env = "TIDEMAP_HISTORY_DIR", value_name = "FOLDER")]
    history_dir: Option<PathBuf>,
}

/// Writes a backup, while `tidemap up` runs or not.
pub(crate) async fn back_up(args: BackupArgs, shutdown: CancellationToken) -> anyhow::Result<()> {
    let dir = data_folder(args.data_dir)?;
    if !dir.join("keys").is_dir() {
        let words = format!("--data-dir {}: no Tidemap has been started here yet", dir.display());
        return Err(UsageError(words).into());
    }
    let to_stream = args.file == Path::new(STREAM);
    if to_stream && io::stdout().is_terminal() {
        return Err(UsageError("FILE: a backup is not for a terminal".to_owned()).into());
    }
    let beside = if to_stream { None } else { Some(folder_of(&args.file, &dir)?) };
    let history = history_folder::find(args.history_dir, &dir)?;
    if history.is_none() {
        say(format_args!(
            "there is no history in {}, so the backup has none: name another folder with --history-dir",
            dir.join(HISTORY_FOLDER).display()
        ));
    }
    let mut extras = Vec::new();
    if !args.without_broker {
        match buckets::read(&args.brokers.at(&dir), &dir).await {
            Ok(kept) => extras = kept,
            Err(error) if was_used(&dir) => {
                return Err(error.context(
                    "no backup is made, as the broker is not reached, which has the list of nodes, what fires, and \
                     silences: start it, name it with --nats-url, or leave them out with --without-broker",
                ));
            }
            Err(_) => say("no broker has been started here yet, so the backup has no list of nodes"),
        }
    }
    spawn_blocking(move || {
        let mut copies = None;
        if let Some(history) = history {
            // Beside the backup, where there must be room for as much; or where the history has room.
            let place = beside.as_deref().unwrap_or(&history);
            let folder = tempfile::tempdir_in(place).with_context(|| place.display().to_string())?;
            let copy = folder.path().join(tidemap_history::FILE);
            tidemap_history::back_up(&history, &copy, &shutdown)?;
            let name = Path::new(HISTORY_FOLDER).join(tidemap_history::FILE);
            extras.push(Extra { name, content: ExtraContent::File(copy) });
            copies = Some(folder);
        }
        let about = About::now(unix_ms());
        let pack = |out: &mut dyn Write| archive::pack(&dir, &about, &extras, out);
        let count = if let Some(beside) = beside {
            let place = || args.file.display().to_string();
            let mut file = tempfile::NamedTempFile::new_in(&beside).with_context(place)?;
            let count = pack(&mut BufWriter::new(&mut file))?;
            ensure!(!shutdown.is_cancelled(), "interrupted");
            file.as_file().sync_all().with_context(place)?;
            file.persist(&args.file).with_context(place)?;
            count
        } else {
            pack(&mut io::stdout().lock())?
        };
        drop(copies);
        say(format_args!("{count} files of {} are saved; the backup holds all keys", dir.display()));
        anyhow::Ok(())
    })
    .await?
}

/// Makes a data folder from a backup.
pub(crate) fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let dir = data_folder(args.data_dir)?;
    let place = args.file.display();
    // Before anything is changed there.
    archive::check_empty(&dir)?;
    if let Some(elsewhere) = &args.history_dir {
        history_folder::check_none(elsewhere)?;
    }
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
        moment::date(about.made_ms),
        dir.display(),
        about.version,
        dir.display()
    ));
    let restored = dir.join(HISTORY_FOLDER);
    match args.history_dir {
        Some(elsewhere) => history_folder::move_to(&restored, &elsewhere),
        None if restored.join(tidemap_history::FILE).exists() => {
            say(format_args!("The history is in {}: start without --history-dir", restored.display()));
            Ok(())
        }
        None => Ok(()),
    }
}

/// Whether a broker has run in this folder, so that there is something to save of it.
fn was_used(dir: &Path) -> bool {
    dir.join("endpoint").exists() || dir.join("jetstream").exists()
}

/// The folder for the backup, which is not one that is saved.
fn folder_of(file: &Path, dir: &Path) -> anyhow::Result<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let canonical = |path: &Path| path.canonicalize().with_context(|| path.display().to_string());
    if canonical(&folder)?.starts_with(canonical(dir)?) {
        let within = format!(
            "{}: is in the data folder, so each backup would contain those before: name another place, or - for \
             standard output",
            file.display()
        );
        return Err(UsageError(within).into());
    }
    Ok(folder)
}
