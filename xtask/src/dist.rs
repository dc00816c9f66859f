//! `cargo xtask dist`: a release. Programs that need nothing of their host but its kernel, archives and
//! packages of them, with all that belongs to an installation.

mod archive;
mod broker;
mod compile;
mod components;
mod deb;
mod identity;
mod image;
mod licences;
mod package;
mod platform;
mod reproduced;
mod rpm;
mod sbom;
mod share;
mod sums;
mod tree;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    tools::{self, Zig},
    web,
    workspace::{Workspace, words},
};
use broker::Broker;
use compile::{Compiler, Effort};
use identity::Identity;
use package::{Package, Parts};
use platform::Platform;

pub(crate) use reproduced::check_reproduced;

const TIDEMAP: &str = "tidemap";
const AGENT: &str = "tidemap-agent";
/// Who answers for the packages.
const MAINTAINER: &str = "The Tidemap authors <tidemap@example.com>";

/// What to make.
#[derive(clap::Args)]
pub(crate) struct DistArgs {
    /// For tests: programs that are compiled in a minute and not optimised, and packages for this machine
    /// alone; the agent for all.
    #[arg(long)]
    pub(crate) quick: bool,
}

impl DistArgs {
    /// Where it is made, so that nobody publishes what was made for tests.
    pub(crate) fn folder(&self) -> &'static str {
        if self.quick { "dist/quick" } else { "dist" }
    }
}

/// A release.
pub(crate) struct Made {
    pub(crate) files: Vec<PathBuf>,
    /// What its programs say of their version.
    pub(crate) long_version: String,
}

/// Makes all of it.
pub(crate) fn build(workspace: &Workspace, args: &DistArgs) -> Result<Made> {
    tools::check_compiler()?;
    if let Some(missing) = missing(workspace) {
        bail!("{missing}");
    }
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let identity = Identity::of(workspace)?;
    println!("{TIDEMAP} {}", identity.long_version());
    web::build_within_budget(workspace)?;
    let here = Platform::here().context("a release is made on x86-64 or 64-bit ARM")?;
    let whole = if args.quick { vec![here] } else { platform::ALL.to_vec() };
    let programs = programs(&Compiler::new(workspace, effort, &identity)?, effort, &whole)?;
    let folder = workspace.path(args.folder());
    let describer = programs.tidemap[here.arch].clone();
    let long_version = identity.long_version();
    let release = Release { workspace, identity, effort, folder, describer };
    release.copy_out(&programs, here)?;
    let mut made = Vec::new();
    for platform in platform::ALL {
        made.extend(release.agent(platform, &programs.agents[platform.arch])?);
    }
    for platform in whole {
        made.extend(release.tidemap(platform, &programs)?);
    }
    sums::write(&release.folder, &made)?;
    fs::remove_dir_all(release.stage(""))?;
    println!("In {}:", args.folder());
    for file in &made {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        println!("{name:<54}{:>12} bytes", fs::metadata(file)?.len());
    }
    Ok(Made { files: made, long_version })
}

/// What a release takes and this machine lacks, if anything.
pub(crate) fn missing(workspace: &Workspace) -> Option<String> {
    let lacks = |(program, package): (&str, &str)| {
        tools::find(program)
            .is_none()
            .then(|| format!("there is no {program} (Debian: apt install {package})"))
    };
    let programs = [("dpkg-deb", "dpkg"), ("rpmbuild", "rpm"), ("tar", "tar"), ("gzip", "gzip")];
    programs.into_iter().find_map(lacks).or_else(|| {
        let fetched = Zig::fetch(workspace);
        fetched.is_none().then(|| format!("pip cannot fetch {}", Zig::PACKAGES))
    })
}

/// Whether a program is compiled for this machine's processor.
pub(crate) fn is_for_this_machine(program: &Path) -> bool {
    let machine = |program: &Path| fs::read(program).ok()?.get(18..20).map(<[u8]>::to_vec);
    let itself = env::current_exe().ok();
    itself.is_some_and(|itself| machine(&itself) == machine(program))
}

/// What is compiled, by architecture.
struct Programs {
    agents: BTreeMap<&'static str, PathBuf>,
    tidemap: BTreeMap<&'static str, PathBuf>,
}

