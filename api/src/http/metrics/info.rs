//! What is known of each node, as labels: to join with the other series of the node.

use std::collections::{BTreeMap, BTreeSet};

use tidemap_service::exposition::{
    Exposition,
    Kind::{Gauge, Info},
};
use tidemap_wire::http::NodeJson;

/// How many of the operator's labels a node's series has. With the other labels, and those that a scraper
/// adds, it stays below 30, beyond which common stores refuse a series or cut off its labels.
const LABELS: usize = 20;

/// `tidemap_node_info`, and how many labels are left out there.
pub(super) fn families(text: &mut Exposition, nodes: &[&NodeJson]) {
    let mut omitted = 0;
    let help = "What is known of a node: place, provider, and its labels as label_*.";
    let mut family = text.family(Info, "tidemap_node_info", help);
    for node in nodes {
        let own = label_names(&node.labels);
        let mut labels = vec![("node", node.name.as_str()), ("display_name", &node.display_name)];
        let known = [
            ("location", &node.location),
            ("provider", &node.provider),
            ("agent_version", &node.agent_version),
        ];
        labels.extend(known.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
        labels.extend(own.iter().take(LABELS).map(|(name, value)| (name.as_str(), *value)));
        omitted += own.len().saturating_sub(LABELS);
        family.sample(&labels, 1.0);
    }
    let help = "Labels of nodes beyond the 20 of each that tidemap_node_info has.";
    text.family(Gauge, "tidemap_node_labels_omitted", help).sample(&[], omitted as f64);
}

/// A node's labels under names that Prometheus takes, in the order of their own names. What it does not take
/// in a name becomes `_`. When names become equal, the one that needed no change keeps its name, and the
/// others get a number.
fn label_names(labels: &BTreeMap<String, String>) -> Vec<(String, &str)> {
    // An empty value is the same as no label.
    let labels = labels.iter().filter(|(_, value)| !value.is_empty());
    let mut taken: BTreeSet<String> =
        labels.clone().filter(|(key, _)| sanitised(key) == **key).map(|(key, _)| key.clone()).collect();
    let named = labels.map(|(key, value)| {
        let plain = sanitised(key);
        if plain == *key {
            return (format!("label_{plain}"), value.as_str());
        }
        let numbered = (2..).map(|number| format!("{plain}_{number}"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        let name = names.find(|name| taken.insert(name.clone())).unwrap_or(plain);
        (format!("label_{name}"), value.as_str())
    });
    named.collect()
}

fn sanitised(key: &str) -> String {
    let is_taken = |character: &char| character.is_ascii_alphanumeric() || *character == '_';
    key.chars().map(|character| if is_taken(&character) { character } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &[(&str, &str)], expected: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let names = label_names(&labels);
        let names: Vec<(&str, &str)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn names_of_labels_become_those_that_prometheus_takes() {
        check(&[("role", "web"), ("empty", "")], &[("label_role", "web")]);
        check(&[("4th floor", "x"), ("straße", "y")], &[("label_4th_floor", "x"), ("label_stra_e", "y")]);
        check(&[("__name__", "z")], &[("label___name__", "z")]);
    }

    #[test]
    fn labels_whose_names_become_equal_keep_apart() {
        check(
            &[("a-b", "1"), ("a.b", "2"), ("a_b", "3"), ("a_b_2", "4")],
            &[("label_a_b_3", "1"), ("label_a_b_4", "2"), ("label_a_b", "3"), ("label_a_b_2", "4")],
        );
    }
}
