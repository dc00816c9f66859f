//! Names, ports and addresses: agents find the broker after each start, and people the page.

use std::net::{IpAddr, TcpListener};

use tidemap_testkit::{http::get, port::free_port, process::Tidemap};
use tidemap_wire::Status;
use tokio::process::Command;

use crate::{agent, becomes, done, endpoint, enrolled, ran, text};

#[tokio::test]
async fn a_start_without_its_name_does_not_lock_out_the_agents_that_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("0.0.0.0:{}", free_port().unwrap());
    let start = async |more: &[&str]| {
        let args = [&["--node", "here", "--listen", &listen], more].concat();
        Tidemap::up(folder.path(), &args).await.unwrap()
    };
    // An address of this host, but none that every certificate has.
    let (mut up, url) = start(&["--advertise", "127.0.0.2"]).await;
    let key = enrolled(folder.path(), "web-01").await;
    let broker = endpoint(folder.path());
    assert!(broker.starts_with("tls://127.0.0.2:"), "{broker}");
    let authority = folder.path().join("endpoint-ca.pem");
    let web = agent("web-01", &broker, &key, &["--nats-ca", text(&authority)]);
    becomes(&url, "web-01", Status::Online, &|| web.log()).await;
    assert!(up.terminate().await.unwrap().success());

    let (mut up, url) = start(&[]).await;
    becomes(&url, "web-01", Status::Online, &|| web.log()).await;
    assert_eq!(endpoint(folder.path()), broker);
    assert!(up.terminate().await.unwrap().success());

    // A new name is for new agents.
    let (mut up, url) = start(&["--advertise", "127.0.0.3"]).await;
    becomes(&url, "web-01", Status::Online, &|| web.log()).await;
    assert!(up.log().contains("know this host as 127.0.0.2, new ones as 127.0.0.3"), "{}", up.log());
    assert!(endpoint(folder.path()).starts_with("tls://127.0.0.3:"));
    assert!(up.terminate().await.unwrap().success());
    // A start for this host alone forgets nothing of this.
    let (mut up, _) = Tidemap::up(folder.path(), &["--node", "here"]).await.unwrap();
    assert!(up.log().contains("know the broker as 127.0.0.3"), "{}", up.log());
    assert!(up.terminate().await.unwrap().success());
    // Whoever removes the authority learns it before anything starts.
    std::fs::remove_dir_all(folder.path().join("tls")).unwrap();
    let data = text(folder.path());
    let up = ["up", "--http", "127.0.0.1:0", "--data-dir", data, "--node", "here", "--listen", &listen];
    let refused = ran(&up).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(64) && said.contains("--new-authority"), "{said}");
}

#[tokio::test]
async fn the_brokers_port_stays_and_is_another_only_when_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (mut up, url) = Tidemap::up(folder.path(), &[]).await.unwrap();
    let key = enrolled(folder.path(), "near").await;
    let broker = endpoint(folder.path());
    let near = agent("near", &broker, &key, &[]);
    becomes(&url, "near", Status::Online, &|| near.log()).await;
    assert!(up.terminate().await.unwrap().success());

    let (mut up, url) = Tidemap::up(folder.path(), &[]).await.unwrap();
    assert_eq!(endpoint(folder.path()), broker);
    becomes(&url, "near", Status::Online, &|| near.log()).await;
    assert!(up.terminate().await.unwrap().success());
    drop(near);

    let taken = TcpListener::bind(broker.strip_prefix("nats://").unwrap()).unwrap();
    let (mut up, _) = Tidemap::up(folder.path(), &[]).await.unwrap();
    assert_ne!(endpoint(folder.path()), broker);
    assert!(up.log().contains("listens on another port than before"), "{}", up.log());
    assert!(up.terminate().await.unwrap().success());
    drop(taken);
    let (_up, _) = Tidemap::up(folder.path(), &[]).await.unwrap();
    assert_eq!(endpoint(folder.path()), broker, "agents look for it there");
}

#[tokio::test]
async fn up_prints_addresses_that_a_browser_can_open() {
    let folder = tempfile::tempdir().unwrap();
    let data = text(folder.path());
    let up = ["up", "--data-dir", data, "--http", "0.0.0.0:0", "--public"];
    let mut up = Tidemap::start(&up).unwrap();
    let first = up.line().await.unwrap();
    assert!(first.starts_with("Tidemap is up: http://127.0.0.1:"), "{first}");
    let second = up.line().await.unwrap();
    let others = second.strip_prefix("From other hosts: ").unwrap();
    let here = first.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    // Whether a host's name is known here depends on the machine.
    let is_address = |url: &&str| {
        let host = url.strip_prefix("http://").and_then(|url| url.rsplit_once(':')).unwrap().0;
        host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    };
    for url in others.split_whitespace().filter(is_address).chain([here]) {
        assert_eq!(get(format!("{url}/healthz")).await.unwrap().status, 200, "{url}");
    }
    assert!(!second.contains("0.0.0.0"), "{second}");
}

#[tokio::test]
async fn a_brokers_folder_is_made_without_a_node() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("broker");
    let said = done(&["init", "--data-dir", text(&data)]).await;
    assert!(said.contains(text(&data.join("keys/service.nk"))), "{said}");
    assert_eq!(std::fs::read_dir(data.join("keys/agents")).unwrap().count(), 0);
    let server = tokio::task::spawn_blocking(|| tidemap_broker::locate(&tidemap_broker::default_tools_dir()));
    let checks = Command::new(server.await.unwrap().unwrap())
        .args(["-t", "-c", text(&data.join("nats.conf"))])
        .output()
        .await
        .unwrap();
    assert!(checks.status.success(), "{checks:?}");
    let key = std::fs::read(data.join("keys/service.nk")).unwrap();
    done(&["init", "--data-dir", text(&data)]).await;
    assert_eq!(std::fs::read(data.join("keys/service.nk")).unwrap(), key, "what is there stays");
    done(&["enroll", "web-01", "--data-dir", text(&data), "--nats-url", "tls://broker.example:4222"]).await;
}

#[tokio::test]
async fn a_start_on_another_port_says_where_agents_look() {
    let folder = tempfile::tempdir().unwrap();
    for (advertise, warns) in [("127.0.0.2:24222", false), ("127.0.0.2:24222", false), ("127.0.0.2", true)] {
        let listen = format!("127.0.0.1:{}", free_port().unwrap());
        let args = ["--node", "here", "--listen", &listen, "--advertise", advertise];
        let (mut up, _) = Tidemap::up(folder.path(), &args).await.unwrap();
        assert_eq!(up.log().contains("look for the broker at port 24222"), warns, "{}", up.log());
        assert!(up.terminate().await.unwrap().success());
    }
}
