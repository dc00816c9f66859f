//! A configuration file that is read again when it has changed, while the program runs.

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{cli::UsageError, text_file};

/// How often the file is read. It is read as a whole: what mounts replace by a link, and what is written
/// twice within the resolution of the time of a change, would be missed by looking at that time.
const PERIOD: Duration = Duration::from_secs(1);

/// What a text means, or in one line why it means nothing.
type Parse<T> = dyn Fn(&str) -> Result<T, String> + Send + Sync;

/// A file whose content the program follows. The first content must be good; later, a file that is wrong or
/// cannot be read leaves the last good content in force, and says so in the log and in
/// [`FileContent::warning`].
pub struct WatchedFile<T> {
    flag: &'static str,
    path: PathBuf,
    parse: Arc<Parse<T>>,
    first: Arc<str>,
    content: watch::Sender<FileContent<T>>,
}

/// What is in force of a file.
#[derive(Debug)]
pub struct FileContent<T> {
    /// The last good content.
    pub value: Arc<T>,
    /// Why the file's present text is not in force, in one line with the file's path; none when it is.
    pub warning: Option<Arc<str>>,
    /// The same without the file's path, for those who may not know where files are.
    pub problem: Option<Arc<str>>,
}

impl<T: Send + Sync + 'static> WatchedFile<T> {
    /// Reads the file that the option `flag` names. `parse` says what is wrong in one line, with line and
    /// column.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is wrong.
    pub fn open<E: fmt::Display>(
        flag: &'static str,
        path: PathBuf,
        parse: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, UsageError> {
        let wrong = |problem: &dyn fmt::Display| UsageError::in_file(flag, &path, problem);
        let text = text_file::read(&path).map_err(|error| wrong(&error))?;
        let value = parse(&text).map_err(|error| wrong(&error))?;
        let content = FileContent::good(value);
        Ok(Self {
            flag,
            path,
            parse: Arc::new(move |text: &str| parse(text).map_err(|error| error.to_string())),
            first: text.into(),
            content: watch::Sender::new(content),
        })
    }

    /// What is in force, and a notice of each change. A change of the warning alone is one, too.
    pub fn subscribe(&self) -> watch::Receiver<FileContent<T>> {
        self.content.subscribe()
    }

    /// What is in force at the moment.
    pub fn content(&self) -> FileContent<T> {
        self.content.borrow().clone()
    }

    /// Follows the file until `shutdown`.
    pub async fn follow(self, shutdown: CancellationToken) {
        let mut text = Text { taken: Ok(self.first.to_string()), next: None };
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let path = self.path.clone();
            // A file on a server that does not answer holds a thread, and is waited for.
            let reading = spawn_blocking(move || text_file::read(&path));
            let Some(read) = shutdown.run_until_cancelled(reading).await else { return };
            let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
            if let Some(text) = text.settle(read.map_err(|error| error.to_string())) {
                self.take(text);
            }
        }
    }

    fn take(&self, text: &Result<String, String>) {
        match text.as_ref().map_err(Clone::clone).and_then(|text| (self.parse)(text)) {
            Ok(value) => {
                tracing::info!(file = %self.path.display(), "the changed file of {} is in force", self.flag);
                self.content.send_replace(FileContent::good(value));
            }
            Err(problem) => {
                let warning = UsageError::in_file(self.flag, &self.path, &problem);
                tracing::error!("{warning}: what it said before stays in force");
                self.content.send_modify(|content| {
                    content.warning = Some(warning.to_string().into());
                    content.problem = Some(problem.into());
                });
            }
        }
    }
}

impl<T> FileContent<T> {
    /// A content that is in force as it stands.
    pub fn good(value: T) -> Self {
        Self { value: Arc::new(value), warning: None, problem: None }
    }
}

/// The text of a file that somebody may be writing at the moment: an editor empties it first. A text counts
/// when two readings in a row have found it.
struct Text {
    taken: Result<String, String>,
    next: Option<Result<String, String>>,
}

impl Text {
    /// Takes what a reading has found. Returns a text that counts from now on, or why there is none.
    fn settle(&mut self, read: Result<String, String>) -> Option<&Result<String, String>> {
        if read == self.taken {
            self.next = None;
            return None;
        }
        if self.next.as_ref() != Some(&read) {
            self.next = Some(read);
            return None;
        }
        self.next = None;
        self.taken = read;
        Some(&self.taken)
    }
}

// Derived, these would ask the same of `T`.
impl<T> Clone for FileContent<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), warning: self.warning.clone(), problem: self.problem.clone() }
    }
}

impl<T> Clone for WatchedFile<T> {
    fn clone(&self) -> Self {
        Self {
            flag: self.flag,
            path: self.path.clone(),
            parse: Arc::clone(&self.parse),
            first: Arc::clone(&self.first),
            content: self.content.clone(),
        }
    }
}

impl<T> fmt::Debug for WatchedFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_text_counts_when_it_stands() {
        let mut text = Text { taken: Ok("a".to_owned()), next: None };
        let ok = |text: &str| Ok(text.to_owned());
        let gone: Result<String, String> = Err("gone".to_owned());
        for (read, counts) in [
            (ok("a"), false),
            // Emptied, then written.
            (ok(""), false),
            (ok("b"), false),
            (ok("b"), true),
            (ok("b"), false),
            // Replaced: it is away for a moment.
            (gone.clone(), false),
            (ok("b"), false),
            (gone.clone(), false),
            (gone.clone(), true),
            (ok("b"), false),
            (ok("b"), true),
        ] {
            let settled = text.settle(read.clone()).cloned();
            assert_eq!(settled, counts.then_some(read));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_file_leaves_the_last_good_content_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.txt");
        let parse = |text: &str| text.trim().parse::<u32>();
        let opened = WatchedFile::open("--numbers", path.clone(), parse).unwrap_err();
        assert!(opened.to_string().starts_with(&format!("--numbers {}: ", path.display())), "{opened}");
        fs::write(&path, "one").unwrap();
        assert!(WatchedFile::open("--numbers", path.clone(), parse).is_err());
        fs::write(&path, "1").unwrap();
        let file = WatchedFile::open("--numbers", path.clone(), parse).unwrap();
        let mut content = file.subscribe();
        let shutdown = CancellationToken::new();
        let following = tokio::spawn(file.clone().follow(shutdown.clone()));

        fs::write(&path, "2").unwrap();
        content.changed().await.unwrap();
        assert_eq!((*content.borrow_and_update().value, file.content().warning), (2, None));

        fs::write(&path, "two").unwrap();
        content.changed().await.unwrap();
        let wrong = content.borrow_and_update().clone();
        let said = format!("--numbers {}: invalid digit found in string", path.display());
        assert_eq!((*wrong.value, wrong.warning.as_deref()), (2, Some(&*said)));
        assert_eq!(wrong.problem.as_deref(), Some("invalid digit found in string"));

        fs::remove_file(&path).unwrap();
        content.changed().await.unwrap();
        let gone = content.borrow_and_update().clone();
        assert!(*gone.value == 2 && gone.warning.is_some_and(|warning| *warning != *said));

        fs::write(&path, "2").unwrap();
        content.changed().await.unwrap();
        let again = content.borrow_and_update().clone();
        assert_eq!((*again.value, again.warning), (2, None));
        shutdown.cancel();
        following.await.unwrap();
    }
}
