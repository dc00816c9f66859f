//! `enroll` and `revoke` report success only when the broker has reloaded its users.

use std::{fs, path::Path, process::Stdio};

use tidemap_broker::keys::Keys;
use tidemap_testkit::{
    eventually,
    process::{Tidemap, run_to_end},
};
use tokio::process::{Child, Command};

use crate::{EVENT_TIMEOUT, tls::made};

/// The configuration of the unit's broker: our users, and a certificate.
fn configuration(folder: &Path) -> String {
    let tls = made(folder, "127.0.0.1", 0);
    let rules = include_str!("../../../../nats.conf");
    format!("{rules}\ntls {{\n  cert_file: {:?}\n  key_file: {:?}\n}}\n", tls.certificate, tls.key)
}

/// A broker started as our systemd unit starts it, but on a free port; and its address.
async fn service_manager(folder: &Path) -> (Child, String) {
    Keys::open_or_create(folder).unwrap();
    fs::write(folder.join("nats.conf"), configuration(folder)).unwrap();
    let unit = include_str!("../../../../deploy/systemd/tidemap-nats.service").replace("\\\n", " ");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let here = start.replace("/var/lib/tidemap", folder.to_str().unwrap());
    let here = here.replace("0.0.0.0", "127.0.0.1").replace("4222", "-1");
    let binary = tokio::task::spawn_blocking(|| tidemap_broker::locate(&tidemap_broker::default_tools_dir()));
    let mut command = Command::new(binary.await.unwrap().unwrap());
    command.args(here.split_whitespace().skip(1));
    let journal = folder.join("journal");
    command.stdout(Stdio::null()).stderr(fs::File::create(&journal).unwrap()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    let address = eventually(EVENT_TIMEOUT, async || {
        let log = fs::read_to_string(&journal)?;
        let address = log.split_once("Listening for client connections on ");
        let ready = address.filter(|_| log.contains("Server is ready"));
        let address =
            ready.and_then(|(_, after)| after.lines().next()).map(|address| format!("tls://{address}"));
        address.ok_or_else(|| anyhow::anyhow!("{log}"))
    });
    (child, address.await.unwrap())
}

#[tokio::test]
async fn a_broker_of_a_service_manager_shuts_out_the_node_that_revoke_names() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let (mut broker, url) = service_manager(folder.path()).await;
    let ca = folder.path().join("tls/ca.pem").to_str().unwrap().to_owned();
    let there = ["--data-dir", data, "--nats-url", &url, "--nats-ca", &ca];
    let command = |name: &'static str| [&[name, "a"], &there[..]].concat();
    let (code, output) = run_to_end(&command("enroll")).await.unwrap();
    assert!(code == Some(0) && output.contains("the broker has reloaded its users"), "{output}");
    let key = folder.path().join("keys/agents/a.nk");
    let agent_key = tempfile::tempdir().unwrap();
    let carried = agent_key.path().join("a.nk");
    fs::copy(key, &carried).unwrap();
    let args =
        ["agent", "--node", "a", "--nats-url", &url, "--nats-ca", &ca, "--creds", carried.to_str().unwrap()];
    let agent = Tidemap::start(&args).unwrap();
    let says = async |words: &str| {
        let said = eventually(EVENT_TIMEOUT, async || {
            let log = agent.log();
            anyhow::ensure!(log.contains(words), "no {words:?} in {log}");
            Ok(())
        });
        said.await.unwrap();
    };
    says("connected to the broker").await;
    let (code, output) = run_to_end(&command("revoke")).await.unwrap();
    println!("{}", output.trim());
    assert!(code == Some(0) && output.contains("a is revoked"), "{output}");
    says("refuses this key").await;

    // The broker cannot reload its users, and both commands report it.
    let broken = configuration(folder.path()) + "no_such_word: 1\n";
    fs::write(folder.path().join("nats.conf"), broken).unwrap();
    for name in ["enroll", "revoke"] {
        let (code, output) = run_to_end(&command(name)).await.unwrap();
        println!("{}", output.trim());
        assert!(code == Some(1) && output.contains("Failed to reload"), "{code:?} {output}");
    }
    // No broker can be reached.
    let (code, output) =
        run_to_end(&["revoke", "a", "--data-dir", data, "--nats-url", "nats://127.0.0.1:1"]).await.unwrap();
    println!("{}", output.trim());
    assert!(code == Some(1) && output.contains("--nats-url"), "{code:?} {output}");
    broker.kill().await.unwrap();
    let (code, output) = run_to_end(&command("revoke")).await.unwrap();
    println!("{}", output.trim());
    assert!(code == Some(1) && output.contains("no broker runs here"), "{code:?} {output}");
}

#[tokio::test]
async fn a_broker_of_up_that_cannot_read_its_users_again_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let listen = ["--node", "here", "--listen", "127.0.0.1:0", "--advertise", "127.0.0.1"];
    let (_up, _) = Tidemap::up(folder.path(), &listen).await.unwrap();
    let data = folder.path().to_str().unwrap();
    let (code, output) = run_to_end(&["enroll", "a", "--data-dir", data]).await.unwrap();
    assert!(code == Some(0) && output.contains("the broker has reloaded its users"), "{output}");
    fs::write(folder.path().join("tls/broker.pem"), "no certificate").unwrap();
    for name in ["enroll", "revoke"] {
        let (code, output) = run_to_end(&[name, "a", "--data-dir", data]).await.unwrap();
        println!("{}", output.trim());
        assert!(code == Some(1) && output.contains("Failed to reload"), "{code:?} {output}");
        assert_eq!(output.trim().lines().count(), 1, "{output}");
    }
}
