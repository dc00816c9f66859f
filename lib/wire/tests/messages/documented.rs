//! The messages that `docs/messages.md` shows are what processes send. `TIDEMAP_BLESS=1` writes them there.

use serde::Serialize;
use serde_json::Value;
use tidemap_wire::{Minutes, decode, encode};

use crate::examples;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/messages.md");

/// A message as any program reads its bytes.
fn json(message: &impl Serialize) -> String {
    let value: Value = decode(&encode(message)).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn the_documented_messages_are_those_that_are_sent() {
    let mut minutes = Minutes::new(9, 5);
    minutes.push(&examples::node(), &examples::row());
    let hello = tidemap_wire::Report { hello: Some(Box::new(examples::hello())), ..examples::report() };
    let before = std::fs::read_to_string(DOCUMENT).unwrap();
    let mut document = before.clone();
    for (name, example) in [
        ("report", json(&hello)),
        ("delta", json(&examples::delta())),
        ("stats", json(&examples::stats())),
        ("event", json(&examples::event())),
        ("minutes", json(&minutes)),
        ("alert", json(&examples::notice())),
    ] {
        let begin = format!("<!-- example: {name} -->\n\n```json\n");
        let from = document.find(&begin).expect(name) + begin.len();
        let to = from + document[from..].find("\n```").expect(name);
        document.replace_range(from..to, &example);
    }
    if std::env::var_os("TIDEMAP_BLESS").is_some() {
        std::fs::write(DOCUMENT, &document).unwrap();
    } else {
        assert_eq!(before, document, "TIDEMAP_BLESS=1 cargo test -p tidemap-wire --test messages");
    }
}
