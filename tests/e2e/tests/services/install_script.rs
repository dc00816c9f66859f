//! `install.sh`, as a user without root runs it. Booted systems with systemd are another test.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use tidemap_testkit::{
    http,
    nginx::Nginx,
    process::{Tidemap, clean, tidemap},
};
use tokio::process::Command;

use crate::invites::{invite, is_online};

/// A host with a home folder and no service manager, where the small program is the whole one.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        // A home's name may hold anything.
        Self { folder: tempfile::Builder::new().prefix("it's 100% ").tempdir().unwrap() }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Whether there is neither a program nor a key, nor a part of one.
    fn leaves_nothing(&self) -> bool {
        [".local/bin", ".config/tidemap"].iter().all(|folder| {
            let found = fs::read_dir(self.file(folder));
            found.map_or(true, |mut files| files.next().is_none())
        })
    }

    /// A shell of a user without root, for which this folder is home.
    fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("unshare");
        clean(&mut command);
        command
            .args(["--user", "sh", "-c", script])
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("TMPDIR", "/tmp");
        command.env_remove("XDG_CONFIG_HOME").env("XDG_RUNTIME_DIR", self.folder.path()).kill_on_drop(true);
        command
    }

    async fn run(&self, script: &str) -> Output {
        let output = self.shell(script).output().await.unwrap();
        println!("{script} → {} {}", output.status, String::from_utf8_lossy(&output.stderr));
        output
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with agents' programs, as an installation has it.
fn agents() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for architecture in ["x86_64", "aarch64"] {
        let path = folder.path().join(format!("tidemap-agent-{architecture}"));
        let program = tidemap().unwrap();
        fs::write(&path, format!("#!/bin/sh\nexec {} agent \"$@\"\n", program.display())).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

#[tokio::test]
async fn one_line_installs_an_agent_that_joins_and_another_takes_it_away() {
    let (folder, agents, host) = (tempfile::tempdir().unwrap(), agents(), Host::new());
    let data = folder.path().join("data");
    let agents = agents.path().to_str().unwrap();
    let (_up, url) = Tidemap::up(&data, &["--node", "first", "--agents-dir", agents]).await.unwrap();
    let word = invite(data.to_str().unwrap(), &["--label", "site=fra"]).await;
    // A script of which only a part arrives does nothing.
    let script = http::get(format!("{url}/install.sh")).await.unwrap().body;
    let part = &script[..script.len() - "main \"$@\"\n".len()];
    fs::write(host.file("part"), part).unwrap();
    host.run(&format!("sh ./part {word}")).await;
    assert!(!host.file(".local").exists() && !host.file(".config").exists());

    let line = format!("curl -fsS {url}/install.sh | sh -s -- --node edge-8 --label rack=7 {word}");
    let installed = host.run(&line).await;
    assert!(installed.status.success(), "{}", said(&installed));
    let settings = fs::read_to_string(host.file(".config/tidemap/agent.env")).unwrap();
    assert!(settings.contains("NODE_NAME=edge-8\n") && settings.contains("rack=7,site=fra"), "{settings}");
    let text = said(&installed);
    let start = text.lines().find(|line| line.contains("exec")).unwrap().trim();
    let mut agent = host.shell(start).spawn().unwrap();
    is_online(&url, "edge-8", &[("rack", "7"), ("site", "fra")]).await;
    agent.kill().await.unwrap();

    // Again, as a configuration tool does: the host stays what it is, and needs no use of the invite.
    let read = |name: &str| fs::read_to_string(host.file(".config/tidemap").join(name)).unwrap();
    let before = (read("agent.nk"), read("agent.env"));
    assert!(host.run(&line).await.status.success());
    assert_eq!((read("agent.nk"), read("agent.env")), before);

    assert!(host.run(&format!("curl -fsS {url}/install.sh | sh -s -- --uninstall")).await.status.success());
    for gone in [".local/bin/tidemap-agent", ".config/tidemap"] {
        assert!(!host.file(gone).exists(), "{gone}");
    }
}

#[tokio::test]
async fn what_goes_wrong_is_one_line_and_leaves_no_agent() {
    let (folder, agents, host) = (tempfile::tempdir().unwrap(), agents(), Host::new());
    let data = folder.path().join("data");
    let path = agents.path().to_str().unwrap();
    let (_up, url) = Tidemap::up(&data, &["--node", "first", "--agents-dir", path]).await.unwrap();
    let script = format!("curl -fsS {url}/install.sh | sh -s --");
    for (words, code, why) in [
        ("", 1, "usage: install.sh"),
        ("--nonsense", 1, "usage: install.sh"),
        ("a b c", 1, "usage: install.sh"),
        ("tooshort", 64, "an invite is a word of 32 letters"),
        ("aaaaaaaabbbbbbbbccccccccdddddddd", 1, "there is no such invite"),
        ("ftp://x aaaaaaaabbbbbbbbccccccccdddddddd", 1, "cannot be fetched"),
    ] {
        let output = host.run(&format!("{script} {words}")).await;
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{words}: {text}");
        let lines = if why.starts_with("usage") { 3 } else { 1 };
        let own = text.lines().filter(|line| !line.starts_with("curl: ")).count();
        assert!(text.contains(why) && own == lines, "{words}: {text}");
        assert!(host.leaves_nothing(), "{words}");
    }
    // A program that is not the one that was announced.
    let page = http::get(format!("{url}/agents/tidemap-agent-x86_64.sha256")).await.unwrap();
    assert_eq!(page.body.split(' ').next().map(str::len), Some(64), "{}", page.body);
    let directives = format!(
        "location = /agents/tidemap-agent-x86_64 {{ return 200 'other'; }} location = /agents/tidemap-agent-aarch64 \
         {{ return 200 'other'; }} location / {{ proxy_pass {url}/; }}"
    );
    let between = Nginx::start(&directives, &[]).await.unwrap();
    let output =
        host.run(&format!("{script} http://{} aaaaaaaabbbbbbbbccccccccdddddddd", between.address)).await;
    assert!(said(&output).contains("did not arrive whole"), "{}", said(&output));
    assert!(host.leaves_nothing());
}

#[tokio::test]
async fn behind_a_proxy_with_a_prefix_the_line_names_the_address() {
    let (folder, agents, host) = (tempfile::tempdir().unwrap(), agents(), Host::new());
    let data = folder.path().join("data");
    let path = agents.path().to_str().unwrap();
    let (_up, url) = Tidemap::up(&data, &["--node", "first", "--agents-dir", path]).await.unwrap();
    let proxy = Nginx::start(&format!("location /fleet/ {{ proxy_pass {url}/; }}"), &[]).await.unwrap();
    let outside = format!("http://{}/fleet", proxy.address);
    let args = ["invite", "--data-dir", data.to_str().unwrap(), "--api-url", &outside];
    let line = crate::invites::run(&args).await.out;
    let line = line.trim().replace("-s -- ", "-s -- --node proxied ");
    assert!(line.contains(&format!("{outside}/install.sh")), "{line}");
    let output = host.run(&line).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(Path::new(&host.file(".config/tidemap/agent.nk")).exists());
}

/// An unpacked archive: that of a release, or one with as little in it as the script needs.
fn archive(host: &Host) -> String {
    let dist = std::env::var_os("TIDEMAP_DIST").filter(|path| !path.is_empty());
    if let Some(dist) = dist {
        let entries = fs::read_dir(dist).unwrap().map(|entry| entry.unwrap().path());
        let mut unpacked = entries.filter(|path| path.is_dir() && path.join("install.sh").exists());
        return unpacked.next().unwrap().to_str().unwrap().to_owned();
    }
    let folder = host.file("tidemap-0.0.0");
    for part in ["bin", "lib/tidemap/agents", "lib/systemd/system", "share/man/man1"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    let script = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/install.sh")).unwrap();
    fs::write(folder.join("install.sh"), script).unwrap();
    let program = tidemap().unwrap();
    for (name, command) in [("tidemap", ""), ("tidemap-agent", " agent")] {
        let path = folder.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\nexec {}{command} \"$@\"\n", program.display())).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let unit = folder.join("lib/systemd/system/tidemap.service");
    fs::write(unit, "[Service]\nExecStart=/usr/local/bin/tidemap up\n").unwrap();
    fs::write(folder.join("share/man/man1/tidemap.1.gz"), "").unwrap();
    folder.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_unpacked_archive_installs_the_whole_or_the_agent_without_a_download() {
    let (folder, host) = (tempfile::tempdir().unwrap(), Host::new());
    let archive = archive(&host);
    let installed = host.run(&format!("sh \"{archive}/install.sh\"")).await;
    assert!(installed.status.success(), "{}", said(&installed));
    let program = host.file(".local/bin/tidemap");
    let version = Command::new(&program).arg("--version").output().await.unwrap();
    assert!(version.status.success() && host.file(".local/share/man/man1/tidemap.1.gz").exists());
    // Units of the system are root's.
    assert!(!host.file(".local/lib/systemd").exists());

    // An API that has no programs to hand out.
    let data = folder.path().join("data");
    let (_up, url) = Tidemap::up(&data, &["--node", "first"]).await.unwrap();
    let word = invite(data.to_str().unwrap(), &[]).await;
    let joined = host.run(&format!("cd \"{archive}\" && sh install.sh --node offline {url} {word}")).await;
    assert!(joined.status.success(), "{}", said(&joined));
    assert!(host.file(".config/tidemap/agent.nk").exists());
    assert!(host.run(&format!("sh \"{archive}/install.sh\" --uninstall")).await.status.success());
    for gone in [".local/bin/tidemap", ".local/bin/tidemap-agent", ".local/lib/tidemap", ".config/tidemap"] {
        assert!(!host.file(gone).exists(), "{gone}");
    }
    let other = Host::new();
    let line = format!("curl -fsS {url}/install.sh | sh -s -- {word}");
    let missing = other.run(&line).await;
    assert!(
        missing.status.code() == Some(1) && said(&missing).contains("cannot be fetched"),
        "{}",
        said(&missing)
    );
}

/// The service manager only writes down what it is asked.
#[tokio::test]
async fn a_unit_of_a_users_own_may_lie_anywhere_and_be_started_later() {
    let (folder, agents, host) = (tempfile::tempdir().unwrap(), agents(), Host::new());
    let data = folder.path().join("data");
    let path = agents.path().to_str().unwrap();
    let (_up, url) = Tidemap::up(&data, &["--node", "first", "--agents-dir", path]).await.unwrap();
    fs::create_dir_all(host.file("systemd")).unwrap();
    fs::create_dir_all(host.file("bin")).unwrap();
    let recorder = "#!/bin/sh\necho \"$@\" >>\"$HOME/asked\"\n";
    fs::write(host.file("bin/systemctl"), recorder).unwrap();
    fs::set_permissions(host.file("bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let word = invite(data.to_str().unwrap(), &[]).await;
    let script = format!(
        "export PATH=\"$HOME/bin:$PATH\"; curl -fsS {url}/install.sh | sh -s -- --no-start --node later {word}"
    );
    let installed = host.run(&script).await;
    assert!(installed.status.success(), "{}", said(&installed));
    let asked = fs::read_to_string(host.file("asked")).unwrap();
    assert_eq!(asked, "--user daemon-reload\n--user enable --quiet tidemap-agent.service\n");
    let unit = fs::read_to_string(host.file(".config/systemd/user/tidemap-agent.service")).unwrap();
    let home = host.folder.path().to_str().unwrap().replace('%', "%%");
    let start = format!(
        "ExecStart=\"{home}/.local/bin/tidemap-agent\" --creds \"{home}/.config/tidemap/agent.nk\"\n"
    );
    assert!(unit.contains(&start), "{unit}");
    assert!(unit.contains(&format!("EnvironmentFile={home}/.config/tidemap/agent.env\n")), "{unit}");

    // What somebody has set before stays.
    let settings = host.file(".config/tidemap/agent.env");
    let before = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("TIDEMAP_CAP=500/50\n{before}")).unwrap();
    let remove = format!("curl -fsS {url}/install.sh | sh -s -- --uninstall");
    assert!(host.run(&remove).await.status.success());
    assert_eq!(fs::read_to_string(settings).unwrap(), "TIDEMAP_CAP=500/50\n");
}
