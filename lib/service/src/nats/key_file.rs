//! The file that proves who a client is: an nkey seed or signed credentials.

use std::path::Path;

use async_nats::ConnectOptions;

use crate::{cli::UsageError, text_file};

/// Options with the identity in a file; without a file, without one.
pub(super) fn with_identity(creds: Option<&Path>) -> Result<ConnectOptions, UsageError> {
    let Some(path) = creds else { return Ok(ConnectOptions::new()) };
    let wrong = |problem: &dyn std::fmt::Display| UsageError::in_file("--creds", path, problem);
    let text = bare(&text_file::read(path).map_err(|error| wrong(&error))?);
    if text.contains("-----BEGIN") {
        return ConnectOptions::with_credentials(&text).map_err(|error| wrong(&error));
    }
    match text.lines().find(|line| line.starts_with("SU")) {
        Some(seed) if nkeys::KeyPair::from_seed(seed).is_ok() => {
            Ok(ConnectOptions::with_nkey(seed.to_owned()))
        }
        _ => Err(wrong(&"neither an nkey seed nor a credentials file")),
    }
}

/// Credentials in the format that all NATS clients read: a user's token, and the seed that belongs to it.
pub fn credentials(token: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// The lines without what copying adds around them: blanks, quotes, another system's ends of lines.
fn bare(text: &str) -> String {
    let around = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '`');
    text.lines().flat_map(|line| [line.trim_matches(around), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn is_taken(text: &str) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        with_identity(Some(file.path())).is_ok()
    }

    #[test]
    fn a_key_is_found_in_whatever_surrounds_it() {
        let key = nkeys::KeyPair::new_user().seed().unwrap();
        let creds = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0eXAiOiJKV1QifQ.eyJqdGkiOiJYIn0.c2ln\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{key}\n------END USER NKEY SEED------\n"
        );
        for text in [&key, &creds] {
            for (before, after) in
                [("", ""), ("\u{feff}", "\r\n"), ("\"", "\""), (" '", "'\n"), ("\u{feff}\"", "\"\r\n")]
            {
                assert!(is_taken(&format!("{before}{text}{after}")), "{before}…{after}");
            }
            assert!(is_taken(&text.replace('\n', "\r\n")));
        }
        assert!(!is_taken(""));
        assert!(!is_taken("SUNOKEY"));
        assert!(!is_taken(&key[..key.len() - 1]));
    }
}
