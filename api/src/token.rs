//! The admin's token, and the reader's.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tidemap_service::{cli::UsageError, text_file};

/// The shortest token. Nothing slows guesses down on loopback, so a short one could be found by trying.
const MIN_BYTES: usize = 16;

/// The tokens, or the files that hold them.
#[derive(clap::Args, Clone, Debug)]
pub struct TokenArgs {
    /// The token that admin calls need, and beyond loopback every call (unless --public or with the
    /// reader's). Every user of this host can read a program's arguments, so better put it into a file.
    #[arg(long, env = "TIDEMAP_API_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub api_token: Option<ApiToken>,
    /// The file with that token.
    #[arg(long, env = "TIDEMAP_API_TOKEN_FILE", value_name = "FILE", conflicts_with = "api_token")]
    pub api_token_file: Option<PathBuf>,
    /// A token for reading alone; with it, every call needs a token, on loopback too.
    #[arg(long, env = "TIDEMAP_READ_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub read_token: Option<ApiToken>,
    /// The file with that token.
    #[arg(long, env = "TIDEMAP_READ_TOKEN_FILE", value_name = "FILE", conflicts_with = "read_token")]
    pub read_token_file: Option<PathBuf>,
}

impl TokenArgs {
    /// The tokens, whether given or in a file.
    pub(crate) fn check(self) -> Result<Tokens, UsageError> {
        warn_of_arguments();
        let read = |flag: &str, path: &Option<PathBuf>| {
            path.as_deref().map(|path| ApiToken::read(flag, path)).transpose()
        };
        let admin = read(API_TOKEN_FILE, &self.api_token_file)?;
        let reader = read("--read-token-file", &self.read_token_file)?;
        let tokens = Tokens { admin: self.api_token.or(admin), reader: self.read_token.or(reader) };
        if tokens.reader.is_some() && tokens.reader == tokens.admin {
            let same = "--read-token: must be another token than the admin's, or every reader is an admin";
            return Err(UsageError(same.to_owned()));
        }
        Ok(tokens)
    }
}

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    /// For everything; without one, no request is accepted as an admin's.
    pub(crate) admin: Option<ApiToken>,
    /// For reading alone.
    pub(crate) reader: Option<ApiToken>,
}

impl Tokens {
    /// Takes the admin's from a file.
    pub(crate) fn read_admin(&mut self, path: &Path) -> Result<(), UsageError> {
        self.admin = Some(ApiToken::read(API_TOKEN_FILE, path)?);
        Ok(())
    }

    pub(crate) fn is_admin(&self, presented: &str) -> bool {
        self.admin.as_ref().is_some_and(|token| token.matches(presented))
    }

    /// Whether it is one of the two: an admin reads, too.
    pub(crate) fn may_read(&self, presented: &str) -> bool {
        self.is_admin(presented) || self.reader.as_ref().is_some_and(|token| token.matches(presented))
    }
}

const API_TOKEN_FILE: &str = "--api-token-file";

/// Warns when a token is an argument, which every user of this host can see.
fn warn_of_arguments() {
    for (flag, variable) in [("--api-token", "TIDEMAP_API_TOKEN"), ("--read-token", "TIDEMAP_READ_TOKEN")] {
        if env::args_os().any(|argument| is_token_flag(flag, &argument.to_string_lossy())) {
            tracing::warn!("{flag} can be seen in the list of processes: use {flag}-file or {variable}");
        }
    }
}

fn is_token_flag(flag: &str, argument: &str) -> bool {
    argument.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// A secret. Only its digest is kept, so it can neither be logged nor compared byte by byte.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken([u8; 32]);

impl ApiToken {
    /// The token in a file, without the end of its line.
    fn read(flag: &str, path: &Path) -> Result<Self, UsageError> {
        let wrong = |problem: &dyn fmt::Display| UsageError::in_file(flag, path, problem);
        let text = text_file::read(path).map_err(|error| wrong(&error))?;
        if text.starts_with(['"', '\'']) {
            tracing::warn!(file = %path.display(), "the quotes around the token are part of it");
        }
        text.trim_end_matches(['\r', '\n']).parse().map_err(|error: anyhow::Error| wrong(&error))
    }

    /// Whether `presented` is the token. The time does not depend on where they differ.
    fn matches(&self, presented: &str) -> bool {
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
        assert!(ApiToken::read(API_TOKEN_FILE, file.path()).unwrap().matches("a-secret-of-tests"));
        fs::write(file.path(), "\u{feff}a-secret-of-tests\r\n").unwrap();
        assert!(ApiToken::read(API_TOKEN_FILE, file.path()).unwrap().matches("a-secret-of-tests"));
        fs::write(file.path(), "a-secret-of-tests\nanother\n").unwrap();
        let error = ApiToken::read(API_TOKEN_FILE, file.path()).unwrap_err().to_string();
        assert!(error.starts_with("--api-token-file ") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn the_flag_is_recognised_in_both_forms_and_not_in_the_files() {
        let is_flag = |argument| is_token_flag("--api-token", argument);
        assert!(is_flag("--api-token") && is_flag("--api-token=x"));
        assert!(!is_flag("--api-token-file") && !is_flag("--api-token-file=x"));
    }
}
