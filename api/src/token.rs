//! The admin's token.

use std::{env, fmt, path::Path};

use sha2::{Digest, Sha256};
use tidemap_service::{cli::UsageError, text_file};

/// The shortest token. Nothing slows guesses down on loopback, so a short one could be found by trying.
const MIN_BYTES: usize = 16;

/// Warns when the token is an argument, which every user of this host can see.
pub(crate) fn warn_of_argument() {
    if env::args_os().any(|argument| is_token_flag(&argument.to_string_lossy())) {
        tracing::warn!(
            "--api-token can be seen in the list of processes: use --api-token-file or TIDEMAP_API_TOKEN"
        );
    }
}

fn is_token_flag(argument: &str) -> bool {
    argument == "--api-token" || argument.starts_with("--api-token=")
}

/// The operator's secret. Only its digest is kept, so it can neither be logged nor compared byte by byte.
#[derive(Clone)]
pub struct ApiToken([u8; 32]);

impl ApiToken {
    /// The token in a file, without the end of its line.
    pub(crate) fn read(path: &Path) -> Result<Self, UsageError> {
        let wrong = |problem: &dyn fmt::Display| UsageError::in_file("--api-token-file", path, problem);
        let text = text_file::read(path).map_err(|error| wrong(&error))?;
        if text.starts_with(['"', '\'']) {
            tracing::warn!(file = %path.display(), "the quotes around the API token are part of it");
        }
        text.trim_end_matches(['\r', '\n']).parse().map_err(|error: anyhow::Error| wrong(&error))
    }

    /// Whether `presented` is the token. The time does not depend on where they differ.
    pub(crate) fn matches(&self, presented: &str) -> bool {
        let digest = Sha256::digest(presented.as_bytes());
        // All bytes are compared, so that the time does not reveal how much of a guess's digest is right.
        let differing =
            digest.iter().zip(self.0).fold(0, |differing, (one, other)| differing | (one ^ other));
        std::hint::black_box(differing) == 0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

impl std::str::FromStr for ApiToken {
    type Err = anyhow::Error;

    fn from_str(token: &str) -> Result<Self, Self::Err> {
        let legal = token.bytes().all(|byte| byte.is_ascii_graphic());
        anyhow::ensure!(legal, "the token must be printable ASCII without spaces");
        anyhow::ensure!(
            token.len() >= MIN_BYTES,
            "the token must have at least {MIN_BYTES} characters: `openssl rand -hex 24` makes one"
        );
        Ok(Self(Sha256::digest(token.as_bytes()).into()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_matched_whole_and_never_shown() {
        let token: ApiToken = "a-secret-of-tests".parse().unwrap();
        assert!(token.matches("a-secret-of-tests"));
        for wrong in ["a-secret-of-test", "a-secret-of-tests2", ""] {
            assert!(!token.matches(wrong), "{wrong}");
        }
        assert!(!format!("{token:?}").contains("secret"));
    }

    #[test]
    fn a_short_token_is_refused_with_how_to_make_one() {
        assert!("sixteen-letters!".parse::<ApiToken>().is_ok());
        for short in ["", "x", "fifteen-letters"] {
            let error = short.parse::<ApiToken>().unwrap_err().to_string();
            assert!(error.contains("openssl rand"), "{error}");
        }
    }

    #[test]
    fn a_file_holds_one_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a-secret-of-tests\n").unwrap();
        assert!(ApiToken::read(file.path()).unwrap().matches("a-secret-of-tests"));
        fs::write(file.path(), "\u{feff}a-secret-of-tests\r\n").unwrap();
        assert!(ApiToken::read(file.path()).unwrap().matches("a-secret-of-tests"));
        fs::write(file.path(), "a-secret-of-tests\nanother\n").unwrap();
        let error = ApiToken::read(file.path()).unwrap_err().to_string();
        assert!(error.starts_with("--api-token-file ") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn the_flag_is_recognised_in_both_forms_and_not_in_the_files() {
        assert!(is_token_flag("--api-token") && is_token_flag("--api-token=x"));
        assert!(!is_token_flag("--api-token-file") && !is_token_flag("--api-token-file=x"));
    }
}
