//! The broker: whether it is reached, its version, its clock, and its disk budget.

use std::{path::Path, time::Duration};

use anyhow::Context;
use serde::Deserialize;
use tidemap_broker::keys;
use tidemap_service::{causes::causes, clock::unix_ms, deadline::within, moment};

use super::finding::Finding;
use crate::operator::BrokersArgs;

/// Older ones let one agent stop the readers of its partition.
const OLDEST: [u32; 3] = [2, 12, 8];
/// Beyond this, times in charts are visibly wrong.
const MAX_SKEW_MS: i64 = 1_000;
/// For the broker's answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The answer to `$SYS.REQ.SERVER.<id>.JSZ`.
#[derive(Debug, Deserialize)]
struct Answer {
    server: Server,
    data: Option<JetStream>,
}

#[derive(Debug, Deserialize)]
struct Server {
    ver: String,
    time: String,
}

#[derive(Debug, Default, Deserialize)]
struct JetStream {
    #[serde(default)]
    disabled: bool,
    #[serde(default, rename = "storage")]
    used_bytes: u64,
    #[serde(default)]
    config: Limits,
}

#[derive(Debug, Default, Deserialize)]
struct Limits {
    #[serde(default, rename = "max_storage")]
    max_bytes: u64,
}

/// All checks of the broker of a data folder.
pub(super) async fn examine(dir: &Path, brokers: BrokersArgs) -> Vec<Finding> {
    let url = brokers.nats_url.clone().unwrap_or_default();
    let asking = async {
        let client = brokers.reach(&keys::sys_seed_path(dir)).await?;
        let subject = format!("$SYS.REQ.SERVER.{}.JSZ", client.server_info().server_id);
        let began_ms = unix_ms();
        let request = client.request(subject, r#"{"config":true}"#.into());
        let answer = within(TIMEOUT, "it does not answer", request).await?;
        let answer: Answer = serde_json::from_slice(&answer.payload).context("its answer cannot be read")?;
        anyhow::Ok((answer, began_ms + (unix_ms() - began_ms) / 2))
    };
    match asking.await {
        Ok((answer, now_ms)) => judge(&url, &answer, now_ms),
        Err(error) => vec![Finding::wrong(
            "broker",
            format!("{url}: {}", causes(error.as_ref())),
            "start it (`tidemap up`, or its unit), and look into nats-server.log of the data folder",
        )],
    }
}

fn judge(url: &str, Answer { server, data }: &Answer, now_ms: i64) -> Vec<Finding> {
    let version = format!("nats-server {} at {}", server.ver, url.trim());
    let version = if is_new_enough(&server.ver) {
        Finding::good("broker", version)
    } else {
        let [major, minor, patch] = OLDEST;
        Finding::wrong("broker", version, format!("replace it by {major}.{minor}.{patch} or newer"))
    };
    let none = JetStream { disabled: true, ..JetStream::default() };
    let stream = match data.as_ref().unwrap_or(&none) {
        JetStream { disabled: true, .. } => Finding::wrong(
            "streams",
            "JetStream is off",
            "start the broker with nats.conf of the data folder",
        ),
        JetStream { used_bytes, config: Limits { max_bytes }, .. } => {
            let gb = |bytes: u64| bytes as f64 / 1e9;
            let found = format!("{:.1} of {:.1} GB are in use", gb(*used_bytes), gb(*max_bytes));
            if used_bytes / 15 * 16 < *max_bytes {
                Finding::good("streams", found)
            } else {
                Finding::wrong(
                    "streams",
                    found,
                    "give the broker more (max_file_store), or lower --disk-budget",
                )
            }
        }
    };
    let skew = moment::moment_ms(&server.time, now_ms).map(|there_ms| now_ms - there_ms);
    let clock = skew.map(|skew| match skew.abs() {
        ..=MAX_SKEW_MS => Finding::good("clock", format!("{skew} ms from the broker's")),
        _ => Finding::wrong(
            "clock",
            format!("{skew} ms from the broker's"),
            "let chrony or systemd-timesyncd set both clocks",
        ),
    });
    [version, stream].into_iter().chain(clock).collect()
}

fn is_new_enough(version: &str) -> bool {
    let numbers = version.split(['.', '-']).map_while(|part| part.parse().ok());
    numbers.take(OLDEST.len()).collect::<Vec<u32>>() >= OLDEST.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: &str, used: u64, time: &str) -> Vec<bool> {
        let text = format!(
            r#"{{"server":{{"ver":"{version}","time":"{time}"}},"data":{{"storage":{used},"config":{{"max_storage":1600}}}}}}"#
        );
        let answer: Answer = serde_json::from_str(&text).unwrap();
        judge("tls://a:1", &answer, 1_795_942_800_000).iter().map(Finding::is_wrong).collect()
    }

    #[test]
    fn an_old_broker_a_full_one_and_another_time_are_wrong() {
        assert_eq!(found("2.15.1", 100, "2026-11-29T09:00:00.3Z"), [false, false, false]);
        assert_eq!(found("2.12.7", 1_590, "2026-11-29T08:59:58Z"), [true, true, true]);
        assert_eq!(found("2.13.0-RC.1", 0, "2026-11-29T09:00:00.123456789Z"), [false, false, false]);
        let off = Answer { server: Server { ver: "3.0.0".into(), time: "?".into() }, data: None };
        assert_eq!(judge("", &off, 0).iter().map(Finding::is_wrong).collect::<Vec<_>>(), [false, true]);
    }
}
