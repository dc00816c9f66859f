//! How a node is called and by what it is known, from its agent to the answers.

use std::time::Duration;

use anyhow::ensure;
use tidemap_testkit::{broker::TestBroker, eventually, http::get_json};
use tidemap_wire::{
    NodeName,
    http::{NodeDetailJson, NodeJson},
};

const TIMEOUT: Duration = Duration::from_secs(30);
const LONG: &str = "🇭🇰 香港 阿里云 轻量应用服务器 01";
/// What an operator types, and what is shown.
const NAMES: [(&str, &str); 8] = [
    ("Web-01", "Web-01"),
    (LONG, LONG),
    ("ZÜRICH", "ZÜRICH"),
    ("..", ".."),
    ("a/b?c#d%e", "a/b?c#d%e"),
    ("crlf-01\r", "crlf-01"),
    ("\u{feff}bom-01", "bom-01"),
    ("web-2", "web-2"),
];

#[tokio::test]
async fn nodes_are_called_as_somebody_typed_it_and_known_by_their_ids() {
    let broker = TestBroker::start().await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    // The name in a variable's file may end with a carriage return.
    let _agents: Vec<_> = NAMES.iter().map(|(typed, _)| broker.agent(typed, &[]).unwrap()).collect();
    let listed = eventually(TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes?sort=name")).await?;
        let called = nodes.iter().filter(|node| node.display_name != node.name).count();
        ensure!(nodes.len() == NAMES.len() && called >= 3, "{nodes:?}");
        Ok(nodes)
    });
    let shown: Vec<String> = listed.await.unwrap().into_iter().map(|node| node.display_name).collect();
    assert_eq!(shown, ["..", "a/b?c#d%e", "bom-01", "crlf-01", "Web-01", "web-2", "ZÜRICH", LONG]);
    for (typed, display) in NAMES {
        let name = NodeName::parse(typed).unwrap();
        let path = format!("{url}/api/nodes/{}", name.id());
        let found: NodeDetailJson = get_json(path).await.unwrap();
        assert_eq!((&*found.node.display_name, found.node.name), (display, name.id().text()));
    }
    // Whoever writes it in another way means the same node.
    let found: NodeDetailJson = get_json(format!("{url}/api/nodes/Z%C3%BCrich")).await.unwrap();
    assert_eq!(found.node.display_name, "ZÜRICH");
}