/// Compiles the agent for all platforms, and all of Tidemap for these.
fn programs(compiler: &Compiler<'_>, effort: Effort, whole: &[Platform]) -> Result<Programs> {
    let mut programs = Programs { agents: BTreeMap::new(), tidemap: BTreeMap::new() };
    for platform in platform::ALL {
        // A release's agent is built by itself, so that it does not contain features of shared packages that
        // only other stations need. For tests, two builds would take twice the time.
        let groups: &[&[&str]] = match (whole.contains(&platform), effort) {
            (true, Effort::Quick) => &[&[AGENT, TIDEMAP]],
            (true, Effort::Full) => &[&[AGENT], &[TIDEMAP]],
            (false, _) => &[&[AGENT]],
        };
        for group in groups {
            let mut built = compiler.programs(platform, group)?;
            programs.agents.extend(built.remove(AGENT).map(|agent| (platform.arch, agent)));
            programs.tidemap.extend(built.remove(TIDEMAP).map(|tidemap| (platform.arch, tidemap)));
        }
    }
    Ok(programs)
}

/// Packs what has been compiled.
struct Release<'a> {
    workspace: &'a Workspace,
    identity: Identity,
    effort: Effort,
    /// What is made goes there.
    folder: PathBuf,
    /// A `tidemap` that runs here, and tells of its command line and of the agent's.
    describer: PathBuf,
}

impl Release<'_> {
    /// Where parts lie until they are packed.
    fn stage(&self, part: &str) -> PathBuf {
        self.folder.join("stage").join(part)
    }

    /// The programs of this machine's platform, in `bin`.
    fn copy_out(&self, programs: &Programs, here: Platform) -> Result<()> {
        let folder = self.folder.join("bin");
        fs::create_dir_all(&folder)?;
        for (program, built) in [(TIDEMAP, &programs.tidemap), (AGENT, &programs.agents)] {
            let to = folder.join(program);
            let bytes =
                fs::copy(&built[here.arch], &to).with_context(|| format!("cannot write {}", to.display()))?;
            println!("bin/{program:<50}{bytes:>12} bytes");
        }
        Ok(())
    }

    /// The packages of the agent.
    fn agent(&self, platform: Platform, program: &Path) -> Result<Vec<PathBuf>> {
        let components = components::crates(self.workspace, platform, AGENT)?;
        let share = share::make(self, platform, AGENT, &components, None)?;
        let tree = package::agent(self.workspace, program, &share)?;
        self.packages(platform, &Package { name: AGENT, tree })
    }

    /// The packages of all of Tidemap, its archive, and what that contains of others.
    fn tidemap(&self, platform: Platform, programs: &Programs) -> Result<Vec<PathBuf>> {
        let broker = Broker::fetch(self.workspace, platform)?;
        let mut components = components::crates(self.workspace, platform, TIDEMAP)?;
        components.extend(components::of_broker(&broker.program)?);
        let share = share::make(self, platform, TIDEMAP, &components, Some(&broker))?;
        let parts = Parts { platform, programs, broker: &broker.program, share: &share };
        let mut made = self.packages(
            platform,
            &Package { name: TIDEMAP, tree: package::tidemap(self.workspace, &parts)? },
        )?;
        let name = format!("{TIDEMAP}-{}-{}", self.identity.version, platform.target());
        let to = |end: &str| self.folder.join(format!("{name}.{end}"));
        // The folder that the archive unpacks to stays, for images and tests.
        package::archive(self.workspace, &parts)?.write(&self.folder.join(&name))?;
        image::write(self, platform, &parts)?;
        archive::pack(self, &name, self.identity.epoch, &to("tar.gz"))?;
        fs::write(to("cdx.json"), sbom::document(&self.identity, platform, TIDEMAP, &components)?)?;
        made.extend([to("tar.gz"), to("cdx.json")]);
        Ok(made)
    }

    fn packages(&self, platform: Platform, package: &Package) -> Result<Vec<PathBuf>> {
        Ok(vec![deb::make(self, package, platform)?, rpm::make(self, package, platform)?])
    }

    /// As packages of Debian keep what is long.
    fn gzip(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let file = self.stage("long");
        fs::create_dir_all(self.stage(""))?;
        fs::write(&file, bytes)?;
        let mut gzip = self.workspace.command("gzip");
        let packed = gzip.args(["--no-name", "-9", "--stdout"]).arg(&file).output()?;
        if !packed.status.success() {
            bail!("{}: {}", words(&gzip), String::from_utf8_lossy(&packed.stderr));
        }
        fs::remove_file(file)?;
        Ok(packed.stdout)
    }
}
