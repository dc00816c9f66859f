//! The command line, described for others than people who ask for `--help`: completions for shells, and
//! manual pages, which packages carry.

use std::{fs, io, path::PathBuf};

use anyhow::Context;
use clap::{Args as _, Command, CommandFactory as _};
use clap_complete::Shell;
use tidemap_agent::AgentCommand;
use tidemap_service::{cli, logging::LogArgs};

/// The options of `completions`.
#[derive(clap::Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell that reads them.
    shell: Shell,
    /// The program whose command line is completed.
    #[arg(long, value_enum, default_value_t = Program::Tidemap)]
    program: Program,
}

/// The options of `manual`.
#[derive(clap::Args, Debug)]
pub(crate) struct ManualArgs {
    /// Where to write the pages.
    folder: PathBuf,
    /// The program that they are about.
    #[arg(long, value_enum, default_value_t = Program::Tidemap)]
    program: Program,
}

/// A program that people install.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// The command with all stations.
    Tidemap,
    /// The agent as a program of its own.
    TidemapAgent,
}

impl Program {
    fn command(self) -> Command {
        match self {
            Self::Tidemap => super::Cli::command(),
            Self::TidemapAgent => {
                let command = Command::new("tidemap-agent")
                    .version(tidemap_service::version!())
                    .about("Publishes this host's real throughput, and nothing else");
                LogArgs::augment_args(AgentCommand::augment_args(command))
            }
        }
    }
}

/// Prints a shell's completions.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let mut command = args.program.command();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Ok(cli::print(String::from_utf8(script)?.trim_end())?)
}

/// Writes a page for each command.
pub(crate) fn manual(args: &ManualArgs) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        fs::create_dir_all(&args.folder)?;
        clap_mangen::generate_to(args.program.command(), &args.folder)
    };
    write().with_context(|| format!("cannot write to {}", args.folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_and_no_hidden_one_has() {
        let folder = tempfile::tempdir().unwrap();
        let mut pages = Vec::new();
        for program in [Program::Tidemap, Program::TidemapAgent] {
            let folder = folder.path().join(format!("{program:?}"));
            manual(&ManualArgs { folder: folder.clone(), program }).unwrap();
            pages.extend(fs::read_dir(folder).unwrap().map(|page| page.unwrap().path()));
        }
        let has = |name: &str| pages.iter().filter(|page| page.ends_with(name)).count();
        assert_eq!([has("tidemap.1"), has("tidemap-up.1"), has("tidemap-manual.1")], [1, 1, 0]);
        assert_eq!(has("tidemap-agent.1"), 2, "the command's, and the program's");
        let page = pages.iter().find(|page| page.ends_with("TidemapAgent/tidemap-agent.1")).unwrap();
        assert!(fs::read_to_string(page).unwrap().contains("dry\\-run"));
    }
}
