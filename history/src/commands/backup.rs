//! `tidemap history backup`: a copy of one moment.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use tidemap_service::cli::{self, say};
use tokio_util::sync::CancellationToken;

use super::new_file::NewFile;
use crate::{database::BUSY_TIMEOUT, store::Store};

/// Pages that are copied before the next look at the time and at the shutdown: 1 MB.
const PAGES: i32 = 128;
/// Between lines about the progress, in percent.
const EVERY_PERCENT: i32 = 10;

/// Where to, and from where.
#[derive(clap::Args, Clone, Debug)]
pub struct BackupArgs {
    /// The file to write; one that exists is not replaced.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The station's folder; that of `tidemap up` unless given.
    #[arg(long, env = "TIDEMAP_HISTORY_DIR", value_name = "FOLDER")]
    pub(super) history_dir: Option<PathBuf>,
}

impl BackupArgs {
    pub(super) fn run(&self, history: &Path, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut next = EVERY_PERCENT;
        let bytes = back_up(history, &self.file, stop, |percent| {
            if percent >= next {
                say(format_args!("{percent} % copied"));
                next = percent + EVERY_PERCENT;
            }
        })?;
        let place = self.file.display();
        cli::print(format_args!("{place}: {:.1} MB", bytes as f64 / 1e6))?;
        Ok(())
    }
}

/// Copies a history; returns the copy's length. `progress` is called with the percentage that is copied.
pub(super) fn back_up(
    history: &Path,
    place: &Path,
    stop: &CancellationToken,
    progress: impl FnMut(i32),
) -> anyhow::Result<u64> {
    let (copy, _) = NewFile::create(place)?;
    let copying = || format!("cannot copy {}", history.display());
    copy_pages(history, copy.part(), stop, progress).with_context(copying)?;
    // Decodes the newest tiles and the oldest, as a station does when it starts.
    drop(Store::open(copy.part()).with_context(copying)?);
    copy.finish()
}

fn copy_pages(
    history: &Path,
    to: &Path,
    stop: &CancellationToken,
    mut progress: impl FnMut(i32),
) -> anyhow::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(history, flags)?;
    from.busy_timeout(BUSY_TIMEOUT)?;
    // A transaction that is open sees one moment until the end; a copy without one begins again whenever the
    // station writes.
    from.execute_batch("BEGIN")?;
    from.query_row("SELECT count(*) FROM fact", [], |_| Ok(()))?;
    let mut to = Connection::open(to)?;
    to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let backup = Backup::new(&from, &mut to)?;
    loop {
        ensure!(!stop.is_cancelled(), "interrupted");
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            step => tracing::debug!(?step, "the copy waits"),
        }
        let pages = backup.progress();
        let copied = i64::from(pages.pagecount - pages.remaining);
        let percent = copied * 100 / i64::from(pages.pagecount.max(1));
        progress(i32::try_from(percent).unwrap_or(100));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tidemap_wire::{MinuteRow, NodeId};

    use super::*;
    use crate::store::{Batch, SeriesKey, Step};

    fn apply(store: &mut Store, minutes: std::ops::Range<u32>) {
        let node = |number: u32| NodeId::from_name(&format!("node-{number}")).unwrap();
        let mut rng = fastrand::Rng::with_seed(minutes.start.into());
        let mut rows = Vec::new();
        for minute in minutes.clone() {
            for number in 0..100 {
                let bytes = rng.u64(..1 << 40);
                let row = MinuteRow {
                    minute,
                    samples: 60,
                    covered_ms: 60_000,
                    rx_bytes: bytes,
                    tx_bytes: bytes,
                    ..MinuteRow::default()
                };
                rows.push((node(number), row));
            }
        }
        let batch = Batch {
            rows,
            at_ms: i64::from(minutes.end) * 60_000,
            place: minutes.end.to_string().into_bytes(),
            ..Batch::default()
        };
        store.apply(&batch).unwrap();
    }

    #[test]
    fn a_copy_is_of_one_moment_while_the_station_writes() {
        let folder = tempfile::tempdir().unwrap();
        let history = folder.path().join("history.sqlite");
        let mut store = Store::open(&history).unwrap();
        for begin in (0..3_000).step_by(500) {
            apply(&mut store, begin..begin + 500);
        }
        let fleet = SeriesKey::Node(NodeId::from_name("node-7").unwrap());
        let before = store.range(&fleet, 0..9_000, Step(1), &[]).unwrap().unwrap();
        let copy = folder.path().join("copy");
        let (mut seen, mut written) = (Vec::new(), 3_000);
        let stop = CancellationToken::new();
        let bytes = back_up(&history, &copy, &stop, |percent| {
            seen.push(percent);
            apply(&mut store, written..written + 5);
            while store.compact().unwrap() {}
            written += 5;
        });
        assert_eq!(bytes.unwrap(), fs::metadata(&copy).unwrap().len());
        assert!(seen.len() > 1 && seen.is_sorted(), "{seen:?}: it begins again, or is too short to show it");
        let mut copied = Store::open(&copy).unwrap();
        assert_eq!(copied.place(), Some(&b"3000"[..]));
        assert_eq!(copied.range(&fleet, 0..9_000, Step(1), &[]).unwrap().unwrap(), before);
        drop((copied, store));
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["copy", "history.sqlite"]);
    }

    #[test]
    fn an_interrupted_copy_and_one_of_a_damaged_history_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let history = folder.path().join("history.sqlite");
        apply(&mut Store::open(&history).unwrap(), 0..10);
        let copy = folder.path().join("copy");
        let stop = CancellationToken::new();
        stop.cancel();
        let error = format!("{:#}", back_up(&history, &copy, &stop, |_| {}).unwrap_err());
        assert!(error.ends_with("interrupted"), "{error}");
        fs::write(&history, "not what was written".repeat(1_000)).unwrap();
        let error = format!("{:#}", back_up(&history, &copy, &CancellationToken::new(), |_| {}).unwrap_err());
        assert!(error.contains("not a database"), "{error}");
        assert!(!copy.exists() && !folder.path().join("copy.part").exists());
    }
}
