//! The images, built and run: the whole by its compose file, as a newcomer does, and the agent alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tidemap_testkit::{
    booted::Lan,
    eventually,
    http::{get, get_json},
};
use tidemap_wire::{Status, http::NodeJson};
use tokio::time::Instant;

use crate::{EVENT_TIMEOUT, dist};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// What `xtask` fetches.
const COMPOSE: &str = "podman-compose==1.6.0";
/// As images name the processor that they are for.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
/// Of the image.
const USER: &str = "65532";

/// Images and containers of a test's own.
struct Engine {
    folder: TempDir,
}

impl Engine {
    fn new() -> anyhow::Result<Self> {
        let engine = Self { folder: tempfile::tempdir()? };
        let path = |name: &str| engine.folder.path().join(name).display().to_string();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
            path("images"),
            path("run")
        );
        fs::write(path("storage.conf"), storage)?;
        // Limits that a test may set, a runtime that takes both versions of cgroups, no systemd.
        let containers = format!(
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
             [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
             tmp_dir = {:?}\n",
            path("tmp")
        );
        fs::write(path("containers.conf"), containers)?;
        Ok(engine)
    }

    fn run(&self, program: impl AsRef<Path>, args: &[&str]) -> anyhow::Result<Output> {
        let program = program.as_ref();
        let mut command = Command::new(program);
        let path = |name: &str| self.folder.path().join(name);
        command.env("CONTAINERS_STORAGE_CONF", path("storage.conf"));
        command.env("CONTAINERS_CONF", path("containers.conf")).env("DISABLE_HC_SYSTEMD", "true");
        command.env("PYTHONPATH", packages()?);
        for name in
            ["TIDEMAP_HTTP", "TIDEMAP_PUBLIC", "TIDEMAP_API_TOKEN", "TIDEMAP_LISTEN", "TIDEMAP_ADVERTISE"]
        {
            command.env_remove(name);
        }
        let ended = command.args(args).stdin(Stdio::null()).output();
        ended.with_context(|| format!("cannot run {}", program.display()))
    }

    /// What a command prints that must succeed.
    fn must(&self, program: impl AsRef<Path>, args: &[&str]) -> anyhow::Result<String> {
        let ended = self.run(program, args)?;
        let (stdout, stderr) =
            (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        ensure!(ended.status.success(), "{}: {stdout}{stderr}", args.join(" "));
        Ok(stdout.trim().to_owned())
    }

    /// Builds an image of what `dist` has made. Nothing is below it, so nothing is fetched.
    fn build(&self, dist: &Path, target: &str, name: &str) -> anyhow::Result<()> {
        let file = format!("{REPOSITORY}/deploy/docker/Dockerfile");
        let build = ["build", "--isolation=chroot", "--pull=never", "--format=docker", "--file", &file];
        let from = format!("dist={}", dist.display());
        let processor = format!("TARGETARCH={ARCHITECTURE}");
        let what = ["--build-context", &from, "--build-arg", &processor, "--target", target, "--tag", name];
        let nothing = tempfile::tempdir()?;
        let context = nothing.path().to_str().context("a readable path")?;
        self.must("buildah", &[&build[..], &what, &[context]].concat())?;
        let size = self.must("podman", &["image", "inspect", "--format", "{{.Size}}", name])?;
        eprintln!("image {name}: {size} bytes");
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for args in [&["rm", "--all", "--force", "--volumes"][..], &["umount", "--all"]] {
            if let Err(error) = self.must("podman", args) {
                eprintln!("{error:#}");
            }
        }
    }
}

/// Where `xtask` has unpacked what reads a compose file, with what it needs.
fn packages() -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(tidemap_broker::default_tools_dir().join(COMPOSE))?)
}

/// What the first process of a container may do.
fn rights(pid: &str) -> anyhow::Result<Vec<String>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let names = ["Uid:", "Gid:", "CapEff:", "NoNewPrivs:"];
    Ok(status.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).map(words).collect())
}

