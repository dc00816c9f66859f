//! The project's folder, and running commands in it.

use std::{
    env,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};

/// The checkout that this task works on.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace that this task was compiled in.
    pub(crate) fn here() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().context("xtask lies directly in the workspace")?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// A path of the workspace.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Flags for rustc, by which what it writes does not depend on where the checkout and cargo's registry
    /// lie.
    pub(crate) fn remapped_paths(&self) -> Vec<String> {
        let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let cargo_home = cargo_home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
        let mut flags = vec![format!("--remap-path-prefix={}=tidemap", self.path("").display())];
        flags.extend(cargo_home.map(|home| format!("--remap-path-prefix={}=cargo", home.display())));
        flags
    }

    /// A cargo command, with the toolchain that runs this task.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments);
        command
    }

    /// A command that starts in the workspace's folder.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        // `cargo xtask` sets environment variables that describe the package xtask. Build scripts (ring's is
        // one) watch these variables, so they would run again after each change between `cargo build` and
        // `cargo xtask`.
        for (name, _) in env::vars_os().filter(|(name, _)| describes_a_package(name)) {
            command.env_remove(name);
        }
        command
    }
}

/// Runs a command to its end; a failure names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("{} failed: {status}", words(command));
    }
    Ok(())
}

/// Runs a command to its end and returns its status. It ends with this process.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    let run = |command: &mut Command| {
        let mut child = in_own_group(command).spawn()?;
        let mut guard = guard(&child)?;
        let status = child.wait();
        // Before its end of the pipe closes. An error means that it has ended.
        guard.kill().ok();
        guard.wait()?;
        status
    };
    run(command).with_context(|| format!("cannot run {}", words(command)))
}

/// Cargo passes on no signals, so what it has started can be ended only as a group.
fn in_own_group(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// Ends a command's group when this process has ended, by a signal or by Ctrl-C. As in `tidemap-service`,
/// which is not used here, because people wait for these tasks to be compiled.
fn guard(child: &Child) -> io::Result<Child> {
    let script = "trap '' HUP INT TERM; read -r _; kill -s TERM -- \"-$1\"";
    let mut guard = Command::new("sh");
    guard.args(["-c", script, "xtask-guard", &child.id().to_string()]);
    in_own_group(guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null())).spawn()
}

/// A command's standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", words(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", words(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The command as it would be typed.
pub(crate) fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn describes_a_package(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("CARGO_PKG_")
        || [
            "CARGO_MANIFEST_DIR",
            "CARGO_MANIFEST_PATH",
            "CARGO_BIN_NAME",
            "CARGO_CRATE_NAME",
            "CARGO_PRIMARY_PACKAGE",
        ]
        .contains(&name.as_ref())
}
