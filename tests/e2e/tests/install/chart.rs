//! What the Helm chart makes, as nats-server and `tidemap` read it.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, ensure};
use data_encoding::BASE64;
use tidemap_broker::jwt::{EnrollKey, Operator};
use tidemap_testkit::process::tidemap;

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

/// Helm, which makes the chart's manifests with this setting; `None`, and a line that says so, without it.
fn template(part: &str, setting: &str) -> Option<String> {
    let helm = std::path::absolute(tidemap_broker::default_tools_dir()).unwrap().join("helm/helm");
    if !helm.is_file() {
        let helm = helm.display();
        eprintln!("\n*** SKIPPED: {helm} is missing: `cargo xtask test --only deploy` fetches it ***\n");
        return None;
    }
    let mut template = Command::new(&helm);
    template.args(["template", "tidemap", CHART, "--show-only", &format!("templates/{part}.yaml")]);
    Some(must(template.args(["--set", setting])).unwrap())
}

/// What a Secret in the manifests has under this name.
fn secret(manifests: &str, name: &str) -> Vec<u8> {
    let line = manifests.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: "))).unwrap();
    BASE64.decode(line.as_bytes()).unwrap()
}

#[test]
fn the_charts_certificate_is_for_names_and_addresses() {
    let names = "broker.service.names={192.0.2.7,nats.example.org}";
    let Some(made) = template("broker", names) else { return };
    let pem = String::from_utf8(secret(&made, "tls.crt")).unwrap();
    let lines = pem.lines().take_while(|line| !line.starts_with("-----END"));
    let base64: String = lines.filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64.decode(base64.as_bytes()).unwrap();
    let has = |bytes: &[u8]| der.windows(bytes.len()).any(|window| window == bytes);
    // GeneralName: an IP address is [7], a DNS name [2].
    assert!(has(&[0x87, 4, 192, 0, 2, 7]));
    assert!(has(b"\x82\x10nats.example.org"));
    assert!(!has(b"192.0.2.7"));
}

/// The variables that an image has, and those that a manifest sets on top.
fn variables(manifests: &str) -> Vec<(String, String)> {
    let dockerfile = fs::read_to_string(format!("{CHART}/../../docker/Dockerfile")).unwrap();
    let (_, own) = dockerfile.split_once("\nENV ").unwrap();
    let own = own.lines().take_while(|line| line.contains('=')).filter_map(|line| line.split_once('='));
    let own =
        own.map(|(name, value)| (name.trim().to_owned(), value.trim_end_matches('\\').trim().to_owned()));
    let mut lines = manifests.lines().map(str::trim).peekable();
    let mut set = Vec::new();
    while let Some(line) = lines.next() {
        let value = lines.peek().and_then(|next| next.strip_prefix("value: "));
        if let (Some(name), Some(value)) = (line.strip_prefix("- name: "), value) {
            set.push((name.to_owned(), value.trim_matches('"').to_owned()));
        }
    }
    own.chain(set).collect()
}

#[test]
fn the_charts_enroller_finds_the_operators_folder() {
    let Some(made) = template("enroller", "broker.replicas=1") else { return };
    let folder = tempfile::tempdir().unwrap();
    Operator::open_or_create(folder.path(), EnrollKey::Keep, 1_800_000_000).unwrap();
    let variables = variables(&made);
    let value = |name: &str| variables.iter().rfind(|(own, _)| own == name).map(|(_, value)| value.as_str());
    assert_eq!(value("TIDEMAP_OPERATOR"), Some("/operator/folder"), "{variables:?}");
    // What the image has is not the operator's.
    assert_eq!(value("TIDEMAP_DATA_DIR"), Some(""), "{variables:?}");
    assert!(variables.iter().any(|(name, value)| name == "TIDEMAP_DATA_DIR" && value == "/var/lib/tidemap"));
    let mut invites = Command::new(tidemap().unwrap());
    invites.arg("invites").env_clear().envs(variables).env("TIDEMAP_OPERATOR", folder.path());
    must(&mut invites).unwrap();
}

#[test]
fn the_charts_broker_starts_from_an_operators_files() {
    let nats_server: PathBuf = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
    for replicas in ["1", "3"] {
        let folder = tempfile::tempdir().unwrap();
        Operator::open_or_create(folder.path(), EnrollKey::Keep, 1_800_000_000).unwrap();
        fs::copy(folder.path().join("broker/nats.conf"), folder.path().join("nats.conf")).unwrap();
        let setting = format!("broker.replicas={replicas}");
        let Some(made) = template("broker", &setting) else { return };
        let here = folder.path().to_str().unwrap();
        let configuration = block(&made, "broker.conf").unwrap();
        assert_eq!(configuration.contains("cluster {"), replicas == "3", "{configuration}");
        let configuration = configuration.replace("/etc/tidemap/tls", here).replace("/var/lib/tidemap", here);
        fs::write(folder.path().join("broker.conf"), configuration).unwrap();
        for file in ["ca.crt", "tls.crt", "tls.key"] {
            fs::write(folder.path().join(file), secret(&made, file)).unwrap();
        }
        let mut check = Command::new(&nats_server);
        check.current_dir(here).env("POD_NAME", "tidemap-broker-0").args(["-c", "broker.conf", "-t"]);
        let said = must(&mut check).unwrap();
        assert!(said.contains("is valid"), "{said}");
    }
}
