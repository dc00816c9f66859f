//! Whether the API ever goes back: what a node has counted, and when it was seen, only grows.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidemap_wire::http::NodeJson;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use tidemap_testkit::http::get_json;

/// How often the API is asked.
const PERIOD: Duration = Duration::from_millis(500);

/// Asks the API again and again, until it is dropped.
pub(super) struct Steadiness {
    regressions: Arc<Mutex<Vec<String>>>,
    _asking: JoinSet<()>,
}

impl Steadiness {
    /// Begins to ask.
    pub(super) fn start(api_url: &str) -> Self {
        let regressions = Arc::new(Mutex::new(Vec::new()));
        let url = format!("{api_url}/api/nodes");
        let noting = Arc::clone(&regressions);
        let mut asking = JoinSet::new();
        asking.spawn(async move {
            let mut newest: BTreeMap<String, NodeJson> = BTreeMap::new();
            let mut period = interval(PERIOD);
            period.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                period.tick().await;
                let Ok(nodes) = get_json::<Vec<NodeJson>>(url.clone()).await else { continue };
                for node in nodes {
                    let before = newest.insert(node.name.clone(), node.clone());
                    if let Some(regression) = before.and_then(|before| regression(&before, &node)) {
                        noting.lock().unwrap_or_else(PoisonError::into_inner).push(regression);
                    }
                }
            }
        });
        Self { regressions, _asking: asking }
    }

    /// The values that went back.
    pub(super) fn regressions(&self) -> Vec<String> {
        self.regressions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn regression(before: &NodeJson, after: &NodeJson) -> Option<String> {
    let counted = |node: &NodeJson| (node.network_rx_bytes_total, node.network_tx_bytes_total);
    let fell = counted(after).0 < counted(before).0
        || counted(after).1 < counted(before).1
        || after.last_seen_timestamp < before.last_seen_timestamp;
    fell.then(|| {
        format!(
            "{}: {:?} at {} after {:?} at {}",
            after.name,
            counted(after),
            after.last_seen_timestamp,
            counted(before),
            before.last_seen_timestamp
        )
    })
}
