//! Wrong command lines, wrong messages, wrong keys: one clear error or a count, and everything else
//! continues.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use async_nats::{Client, ConnectOptions, Message, Subscriber};
use futures_util::StreamExt;
use serde_json::Value;
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{
    eventually,
    http::get_json,
    process::{Tidemap, run_to_end},
    within,
};
use tidemap_wire::{Bps, NodeId, PartitionStats, Report, Sample, decode, encode, http::NodeJson, subject};

const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_wrong_command_line_is_one_line_and_exit_code_64() {
    for (args, message) in [
        (&["up", "--nosuch"][..], "--nosuch"),
        (&["up", "--interval", "0"], "--interval"),
        (&["up", "--location", "north"], "--location"),
        (&["up", "--partitions", "7"], "--partitions"),
        (&["up", "--http", "0.0.0.0:0"], "--http"),
        (&["up", "--nats-url", "nats://0.0.0.0:4222"], "--nats-url"),
        (&["up", "--offline-after", "1"], "--offline-after"),
        (&["up", "--simulate", "0"], "--simulate"),
        (&["ingest", "--creds", "/no/such/file"], "--creds"),
        (&["agent", "--log", "=loud="], "--log"),
        (&["enroll", "web-02", "--data-dir", "/no/such/folder"], "--data-dir"),
        (&["nosuch"], "nosuch"),
    ] {
        let (code, stderr) = run_to_end(args).await.unwrap();
        assert_eq!(code, Some(64), "{args:?}: {stderr}");
        assert!(stderr.contains(message) && stderr.trim().lines().count() == 1, "{args:?}: {stderr}");
    }
}

#[tokio::test]
async fn a_taken_port_or_forbidden_folder_is_one_line_and_leaves_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (code, stderr) =
        run_to_end(&["up", "--http", &address, "--data-dir", data.to_str().unwrap()]).await.unwrap();
    assert_eq!(code, Some(64), "{stderr}");
    assert!(
        stderr.contains(&format!("{address} is taken")) && stderr.trim().lines().count() == 1,
        "{stderr}"
    );
    assert!(!data.join("jetstream").exists(), "no broker may have started");

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let inside = file.join("data");
    let args = ["up", "--http", "127.0.0.1:0", "--data-dir", inside.to_str().unwrap()];
    let (code, stderr) = run_to_end(&args).await.unwrap();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("cannot write to the data folder") && stderr.trim().lines().count() == 1,
        "{stderr}"
    );
}

struct Pipeline {
    folder: tempfile::TempDir,
    _up: Tidemap,
    url: String,
    broker: String,
}

async fn pipeline(more: &[&str]) -> Pipeline {
    let folder = tempfile::tempdir().unwrap();
    let (up, url) = Tidemap::up(folder.path(), &[&["--node", "here"], more].concat()).await.unwrap();
    // The log is written by a thread of its own.
    let broker = eventually(EVENT_TIMEOUT, || async {
        let log = up.log();
        let named = log.split("broker=\"").nth(1).and_then(|named| named.split_once('"'));
        named.map(|(broker, _)| broker.to_owned()).with_context(|| format!("no broker: {log}"))
    });
    let broker = broker.await.unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
        ensure!(!nodes.is_empty(), "no node yet");
        Ok(())
    })
    .await
    .unwrap();
    Pipeline { folder, _up: up, url, broker }
}

impl Pipeline {
    fn key(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("keys").join(name)
    }

    async fn connect(&self, key: &str, inbox: Option<&str>) -> Client {
        NatsArgs::new(&self.broker, Some(&self.key(key))).connect("test", inbox).await.unwrap()
    }

    /// Messages refused for `reason`, over all partitions.
    async fn refused(&self, stats: &mut Subscriber, reason: &str) -> u64 {
        let mut by_partition = std::collections::BTreeMap::new();
        while by_partition.len() < 8 {
            let message = within(EVENT_TIMEOUT, stats.next()).await.unwrap().unwrap();
            let stats: PartitionStats = decode(&message.payload).unwrap();
            by_partition.insert(stats.partition, stats.refused.get(reason).copied().unwrap_or(0));
        }
        by_partition.values().sum()
    }
}

fn report(name: &str, boot: u64, seq: u64) -> Report {
    let at_ms = tidemap_service::clock::unix_ms();
    let rate = Bps::new(1_000.0);
    let sample = Sample { seq, at_ms, elapsed_ms: 1_000, rx_bps: rate, tx_bps: rate, ..Sample::default() };
    Report { node: NodeId::from_name(name).unwrap(), boot, hello: None, samples: vec![sample] }
}

