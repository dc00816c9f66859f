//! The API and the fleet: whether it is ready, and the versions and the clocks of its nodes.

use std::{cmp::Ordering, collections::BTreeMap};

use serde::Deserialize;
use tidemap_service::causes::causes;

use super::finding::Finding;
use crate::{api_answer::ApiAddressArgs, traffic::harmless};

/// Beyond this, an agent's times are visibly wrong.
const MAX_SKEW_MS: u64 = 5_000;
/// Names in a line.
const NAMED: usize = 5;

#[derive(Clone, Debug, Deserialize)]
struct FoundNode {
    name: String,
    #[serde(default)]
    agent_version: Option<String>,
    #[serde(default)]
    clock_skew_ms: i64,
}

/// All checks of an API and of what it knows.
pub(super) fn examine(api: &ApiAddressArgs) -> Vec<Finding> {
    let at = harmless(api.address());
    if let Err(error) = api.ask("/readyz") {
        let remedy = "start it, or name its address with --url and its token with --api-token-file; right after a start, \
                      wait some seconds";
        return vec![Finding::wrong("api", format!("{at}: {}", causes(error.as_ref())), remedy)];
    }
    match api.read::<Vec<FoundNode>>("/api/nodes") {
        Ok(nodes) => {
            let ready = Finding::good("api", format!("{at} is ready and knows {} nodes", nodes.len()));
            vec![ready, versions(&nodes, env!("CARGO_PKG_VERSION")), clocks(&nodes)]
        }
        Err(error) => {
            let found = format!("{at}: {}", causes(error.as_ref()));
            let remedy = "name the token that the API runs with (its --api-token-file)";
            vec![Finding::wrong("api", found, remedy)]
        }
    }
}

/// Older agents are served; newer ones may report what this version does not know.
fn versions(nodes: &[FoundNode], own: &str) -> Finding {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for version in nodes.iter().filter_map(|node| node.agent_version.as_deref()) {
        *counts.entry(version).or_default() += 1;
    }
    let list: Vec<String> =
        counts.iter().map(|(version, count)| format!("{count} of {}", harmless(version))).collect();
    let found =
        format!("this is {own}, agents: {}", if list.is_empty() { "none".into() } else { list.join(", ") });
    if counts.keys().any(|version| compared(version, own) == Ordering::Greater) {
        let remedy = "upgrade the stations first: they may not know all that newer agents report";
        return Finding::wrong("versions", found, remedy);
    }
    Finding::good("versions", found)
}

fn clocks(nodes: &[FoundNode]) -> Finding {
    let off = |node: &&FoundNode| node.clock_skew_ms.unsigned_abs() > MAX_SKEW_MS;
    let wrong: Vec<&FoundNode> = nodes.iter().filter(off).collect();
    if wrong.is_empty() {
        return Finding::good(
            "clocks",
            format!("all agents' are within {} s of the broker's", MAX_SKEW_MS / 1_000),
        );
    }
    let name = |node: &&FoundNode| format!("{} ({} ms)", harmless(&node.name), node.clock_skew_ms);
    let mut names: Vec<String> = wrong.iter().take(NAMED).map(name).collect();
    if wrong.len() > NAMED {
        names.push(format!("and {} more", wrong.len() - NAMED));
    }
    let remedy = "let chrony or systemd-timesyncd set their clocks";
    Finding::wrong("clocks", format!("far from the broker's: {}", names.join(", ")), remedy)
}

/// By the numbers of a version; what follows them does not count.
fn compared(one: &str, other: &str) -> Ordering {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+', ' ']).map_while(|part| part.parse().ok()).collect()
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(version: Option<&str>, clock_skew_ms: i64) -> FoundNode {
        FoundNode { name: "web".to_owned(), agent_version: version.map(str::to_owned), clock_skew_ms }
    }

    #[test]
    fn older_agents_are_fine_and_newer_ones_are_not() {
        let old = [node(Some("0.1.0"), 0), node(Some("0.2.0"), 0), node(None, 0)];
        let found = versions(&old, "0.2.0");
        assert!(!found.is_wrong() && found.to_string().contains("1 of 0.1.0, 1 of 0.2.0"), "{found}");
        for newer in ["0.2.1", "0.10.0", "1.0.0-rc.1"] {
            assert!(versions(&[node(Some(newer), 0)], "0.2.0").is_wrong(), "{newer}");
        }
    }

    #[test]
    fn a_clock_that_is_far_off_is_named() {
        assert!(!clocks(&[node(None, 4_000)]).is_wrong());
        let found = clocks(&vec![node(None, -9_000); 7]);
        assert!(found.is_wrong() && found.to_string().contains("web (-9000 ms), and 2 more"), "{found}");
    }
}
