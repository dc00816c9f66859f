//! What `join` writes down is read by a shell as it was meant.
//!
//! It is a test program of its own: until a child has become another program, it holds its parent's locks,
//! and other tests of the agent take locks again that they have just given back.

#![cfg(unix)]

use std::process::Command;

#[path = "../src/join/env_file.rs"]
mod env_file;

use env_file::EnvFile;

#[test]
fn a_shell_and_we_read_back_what_was_set() {
    for text in ["web-01", "a b", "it's", "a\"b", "a\\b", "$HOME", "`id`", "$(id)", "香港", "#1", "a;b", "~"]
    {
        let mut file = EnvFile::default();
        file.set("NODE_NAME", text);
        assert_eq!(EnvFile::parse(&file.text()).get("NODE_NAME").as_deref(), Some(text));
        let script = format!("{}printf %s \"$NODE_NAME\"", file.text());
        let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), text);
    }
}
