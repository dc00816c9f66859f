//! The edges of a command: what was typed, and how it ends.

use std::{fmt, process::ExitCode};

use clap::Parser;

/// Exit code for a wrong command line or environment (`EX_USAGE` of sysexits).
pub const USAGE: u8 = 64;

/// A value that was given but cannot be used; ends the process with [`USAGE`] before anything is started.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Parses the command line. Help and version exit with 0, anything wrong with one line and [`USAGE`].
pub fn parse<T: Parser>() -> T {
    match T::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            eprintln!("{}", one_line(&error.to_string()));
            std::process::exit(i32::from(USAGE));
        }
    }
}

/// Ends a process: prints a failure once, as one line, and chooses the exit code.
pub fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let usage = error.chain().any(|cause| cause.is::<UsageError>());
            ExitCode::from(if usage { USAGE } else { 1 })
        }
    }
}

/// clap's message without its usage block and empty lines: people asked for one clear line.
fn one_line(message: &str) -> String {
    let told: Vec<&str> = message
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    told.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[arg(long)]
        number: Option<u32>,
    }

    #[test]
    fn a_wrong_flag_is_told_in_one_line() {
        let error = Cli::try_parse_from(["x", "--nubmer", "1"]).unwrap_err();
        let line = one_line(&error.to_string());
        assert!(line.starts_with("error: unexpected argument '--nubmer'"), "{line}");
        assert!(!line.contains('\n') && !line.contains("Usage"), "{line}");
        assert_eq!(Cli::try_parse_from(["x", "--number", "1"]).unwrap().number, Some(1));
    }
}
