//! Ends a child with its parent, in whatever way the parent ends: by a signal, a panic, or `kill -9`.
//!
//! The kernel's own means (`PR_SET_PDEATHSIG`) needs code that runs between `fork` and `exec`, which cannot
//! be written without `unsafe`; other systems have none, and it watches a thread instead of the process. So a
//! shell holds the other end of a pipe, which closes when the parent has ended, and then ends the child.

use std::io;

/// As long as this exists, a child ends with this process. To be dropped when the child has ended.
#[derive(Debug)]
pub struct ChildWatchdog {
    #[cfg(unix)]
    guard: std::process::Child,
}

#[cfg(unix)]
impl ChildWatchdog {
    /// A child that has been started alone, such as one that must get the terminal's Ctrl-C.
    ///
    /// # Errors
    ///
    /// When there is no shell, or no room for a process.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        Self::of(&pid.to_string())
    }

    /// A child with a process group of its own, and all that it has started there.
    ///
    /// # Errors
    ///
    /// As [`ChildWatchdog::of_process`].
    pub fn of_group(pid: u32) -> io::Result<Self> {
        Self::of(&format!("-{pid}"))
    }

    fn of(target: &str) -> io::Result<Self> {
        use std::{
            os::unix::process::CommandExt,
            process::{Command, Stdio},
        };
        // What ends the parent may be meant for all its processes; this one has work to do then. A frozen
        // child must be thawed to notice that it is to end.
        let script = "trap '' HUP INT TERM; read -r _; kill -s TERM -- \"$1\"; kill -s CONT -- \"$1\"";
        let guard = Command::new("/bin/sh")
            .args(["-c", script, "tidemap-watchdog", target])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { guard })
    }
}

#[cfg(unix)]
impl Drop for ChildWatchdog {
    fn drop(&mut self) {
        // In this order: the pipe closes when the guard no longer acts. An error means that it has ended.
        self.guard.kill().ok();
        self.guard.wait().ok();
    }
}

/// This system has no shell that could do it.
#[cfg(not(unix))]
impl ChildWatchdog {
    /// Does nothing.
    pub fn of_process(_pid: u32) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Does nothing.
    pub fn of_group(_pid: u32) -> io::Result<Self> {
        Ok(Self {})
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        os::unix::process::{CommandExt, ExitStatusExt},
        process::{Child, Command},
    };

    use super::*;

    fn child() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    /// As when this process has ended: the kernel closes its end of the pipe.
    fn parent_ends(mut watchdog: ChildWatchdog) {
        drop(watchdog.guard.stdin.take());
        watchdog.guard.wait().unwrap();
    }

    #[test]
    fn a_child_ends_with_its_parent() {
        for of in [ChildWatchdog::of_process, ChildWatchdog::of_group] {
            let mut child = child();
            parent_ends(of(child.id()).unwrap());
            assert_eq!(child.wait().unwrap().signal(), Some(15));
        }
    }

    #[test]
    fn a_childs_own_child_ends_too() {
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", "sleep 600 & wait"]).process_group(0).spawn().unwrap();
        parent_ends(ChildWatchdog::of_group(shell.id()).unwrap());
        assert_eq!(shell.wait().unwrap().signal(), Some(15));
    }

    #[test]
    fn a_child_outlives_a_watchdog_that_is_given_up() {
        let mut child = child();
        drop(ChildWatchdog::of_group(child.id()).unwrap());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