#[tokio::test]
async fn wrong_messages_are_counted_and_the_rest_goes_on() {
    let pipeline = pipeline(&[]).await;
    let simulator = pipeline.connect("simulator.nk", Some("_INBOX.simulator")).await;
    let js = tidemap_testkit::broker::jetstream(simulator.clone());
    let services = pipeline.connect("service.nk", None).await;

    let good = subject::sample(&NodeId::from_name("web-01").unwrap());
    let send = async |subject: &str, payload: Vec<u8>| {
        js.publish(subject.to_owned(), payload.into()).await.unwrap().await.unwrap();
    };
    send(&good, b"\xc1 not MessagePack".to_vec()).await;
    send(&good, encode(&report("web-02", 1, 1))).await;
    send("tidemap.v1.sample.7.web-01", encode(&report("web-01", 1, 1))).await;
    for (reason, expected) in [("garbage", 1), ("node-mismatch", 1), ("subject", 1)] {
        let counted = eventually(EVENT_TIMEOUT, || async {
            let mut stats = services.subscribe(subject::ALL_STATS).await?;
            let counted = pipeline.refused(&mut stats, reason).await;
            ensure!(counted >= expected, "{reason}: {counted}");
            Ok(counted)
        })
        .await;
        assert_eq!(counted.unwrap(), expected, "{reason}");
    }

    // The broker itself refuses what is larger than any report.
    let large = js.publish(good.clone(), vec![0; 1 << 20].into()).await;
    let refused = match large {
        Ok(ack) => ack.await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "a message of 1 MB must be refused");

    // Two agents with one name: the newer one keeps it, and the older one is counted.
    send(&good, encode(&report("web-01", 1, 1))).await;
    send(&good, encode(&report("web-01", 2, 1))).await;
    send(&good, encode(&report("web-01", 1, 2))).await;
    eventually(EVENT_TIMEOUT, || async {
        let counted =
            pipeline.refused(&mut services.subscribe(subject::ALL_STATS).await?, "second-agent").await;
        ensure!(counted == 1, "{counted}");
        Ok(())
    })
    .await
    .unwrap();

    eventually(EVENT_TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{}/api/nodes", pipeline.url)).await?;
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        ensure!(names == ["here", "web-01"], "{names:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn another_program_can_read_everything_and_write_nothing() {
    let pipeline = pipeline(&[]).await;
    let app = pipeline.connect("app.nk", None).await;
    let mut deltas = app.subscribe(subject::ALL_DELTAS).await.unwrap();
    let mut samples = app.subscribe(subject::ALL_SAMPLES).await.unwrap();
    let next = async |subscriber: &mut Subscriber| -> Value {
        let message: Message = within(EVENT_TIMEOUT, subscriber.next()).await.unwrap().unwrap();
        // Any MessagePack library can read it: the fields are found by name.
        rmp_serde::from_slice(&message.payload).unwrap()
    };
    let sample = next(&mut samples).await;
    assert_eq!(sample["node"], "here");
    assert!(sample["samples"][0]["rx_bps"].is_number(), "{sample}");
    let delta = next(&mut deltas).await;
    assert_eq!(delta["nodes"][0]["node"], "here");
    assert!(delta["nodes"][0]["rx_avg"]["10s"].is_number(), "{delta}");

    let services = pipeline.connect("service.nk", None).await;
    let mut heard = services.subscribe("tidemap.v1.>").await.unwrap();
    services.flush().await.unwrap();
    for subject in ["tidemap.v1.delta.0", "tidemap.v1.sample.1.forged", "tidemap.v1.forged", "$JS.API.INFO"] {
        app.publish(subject, "forged".into()).await.unwrap();
    }
    app.flush().await.unwrap();
    // A message of the app would have arrived before this one.
    services.publish("tidemap.v1.mark", "".into()).await.unwrap();
    loop {
        let message = within(EVENT_TIMEOUT, heard.next()).await.unwrap().unwrap();
        assert_ne!(message.payload, "forged", "{}", message.subject);
        if message.subject.as_str() == "tidemap.v1.mark" {
            break;
        }
    }
}

#[tokio::test]
async fn a_client_without_a_key_is_refused() {
    let pipeline = pipeline(&[]).await;
    let refused = ConnectOptions::new().connect(&pipeline.broker).await;
    assert!(refused.is_err());
    let stranger = pipeline.folder.path().join("stranger.nk");
    std::fs::write(&stranger, nkeys::KeyPair::new_user().seed().unwrap()).unwrap();
    let args = NatsArgs::new(&pipeline.broker, Some(Path::new(&stranger)));
    let client = args.connect("stranger", None).await.unwrap();
    assert!(tidemap_service::nats::reached(&client, Duration::from_secs(2)).await.is_err());
}

#[tokio::test]
async fn an_enrolled_node_reports_and_a_revoked_one_no_longer_can() {
    let pipeline = pipeline(&[]).await;
    let data = pipeline.folder.path().to_str().unwrap();
    let mut enrolled = Tidemap::start(&[
        "enroll",
        "Edge.7",
        "--labels",
        "rack=7",
        "--data-dir",
        data,
        "--nats-url",
        &pipeline.broker,
    ])
    .unwrap();
    let line = enrolled.line().await.unwrap();
    assert!(line.contains(" --node Edge.7 --label rack=7 "), "{line}");
    let key = pipeline.key("agents/edge=2E7.nk");
    let args =
        ["agent", "--node", "edge.7", "--nats-url", &pipeline.broker, "--creds", key.to_str().unwrap()];
    let _agent = Tidemap::start(&args).unwrap();
    let node = async || get_json::<NodeJson>(format!("{}/api/nodes/edge.7", pipeline.url)).await;
    eventually(EVENT_TIMEOUT, node).await.unwrap();
    let (code, output) = run_to_end(&["revoke", "edge.7", "--data-dir", data]).await.unwrap();
    assert!(code == Some(0) && output.contains("edge.7 is no longer listed"), "{output}");
    eventually(EVENT_TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{}/api/nodes", pipeline.url)).await?;
        ensure!(nodes.iter().all(|node| node.name != "edge.7"), "still listed");
        Ok(())
    })
    .await
    .unwrap();
}
