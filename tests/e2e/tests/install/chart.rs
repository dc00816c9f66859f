//! The broker that the Helm chart makes, as nats-server reads it.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, ensure};
use data_encoding::BASE64;
use tidemap_broker::jwt::{EnrollKey, Operator};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/helm/tidemap");

/// What a command prints that must succeed.
fn must(command: &mut Command) -> anyhow::Result<String> {
    let ended = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{command:?}: {stderr}");
    Ok(String::from_utf8(ended.stdout)? + &stderr)
}

/// The lines below a key that hold its text.
fn block(manifests: &str, key: &str) -> Option<String> {
    let (_, rest) = manifests.split_once(&format!("\n  {key}: |\n"))?;
    let lines = rest.lines().map_while(|line| line.strip_prefix("    "));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_charts_broker_starts_from_an_operators_files() {
    let helm = std::path::absolute(tidemap_broker::default_tools_dir()).unwrap().join("helm/helm");
    if !helm.is_file() {
        eprintln!(
            "\n*** SKIPPED: {} is missing: `cargo xtask test --only deploy` fetches it ***\n",
            helm.display()
        );
        return;
    }
    let nats_server: PathBuf = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
    for replicas in ["1", "3"] {
        let folder = tempfile::tempdir().unwrap();
        Operator::open_or_create(folder.path(), EnrollKey::Keep, 1_800_000_000).unwrap();
        fs::copy(folder.path().join("broker/nats.conf"), folder.path().join("nats.conf")).unwrap();
        let setting = format!("broker.replicas={replicas}");
        let mut template = Command::new(&helm);
        template.args([
            "template",
            "tidemap",
            CHART,
            "--show-only",
            "templates/broker.yaml",
            "--set",
            &setting,
        ]);
        let made = must(&mut template).unwrap();
        let here = folder.path().to_str().unwrap();
        let configuration = block(&made, "broker.conf").unwrap();
        assert_eq!(configuration.contains("cluster {"), replicas == "3", "{configuration}");
        let configuration = configuration.replace("/etc/tidemap/tls", here).replace("/var/lib/tidemap", here);
        fs::write(folder.path().join("broker.conf"), configuration).unwrap();
        for file in ["ca.crt", "tls.crt", "tls.key"] {
            let line = made.lines().find_map(|line| line.trim().strip_prefix(&format!("{file}: "))).unwrap();
            fs::write(folder.path().join(file), BASE64.decode(line.as_bytes()).unwrap()).unwrap();
        }
        let mut check = Command::new(&nats_server);
        check.current_dir(here).env("POD_NAME", "tidemap-broker-0").args(["-c", "broker.conf", "-t"]);
        let said = must(&mut check).unwrap();
        assert!(said.contains("is valid"), "{said}");
    }
}
