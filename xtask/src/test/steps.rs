//! The steps, in their order.

use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::{dependencies, manifests, programs, tally::Tally};
use crate::{
    artifacts::Artifacts,
    tools::{self, WASM_TARGET},
    web,
    workspace::{Workspace, output, run},
};

/// What an agent compiles for and is not run on.
const OTHER_SYSTEMS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];
/// A C compiler for any system, and how cargo finds it.
const COMPILERS: [&str; 2] = ["ziglang==0.15.1", "cargo-zigbuild==0.24.0"];

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
pub(super) type Step = fn(&Steps, &mut Tally) -> Result<()>;

/// What the other steps need. The page comes before the programs that embed it.
pub(super) const BEFORE: [(&str, Step); 4] = [
    ("tools", Steps::tools),
    ("format", Steps::format),
    ("page and its budget", Steps::page),
    ("build of the tests", Steps::build),
];

/// What is checked without running it, in the background of [`TESTS`].
pub(super) const CHECKS: [(&str, Step); 6] = [
    ("lints", Steps::lints),
    ("documentation", Steps::documentation),
    ("what programs contain", Steps::contents),
    ("dependencies", Steps::dependencies),
    ("files to deploy with", Steps::manifests),
    ("agent on other systems", Steps::other_systems),
];

/// What is run.
pub(super) const TESTS: [(&str, Step); 1] = [("tests", Steps::tests)];

/// What needs cargo, which the checks use until they end.
pub(super) const AFTER: [(&str, Step); 1] = [("tests in documentation", Steps::documented)];

/// What the steps share.
pub(super) struct Steps {
    workspace: Workspace,
    /// Whether tests that come in a short and a long form run in the long one.
    long: bool,
    /// The programs of tests, once they are built.
    built: OnceLock<Artifacts>,
}

impl Steps {
    pub(super) fn new(workspace: Workspace, long: bool) -> Self {
        Self { workspace, long, built: OnceLock::new() }
    }

    fn tools(&self, _: &mut Tally) -> Result<()> {
        tools::check_compiler()?;
        tools::ensure_wasm_target(&self.workspace)?;
        tools::check_broker(&self.workspace)?;
        tools::ensure_checkers(&self.workspace)?;
        tools::ensure_browser(&self.workspace)
    }

    fn format(&self, _: &mut Tally) -> Result<()> {
        run(&mut self.workspace.cargo(["fmt", "--all", "--check"]))
    }

    fn lints(&self, _: &mut Tally) -> Result<()> {
        let deny = ["--", "-D", "warnings"];
        run(self.workspace.cargo(["clippy", "--workspace", "--all-targets"]).args(deny))?;
        let page = ["clippy", "--package", "tidemap-webui", "--target", WASM_TARGET];
        run(self.workspace.cargo(page).args(deny))
    }

    fn documentation(&self, _: &mut Tally) -> Result<()> {
        let mut command =
            self.workspace.cargo(["doc", "--workspace", "--no-deps", "--document-private-items"]);
        run(command.env("RUSTDOCFLAGS", "-D warnings"))
    }

    /// The page shares the messages, so these must build for wasm. A station must not contain what signs
    /// keys.
    fn contents(&self, _: &mut Tally) -> Result<()> {
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

    fn dependencies(&self, tally: &mut Tally) -> Result<()> {
        dependencies::check(&self.workspace, tally)
    }

    fn manifests(&self, tally: &mut Tally) -> Result<()> {
        manifests::check(&self.workspace, tally)
    }

    /// The agent compiles where nobody here can run it. `ring` has C in it, so this takes a C compiler for
    /// those systems.
    fn other_systems(&self, _: &mut Tally) -> Result<()> {
        if !self.long {
            println!("NOT CHECKED without --long");
            return Ok(());
        }
        let Some(zig) = tools::fetch(&self.workspace, &COMPILERS) else {
            println!("NOT CHECKED, because pip cannot fetch {}", COMPILERS.join(" and "));
            return Ok(());
        };
        for target in OTHER_SYSTEMS {
            tools::ensure_target(&self.workspace, target)?;
            let mut check = self.workspace.command(zig.join("bin/cargo-zigbuild"));
            check.env("PYTHONPATH", &zig).args(["check", "--package", "tidemap-agent", "--target", target]);
            run(&mut check)?;
        }
        Ok(())
    }

    fn page(&self, _: &mut Tally) -> Result<()> {
        web::build_within_budget(&self.workspace)
    }

    /// All tests from one build: each package by itself would be built again, with the features that it alone
    /// needs.
    fn build(&self, _: &mut Tally) -> Result<()> {
        // `tidemap` is named by itself: a build of tests makes only programs of packages that have tests in
        // files of their own.
        let all = ["build", "--workspace", "--tests", "--bin", "tidemap", "--example", tools::FIND_BROKER];
        let built = Artifacts::build(&mut self.workspace.cargo(all))?;
        self.built.set(built).ok().context("they were built before")
    }

    fn tests(&self, tally: &mut Tally) -> Result<()> {
        let built = self.built.get().context("they are not built")?;
        let nats_server = tools::find_broker(&self.workspace, built)?;
        println!("nats-server: {}", nats_server.display());
        let mut environment = vec![
            ("TIDEMAP_BIN", built.program("tidemap")?.as_os_str()),
            ("TIDEMAP_NATS_SERVER", nats_server.as_os_str()),
        ];
        if self.long {
            environment.push(("TIDEMAP_LONG", "1".as_ref()));
        }
        programs::run(&self.workspace, built.tests(), &environment, tally)
    }

    fn documented(&self, _: &mut Tally) -> Result<()> {
        run(&mut self.workspace.cargo(["test", "--doc", "--workspace"]))
    }
}