#[tokio::test]
async fn compose_starts_the_whole_without_root_and_without_a_shell() {
    let Some(dist) = dist() else { return };
    // Where the page's port is free.
    let _lan = Lan::new().unwrap();
    let engine = Engine::new().unwrap();
    engine.build(&dist, "tidemap", "localhost/tidemap").unwrap();
    let file = format!("{REPOSITORY}/compose.yaml");
    let program = packages().unwrap().join("bin/podman-compose");
    let compose = |args: &[&str]| engine.must(&program, &[&["-p", "trial", "-f", &file][..], args].concat());

    let start = Instant::now();
    compose(&["up", "-d", "--no-build"]).unwrap();
    let online = || async {
        let nodes: Vec<NodeJson> = get_json("http://127.0.0.1:8080/api/nodes".to_owned()).await?;
        ensure!(nodes.len() == 1 && nodes[0].status == Status::Online, "{nodes:?}");
        Ok(())
    };
    let container = "trial_tidemap_1";
    let log = || engine.must("podman", &["logs", container]).unwrap_or_default();
    eventually(EVENT_TIMEOUT, online).await.unwrap_or_else(|error| panic!("{error:#}\n{}", log()));
    eprintln!("compose: this host's node is online after {:.1} s", start.elapsed().as_secs_f64());
    let page = get("http://127.0.0.1:8080/".to_owned()).await.unwrap();
    assert!(page.status == 200 && page.body.contains("<title>Tidemap"), "{page:?}");

    let healthy = || async { engine.must("podman", &["healthcheck", "run", container]) };
    eventually(EVENT_TIMEOUT, healthy).await.unwrap();
    let inspected = "{{.HostConfig.ReadonlyRootfs}} {{.State.Pid}}";
    let inspected = engine.must("podman", &["inspect", "--format", inspected, container]).unwrap();
    let (is_read_only, pid) = inspected.split_once(' ').unwrap();
    assert_eq!(is_read_only, "true");
    let nobody = [USER; 4].join(" ");
    let expected = [
        format!("Uid: {nobody}"),
        format!("Gid: {nobody}"),
        "CapEff: 0000000000000000".to_owned(),
        "NoNewPrivs: 1".to_owned(),
    ];
    assert_eq!(rights(pid).unwrap(), expected);

    // A backup to a pipe needs a writable place besides: none but the volume is sure to be there.
    let backup = ["exec", container, "/usr/bin/tidemap", "backup", "-"];
    let made = engine.run("podman", &backup).unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success() && made.stdout.starts_with(&[0x1f, 0x8b]), "{said}");
    let place = ["image", "inspect", "--format", "{{.Config.Env}}", "localhost/tidemap"];
    let place = engine.must("podman", &place).unwrap();
    assert!(place.contains("TMPDIR=/var/lib/tidemap"), "{place}");

    // Another port: whoever supervises it asks there, too.
    let elsewhere = engine
        .run(
            "podman",
            &["exec", "--env", "TIDEMAP_HTTP=127.0.0.1:1", container, "/usr/bin/tidemap", "health"],
        )
        .unwrap();
    assert!(!elsewhere.status.success(), "{elsewhere:?}");
    compose(&["down", "-v"]).unwrap();
    assert_eq!(engine.must("podman", &["ps", "--all", "--quiet"]).unwrap(), "");
}

#[tokio::test]
async fn the_agents_image_has_one_program() {
    let Some(dist) = dist() else { return };
    let engine = Engine::new().unwrap();
    engine.build(&dist, "agent", "localhost/tidemap-agent").unwrap();
    let run = ["run", "--rm", "--read-only", "--network=host", "--cap-drop=all", "localhost/tidemap-agent"];
    let said = engine.must("podman", &[&run[..], &["--version"]].concat()).unwrap();
    assert!(said.starts_with("tidemap-agent "), "{said}");
    // It finds this machine's interfaces: the kernel's, whatever is in the image.
    let seen = engine.must("podman", &[&run[..], &["--explain"]].concat()).unwrap();
    assert!(seen.contains("lo"), "{seen}");
}
