//! Which crate may depend on which. ARCHITECTURE.md draws the same arrows.

use super::{crates::crates, sources::assert_none};

/// A crate, and the crates of the workspace that its programs may contain.
const MAY_USE: [(&str, &[&str]); 24] = [
    ("tidemap-wire", &[]),
    ("tidemap-service", &["wire"]),
    ("tidemap-client", &["wire", "service"]),
    ("tidemap-broker", &["wire", "service"]),
    ("tidemap-traffic", &[]),
    ("tidemap-billing", &["wire", "client", "traffic"]),
    ("tidemap-alert", &["wire", "traffic"]),
    ("tidemap-simulate", &["wire", "service", "agent", "relay"]),
    ("tidemap-agent", &["wire", "service"]),
    ("tidemap-relay", &["wire", "service"]),
    ("tidemap-ingest", &["wire", "service"]),
    ("tidemap-history", &["wire", "service", "client"]),
    ("tidemap-alerts", &["wire", "service", "client", "traffic", "billing", "alert"]),
    ("tidemap-api", &["wire", "service", "client", "traffic", "billing"]),
    ("tidemap-webui", &["wire", "format", "parts", "map", "pixels"]),
    ("tidemap-past", &["wire", "format", "parts", "map"]),
    ("tidemap-parts", &["wire"]),
    ("tidemap-format", &["wire"]),
    ("tidemap-map", &["wire", "format", "pixels"]),
    ("tidemap-pixels", &[]),
    (
        "tidemap",
        &[
            "wire", "service", "client", "broker", "simulate", "agent", "relay", "ingest", "history", "api",
            "traffic", "alert", "alerts",
        ],
    ),
    ("tidemap-testkit", &["wire", "service", "client", "broker", "simulate"]),
    // These packages test and measure the whole.
    ("tidemap-e2e", &["wire", "service", "client", "broker", "simulate", "ingest", "testkit"]),
    ("tidemap-bench", &["wire", "service", "client", "broker", "simulate", "ingest", "testkit", "e2e"]),
];
/// What tests and benches of any crate may use in addition.
const TESTS_MAY_USE: [&str; 4] = ["tidemap-testkit", "tidemap-broker", "tidemap-service", "tidemap-wire"];

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let mut violations = Vec::new();
    for member in crates() {
        let known = MAY_USE.iter().find(|(name, _)| *name == member.name);
        let allowed = known.map_or(&[][..], |(_, allowed)| allowed);
        if known.is_none() && member.name != "xtask" {
            violations.push(format!("{}: xtask/src/tidy/layers.rs does not know it", member.name));
        }
        let is_allowed =
            |name: &String| allowed.iter().any(|allowed| name.strip_prefix("tidemap-") == Some(*allowed));
        for dependency in member.dependencies.iter().filter(|name| !is_allowed(name)) {
            violations.push(format!("{} depends on {dependency}", member.name));
        }
        for dependency in member.dev_dependencies.iter().filter(|name| !is_allowed(name)) {
            if !TESTS_MAY_USE.contains(&dependency.as_str()) && *dependency != member.name {
                violations.push(format!("{}: its tests depend on {dependency}", member.name));
            }
        }
    }
    assert_none("arrows between crates", &violations);
}
