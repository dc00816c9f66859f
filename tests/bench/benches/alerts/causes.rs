//! Nodes whose rates pass a threshold, one after another.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use async_nats::jetstream;
use tidemap_service::{clock::unix_ms, nats::NatsArgs};
use tidemap_testkit::{
    broker::{self, TestBroker},
    eventually,
    sink::HttpSink,
};
use tidemap_wire::{AlertChange, AlertNotice, Bps, Hello, NodeId, Report, Sample, encode, subject};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::rules::{FOR, LABEL};

/// Between two samples of a node.
const SECOND: Duration = Duration::from_secs(1);
/// Between the moments of two nodes: at another part of a second each time.
const APART: Duration = Duration::from_millis(1_137);
/// Each node reports rates below the threshold first, for so long.
const CALM: Duration = Duration::from_secs(3);
/// Bytes of each second beyond the threshold.
const BEYOND: u64 = 125_000_000;
const NOTICE_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns how long after the rule's time the sink had each node's notice, in milliseconds.
pub(crate) async fn measure(broker: &TestBroker, count: u32, sink: &HttpSink) -> anyhow::Result<Vec<u64>> {
    let key = broker.keys.simulator_seed_path();
    let access = NatsArgs::new(&broker.url, Some(&key));
    let js = broker::jetstream(access.connect("causes", Some("_INBOX.simulator")).await?);
    let (begun, lasting) = (Instant::now() + CALM, APART * count + FOR + NOTICE_TIMEOUT);
    let (caused_in, mut caused) = mpsc::channel(count as usize);
    // They report until this returns, so each alert goes on.
    let mut nodes = JoinSet::new();
    for number in 0..count {
        nodes.spawn(report(js.clone(), node(number)?, begun + APART * number, caused_in.clone()));
    }
    let seen = eventually(lasting, || async {
        let seen = seen(sink)?;
        ensure!(seen.len() == count as usize, "{} of {count} nodes were notified", seen.len());
        Ok(seen)
    })
    .await?;
    if let Some(ended) = nodes.try_join_next() {
        ended??;
    }
    let mut delays_ms = Vec::new();
    while let Ok((node, caused)) = caused.try_recv() {
        let notified = seen.get(node.as_str()).context("another node was notified")?;
        let delay = notified.checked_duration_since(caused + FOR).context("it came too early")?;
        delays_ms.push(u64::try_from(delay.as_millis())?);
    }
    Ok(delays_ms)
}

fn node(number: u32) -> anyhow::Result<NodeId> {
    Ok(NodeId::from_name(&format!("cause-{number:03}"))?)
}

/// When the sink had the notice of each node.
fn seen(sink: &HttpSink) -> anyhow::Result<BTreeMap<String, Instant>> {
    let mut seen = BTreeMap::new();
    for (at, sent) in sink.arrivals() {
        let notice: AlertNotice = sent.json()?;
        ensure!(notice.change == AlertChange::Fired, "{notice:?}");
        for alert in notice.alerts {
            seen.entry(alert.target.id).or_insert(at);
        }
    }
    Ok(seen)
}

/// Reports once a second, from a moment on beyond the threshold, and tells when it says so first.
async fn report(
    js: jetstream::Context,
    node: NodeId,
    moment: Instant,
    caused: mpsc::Sender<(NodeId, Instant)>,
) -> anyhow::Result<()> {
    let mut due = interval_at(moment - CALM, SECOND);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bytes = 0;
    let labels = BTreeMap::from([(LABEL.0.to_owned(), LABEL.1.to_owned())]);
    for seq in 1.. {
        due.tick().await;
        let now = Instant::now();
        let moved = if now >= moment { BEYOND } else { 0 };
        if bytes == 0 && moved > 0 {
            caused.try_send((node.clone(), now))?;
        }
        bytes += moved;
        let sample = Sample {
            seq,
            at_ms: unix_ms(),
            elapsed_ms: u32::try_from(SECOND.as_millis())?,
            rx_bytes: bytes,
            rx_bps: Bps::over(moved, 1_000),
            tx_bps: Bps::over(0, 1_000),
            ..Sample::default()
        };
        let hello = Some(Box::new(Hello { labels: labels.clone(), ..Hello::default() }));
        let report = encode(&Report { node: node.clone(), boot: 1, hello, samples: vec![sample] });
        js.publish(subject::sample(&node), report.into()).await?.await.context("the broker refused")?;
    }
    Ok(())
}
