//! How nodes are called: what is shown, searched and sorted, and by which texts a node is found.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tidemap_wire::{Hello, NodeName};

use super::*;

/// A node as its agent names it.
fn called(typed: &str) -> NodeUpdate {
    let name = NodeName::parse(typed).unwrap();
    let display_name = Some(name.display().to_owned());
    NodeUpdate {
        node: name.id().clone(),
        hello: Some(Box::new(Hello { display_name, ..Hello::default() })),
        ..node("x")
    }
}

async fn of(names: &[&str], path: &str) -> Answer {
    let site = site(names.iter().map(|name| called(name)).collect(), Readers::OnLoopback).await;
    warp::test::request().path(path).reply(&routes(site)).await
}

fn shown(answer: &Answer) -> Vec<String> {
    json::<Vec<NodeJson>>(answer).into_iter().map(|node| node.display_name).collect()
}

#[tokio::test]
async fn every_name_opens_its_own_node() {
    let names = [
        "Web-01",
        "..",
        ".",
        "a/b",
        "a=2fb",
        "a/../b",
        "a?b#c%d",
        "a%2Fb",
        "-dash",
        "ZÜRICH",
        "a b",
        "a=20b",
        "🇭🇰 香港 阿里云 轻量应用服务器 01",
    ];
    for typed in names {
        let name = NodeName::parse(typed).unwrap();
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut paths = vec![encoded(&name.id().text()), encoded(typed)];
        // Where the id reads like another node's name, the name wins.
        if typed != "a b" {
            paths.push(name.id().to_string());
        }
        for path in paths {
            let answer = of(&names, &format!("/api/nodes/{path}")).await;
            assert_eq!(answer.status(), 200, "{typed} by {path}");
            let found: NodeDetailJson = json(&answer);
            assert_eq!((&*found.node.display_name, found.node.name), (typed, name.id().text()), "{path}");
        }
    }
}

#[tokio::test]
async fn names_are_in_the_order_of_the_page() {
    let names = ["web-10", "Web-2", "db", "web-1", "Ångström", "香港 1"];
    assert_eq!(
        shown(&of(&names, "/api/nodes?sort=name").await),
        ["db", "web-1", "Web-2", "web-10", "Ångström", "香港 1"]
    );
    let last = of(&names, "/api/nodes?sort=-name&limit=2&offset=2").await;
    assert_eq!(shown(&last), ["web-10", "Web-2"]);
}

#[tokio::test]
async fn a_name_is_searched_as_it_is_shown_and_as_it_is_known() {
    let long = "🇭🇰 香港 阿里云 轻量应用服务器 01";
    let names = [long, "Web-01"];
    assert_eq!(shown(&of(&names, "/api/nodes?q=%E9%98%BF%E9%87%8C").await), [long]);
    let id = NodeName::parse(long).unwrap().id().text();
    assert_eq!(shown(&of(&names, &format!("/api/nodes?q={id}")).await), [long]);
    assert_eq!(shown(&of(&names, "/api/nodes?q=WEB").await), ["Web-01"]);
}

#[tokio::test]
async fn a_node_whose_agent_tells_no_name_is_called_by_its_id() {
    let site = site(vec![node("web-01.example")], Readers::OnLoopback).await;
    let answer = warp::test::request().path("/api/nodes").reply(&routes(site)).await;
    assert_eq!(shown(&answer), ["web-01.example"]);
}
