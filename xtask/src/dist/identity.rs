//! Which release this is: its version, the commit that it is made from, and when that was made.

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

use crate::workspace::{Workspace, output};

/// What tells this release from others.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) version: String,
    /// The commit, and `-dirty` when files differ from it; `None` outside of a checkout.
    commit: Option<String>,
    /// The commit's time, for everything that records a time: the same commit makes the same bytes.
    pub(super) epoch: u64,
    /// Its day, in UTC.
    pub(super) date: String,
    /// The same day as in the changelogs of rpm.
    pub(super) day: String,
    /// The time as in mail.
    pub(super) rfc_2822: String,
}

impl Identity {
    pub(super) fn of(workspace: &Workspace) -> Result<Self> {
        let git = |arguments: &[&str]| output(workspace.command("git").args(arguments));
        let commit = git(&["rev-parse", "--short=8", "HEAD"]).ok().map(|commit| {
            let changes = git(&["status", "--porcelain"]).unwrap_or_default();
            format!("{}{}", commit.trim(), if changes.is_empty() { "" } else { "-dirty" })
        });
        let named = env::var("SOURCE_DATE_EPOCH").ok();
        let committed = || git(&["log", "-1", "--format=%ct"]).ok();
        let epoch = match named.or_else(committed) {
            Some(seconds) => seconds.trim().parse().context("SOURCE_DATE_EPOCH is no number of seconds")?,
            None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        let date = |format: &str| {
            let mut date = workspace.command("date");
            date.env("LC_ALL", "C");
            Ok(output(date.args(["--utc", &format!("--date=@{epoch}"), format]))?.trim().to_owned())
                as Result<String>
        };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            epoch,
            date: date("+%F")?,
            day: date("+%a %b %d %Y")?,
            rfc_2822: date("--rfc-email")?,
        })
    }

    /// The version as packages write it, in which one before a release comes before it.
    pub(super) fn package_version(&self) -> String {
        self.version.replace('-', "~")
    }

    /// What `--version` says after the program's name: `0.1.0 (0774ff72 2026-11-30)`.
    pub(super) fn long_version(&self) -> String {
        match &self.commit {
            Some(commit) => format!("{} ({commit} {})", self.version, self.date),
            None => format!("{} ({})", self.version, self.date),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_commit_and_day() {
        let identity = |version: &str, commit: Option<&str>| Identity {
            version: version.to_owned(),
            commit: commit.map(str::to_owned),
            epoch: 1_796_032_800,
            date: "2026-11-30".to_owned(),
            day: String::new(),
            rfc_2822: String::new(),
        };
        assert_eq!(identity("0.1.0", Some("0774ff72")).long_version(), "0.1.0 (0774ff72 2026-11-30)");
        assert_eq!(identity("0.1.0", None).long_version(), "0.1.0 (2026-11-30)");
        assert_eq!(identity("0.2.0-rc.1", None).package_version(), "0.2.0~rc.1");
    }
}
