//! The start and the end of a command: its arguments, what it prints, and its exit code.

mod environment;

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    path::Path,
};

use clap::Parser;

pub use crate::stderr::say;
use crate::{causes::causes, stderr};

/// Exit code for a wrong command line or environment (`EX_USAGE` of sysexits).
pub const USAGE: u8 = 64;

/// What `--version` says: with commit and day in a release, whose build sets `TIDEMAP_BUILD`.
///
/// A macro, so that another commit compiles programs again, and no library. What is said on the wire is the
/// bare version, which stays comparable.
#[macro_export]
macro_rules! version {
    () => {
        match option_env!("TIDEMAP_BUILD") {
            Some(build) => build,
            None => env!("CARGO_PKG_VERSION"),
        }
    };
}

/// A value that was given but cannot be used; ends the process with [`USAGE`] before anything is started.
#[derive(Debug)]
pub struct UsageError(pub String);

impl UsageError {
    /// An error about a file that was given with `flag` and cannot be used.
    pub fn in_file(flag: &str, path: &Path, problem: impl fmt::Display) -> Self {
        Self(format!("{flag} {}: {problem}", path.display()))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// A word, quoted so that a shell reads it back unchanged.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    // zsh replaces a word that begins with `=`.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Parses the command line and the environment, where an empty variable counts as none, and quotes around a
/// value do not belong to it. `--help` and `--version` exit with 0; a wrong command line prints one line and
/// exits with [`USAGE`].
///
/// Must be called within a runtime. From then on, a file that reaches the limit of its size (`ulimit -f`) is
/// an error of the write, and does not end the process.
pub fn parse<T: Parser>() -> T {
    let variables = environment::to_clean(&T::command());
    if let Some((name, _)) = variables.first().cloned() {
        let error = environment::start_again(variables);
        leave(USAGE, format!("error: {name}: leave out the quotes and blanks around its value ({error})"));
    }
    survive_file_size_limit();
    match try_parse::<T>() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => leave(USAGE, one_line(&error.to_string())),
        Err(help) => match help.print().and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                leave(1, format!("error: {}", unprinted(&error)))
            }
            // A reader that has closed the pipe, as `| head` does, has seen enough.
            _ => std::process::exit(0),
        },
    }
}

fn try_parse<T: Parser>() -> Result<T, clap::Error> {
    let mut command = environment::without_empty(T::command());
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// SIGXFSZ ends a process, unless there is a handler for it: then the write fails. tokio's remains for as
/// long as the process lives.
fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).ok();
    }
}

/// Prints a result on standard output, in a line of its own, after all that was said before.
///
/// # Errors
///
/// When it cannot be written; of the kind `BrokenPipe` when the reader has closed the pipe, as `| head` does.
pub fn print(result: impl fmt::Display) -> io::Result<()> {
    stderr::flush();
    let mut out = io::stdout().lock();
    writeln!(out, "{result}")
        .and_then(|()| out.flush())
        .map_err(|error| io::Error::new(error.kind(), unprinted(&error)))
}

/// Ends the process: prints a failure once, as one line, and chooses the exit code.
///
/// It does not wait for threads that are in a system call, as a runtime does when it is dropped: a name
/// server or a device that does not answer may hold one for a minute.
pub fn exit(result: anyhow::Result<()>) -> ! {
    let code = match result {
        Ok(()) => 0,
        Err(error) => {
            say(format_args!("error: {}", causes(error.as_ref())));
            if error.chain().any(|cause| cause.is::<UsageError>()) { USAGE } else { 1 }
        }
    };
    stderr::flush();
    std::process::exit(i32::from(code));
}

fn unprinted(error: &io::Error) -> String {
    format!("cannot write to standard output: {error}")
}

/// Ends the process before it has begun.
fn leave(code: u8, words: String) -> ! {
    say(words);
    stderr::flush();
    std::process::exit(i32::from(code));
}

/// clap's message as one line, without its usage block.
fn one_line(message: &str) -> String {
    let lines: Vec<&str> = message
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_read_back_by_a_shell() {
        for (word, line) in [
            ("a-1", "a-1"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$x", "'$x'"),
            ("=x", "'=x'"),
        ] {
            assert_eq!(quoted(word), line);
        }
    }

    #[derive(Debug, Parser)]
    struct Cli {
        #[arg(long)]
        number: Option<u32>,
    }

    #[test]
    fn a_wrong_flag_is_reported_in_one_line() {
        let error = Cli::try_parse_from(["x", "--nubmer", "1"]).unwrap_err();
        let line = one_line(&error.to_string());
        assert!(line.starts_with("error: unexpected argument '--nubmer'"), "{line}");
        assert!(!line.contains('\n') && !line.contains("Usage"), "{line}");
        assert_eq!(Cli::try_parse_from(["x", "--number", "1"]).unwrap().number, Some(1));
    }
}
