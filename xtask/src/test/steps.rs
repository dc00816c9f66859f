//! The steps, in their order.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{before, dependencies, manifests, packages, programs, tally::Tally};
use crate::{
    artifacts::Artifacts,
    tools::{self, WASM_TARGET, Zig},
    web,
    workspace::{Workspace, output, run},
};

/// What an agent compiles for and is not run on.
const OTHER_SYSTEMS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// Packages, and what must not be among their dependencies.
const NOT_CONTAINED: [(&str, &[&str]); 5] = [
    ("tidemap-wire", &["tokio", "async-nats"]),
    ("tidemap-agent", SIGNING),
    ("tidemap-relay", SIGNING),
    ("tidemap-ingest", SIGNING),
    ("tidemap-api", SIGNING),
];
/// A station connects with the credentials that it was given; only `tidemap` makes keys, tokens and
/// certificates.
const SIGNING: &[&str] = &["tidemap-broker", "rcgen", "tempfile"];

/// A step: it counts what it tests, and fails by itself otherwise.
type Step = fn(&mut Steps, &mut Tally) -> Result<()>;

/// All steps. The page comes before whatever embeds it.
pub(super) const ALL: [(&str, Step); 11] = [
    ("tools", Steps::tools),
    ("format", Steps::format),
    ("lints", Steps::lints),
    ("documentation", Steps::documentation),
    ("what programs contain", Steps::contents),
    ("dependencies", Steps::dependencies),
    ("files to deploy with", Steps::manifests),
    ("agent on other systems", Steps::other_systems),
    ("page and its budget", Steps::page),
    ("packages", Steps::packages),
    ("tests", Steps::tests),
];

/// What the steps share.
pub(super) struct Steps {
    workspace: Workspace,
    /// Whether tests that come in a short and a long form run in the long one.
    long: bool,
    /// The folder of a release for tests, once it is made.
    dist: Option<PathBuf>,
}

impl Steps {
    pub(super) fn new(workspace: Workspace, long: bool) -> Self {
        Self { workspace, long, dist: None }
    }

    fn tools(&mut self, _: &mut Tally) -> Result<()> {
        tools::check_compiler()?;
        tools::ensure_wasm_target(&self.workspace)?;
        tools::check_broker(&self.workspace)?;
        tools::ensure_checkers(&self.workspace)?;
        tools::ensure_browser(&self.workspace)?;
        tools::ensure_hosts(&self.workspace)
    }

    fn format(&mut self, _: &mut Tally) -> Result<()> {
        run(&mut self.workspace.cargo(["fmt", "--all", "--check"]))
    }

    fn lints(&mut self, _: &mut Tally) -> Result<()> {
        let deny = ["--", "-D", "warnings"];
        run(self.workspace.cargo(["clippy", "--workspace", "--all-targets"]).args(deny))?;
        let page =
            ["clippy", "--package", "tidemap-webui", "--package", "tidemap-past", "--target", WASM_TARGET];
        run(self.workspace.cargo(page).args(deny))
    }

    fn documentation(&mut self, _: &mut Tally) -> Result<()> {
        let mut command =
            self.workspace.cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]);
        run(command.env("RUSTDOCFLAGS", "-D warnings"))
    }

    /// The page shares the messages, so these must build for wasm. A station must not contain what signs
    /// keys.
    fn contents(&mut self, _: &mut Tally) -> Result<()> {
        run(&mut self.workspace.cargo(["build", "--package", "tidemap-wire", "--target", WASM_TARGET]))?;
        for (package, banned) in NOT_CONTAINED {
            let tree =
                ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
            let packages = output(&mut self.workspace.cargo(tree))?;
            for banned in banned {
                if packages.lines().any(|package| package.split(' ').next() == Some(*banned)) {
                    bail!("{package} contains {banned}");
                }
            }
        }
        Ok(())
    }

    fn dependencies(&mut self, tally: &mut Tally) -> Result<()> {
        dependencies::check(&self.workspace, tally)
    }

    fn manifests(&mut self, tally: &mut Tally) -> Result<()> {
        manifests::check(&self.workspace, tally)
    }

    /// The agent compiles where nobody here can run it. `ring` has C in it, so this takes a C compiler for
    /// those systems.
    fn other_systems(&mut self, _: &mut Tally) -> Result<()> {
        if !self.long {
            println!("NOT CHECKED without --long");
            return Ok(());
        }
        let Some(zig) = Zig::fetch(&self.workspace) else {
            println!("NOT CHECKED, because pip cannot fetch {}", Zig::PACKAGES);
            return Ok(());
        };
        for target in OTHER_SYSTEMS {
            tools::ensure_target(&self.workspace, target)?;
            let check = ["check", "--package", "tidemap-agent", "--target", target];
            run(zig.cargo(&self.workspace).args(check))?;
        }
        Ok(())
    }

    fn page(&mut self, _: &mut Tally) -> Result<()> {
        web::build_within_budget(&self.workspace)
    }

    fn packages(&mut self, tally: &mut Tally) -> Result<()> {
        self.dist = packages::check(&self.workspace, self.long, tally)?;
        Ok(())
    }

    /// All of them from one build: each package by itself would be built again, with the features that it
    /// alone needs.
    fn tests(&mut self, tally: &mut Tally) -> Result<()> {
        // Named by itself: a build of tests makes only programs of packages that have tests in files of their
        // own.
        let all = ["build", "--workspace", "--tests", "--bin", "tidemap", "--example", tools::FIND_BROKER];
        let built = Artifacts::build(&mut self.workspace.cargo(all))?;
        let nats_server = tools::find_broker(&self.workspace, &built)?;
        println!("nats-server: {}", nats_server.display());
        let mut environment = vec![
            ("TIDEMAP_BIN", built.program("tidemap")?.as_os_str()),
            ("TIDEMAP_NATS_SERVER", nats_server.as_os_str()),
        ];
        if let Some(dist) = &self.dist {
            environment.push(("TIDEMAP_DIST", dist.as_os_str()));
        }
        let before = if self.long { before::build(&self.workspace)? } else { None };
        if self.long {
            environment.push(("TIDEMAP_LONG", "1".as_ref()));
        }
        if let Some(before) = &before {
            environment.push((before::VARIABLE, before.as_os_str()));
        }
        programs::run(&self.workspace, built.tests(), &environment, tally)?;
        run(&mut self.workspace.cargo(["test", "--doc", "--workspace"]))
    }
}
