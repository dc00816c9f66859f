//! Whether the history is ever above the truth: the most that it has said while the scenario ran.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidemap_service::clock::unix_ms;
use tidemap_testkit::http::get_json;
use tidemap_wire::http::{HistoryJson, NodeJson};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::history::Highest;

/// How often the API is asked for some nodes' minutes.
const PERIOD: Duration = Duration::from_millis(500);
/// So many nodes at once: each of a hundred every ten seconds.
const AT_ONCE: usize = 5;
const HOUR_MS: i64 = 3_600_000;

/// Asks the API again and again, until it is dropped.
pub(super) struct Ceiling {
    highest: Arc<Mutex<Highest>>,
    _asking: JoinSet<()>,
}

impl Ceiling {
    /// Begins to ask.
    pub(super) fn start(api_url: &str) -> Self {
        let highest = Arc::new(Mutex::new(Highest::default()));
        let (url, noting) = (api_url.to_owned(), Arc::clone(&highest));
        let mut asking = JoinSet::new();
        asking.spawn(async move {
            let (mut names, mut period) = (Vec::new(), interval(PERIOD));
            period.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                period.tick().await;
                // While the API or the station is away, there is nothing to be noted.
                if names.is_empty() {
                    let nodes = get_json::<Vec<NodeJson>>(format!("{url}/api/nodes")).await;
                    names = nodes.unwrap_or_default().into_iter().map(|node| node.name).collect();
                }
                for name in names.split_off(names.len().saturating_sub(AT_ONCE)) {
                    let now_ms = unix_ms();
                    let range = format!("from={}&to={}&step=1m", now_ms - 5 * HOUR_MS, now_ms + HOUR_MS);
                    let path = format!("{url}/api/nodes/{name}/history?{range}");
                    let Ok(answer) = get_json::<HistoryJson>(path).await else { continue };
                    noting.lock().unwrap_or_else(PoisonError::into_inner).note(&name, &answer);
                }
            }
        });
        Self { highest, _asking: asking }
    }

    /// The most that was said.
    pub(super) fn highest(&self) -> Highest {
        self.highest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
