//! Where minutes are sent, and with whose name.

use std::path::PathBuf;

use tidemap_service::cli::UsageError;
use url::Url;

use super::http::Key;

/// Options of the other database.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct RemoteArgs {
    /// Send each node's minutes to another database by Prometheus' remote write: the whole address, which
    /// often ends with /api/v1/write.
    #[arg(long, env = "TIDEMAP_REMOTE_WRITE", value_name = "URL")]
    remote_write: Option<String>,
    /// Read minutes that are kept here no more from that database by PromQL: the address without /api/v1 and
    /// what is behind it.
    #[arg(long, env = "TIDEMAP_REMOTE_QUERY", value_name = "URL", visible_alias = "query")]
    remote_query: Option<String>,
    /// File with the token that the database asks for (bearer). It is read again for each request.
    #[arg(long, env = "TIDEMAP_REMOTE_TOKEN_FILE", value_name = "FILE")]
    remote_token_file: Option<PathBuf>,
    /// File with the name and password that the database asks for, as NAME:PASSWORD.
    #[arg(
        long,
        env = "TIDEMAP_REMOTE_PASSWORD_FILE",
        value_name = "FILE",
        conflicts_with = "remote_token_file"
    )]
    remote_password_file: Option<PathBuf>,
}

/// The other database, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remote {
    /// Where minutes are sent.
    pub write: Option<Url>,
    /// Below which address questions are asked.
    pub query: Option<Url>,
    /// What requests are signed with.
    pub key: Option<Key>,
}

impl RemoteArgs {
    /// Checks the options.
    pub(crate) fn check(self) -> Result<Remote, UsageError> {
        let Self { remote_write, remote_query, remote_token_file, remote_password_file } = self;
        let write = remote_write.map(|text| address("--remote-write", &text)).transpose()?;
        if let Some(write) = write.as_ref().filter(|write| write.path() == "/") {
            let wrong = format!("--remote-write {write}: the path is missing, such as /api/v1/write");
            return Err(UsageError(wrong));
        }
        let query = remote_query.map(|text| address("--remote-query", &text)).transpose()?;
        if let Some(query) = query.as_ref().filter(|query| query.path().contains("/api/v1")) {
            let wrong = format!("--remote-query {query}: leave out /api/v1 and what is behind it");
            return Err(UsageError(wrong));
        }
        let key = match (remote_token_file, remote_password_file) {
            (Some(file), _) => Some(Key::Token(file)),
            (None, file) => file.map(Key::Password),
        };
        if let Some(key) = &key {
            if write.is_none() && query.is_none() {
                let wrong =
                    format!("{}: it has no effect without --remote-write or --remote-query", key.flag());
                return Err(UsageError(wrong));
            }
            key.header().map_err(UsageError)?;
        }
        Ok(Remote { write, query, key })
    }
}

/// An address of HTTP. A name or password in it would be seen in the list of processes, and in logs.
fn address(flag: &str, text: &str) -> Result<Url, UsageError> {
    let wrong = |problem: &str| UsageError(format!("{flag} {text}: {problem}"));
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        let problem = "name and password belong into --remote-password-file";
        return Err(UsageError(format!("{flag}: {problem}")));
    }
    match url.scheme() {
        "http" | "https" if url.host().is_none() => Err(wrong("the host is missing")),
        "http" | "https" if url.fragment().is_some() => Err(wrong("it must not contain #")),
        "http" | "https" => Ok(url),
        _ => Err(wrong("it must begin with http:// or https://")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        remote: RemoteArgs,
    }

    fn check(args: &[&str]) -> Result<Remote, String> {
        let options = Options::try_parse_from([&["test"], args].concat());
        let options = options.map_err(|error| error.to_string())?;
        options.remote.check().map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_checked_before_anything_starts() {
        let remote = check(&["--remote-write", "https://tsdb/api/v1/push", "--query", "http://[::1]:1/p"]);
        let remote = remote.unwrap();
        assert_eq!(remote.write.unwrap().as_str(), "https://tsdb/api/v1/push");
        assert_eq!(remote.query.unwrap().as_str(), "http://[::1]:1/p");
        for (value, wrong) in [
            ("tsdb:8428/api/v1/write", "it must begin with http:// or https://"),
            ("nonsense", "relative URL without a base"),
            ("ftp://tsdb/api/v1/write", "it must begin with http:// or https://"),
            ("http://tsdb:8428", "the path is missing, such as /api/v1/write"),
            ("http://tsdb/w#x", "it must not contain #"),
        ] {
            let said = check(&["--remote-write", value]).unwrap_err();
            assert!(said.starts_with("--remote-write ") && said.ends_with(wrong), "{value}: {said}");
        }
        let said = check(&["--remote-query", "http://tsdb/api/v1/query_range"]).unwrap_err();
        assert!(said.ends_with("leave out /api/v1 and what is behind it"), "{said}");
    }

    #[test]
    fn secrets_are_read_from_files_and_never_printed() {
        let said = check(&["--remote-write", "http://me:hunter2@tsdb/w"]).unwrap_err();
        assert_eq!(said, "--remote-write: name and password belong into --remote-password-file");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let path = file.to_str().unwrap();
        let to = ["--remote-write", "http://tsdb/w"];
        for (flag, text, header) in [
            ("--remote-token-file", "hunter2\n", "Bearer hunter2"),
            ("--remote-password-file", "me:hunter2\r\n", "Basic bWU6aHVudGVyMg=="),
        ] {
            fs::write(&file, text).unwrap();
            let remote = check(&[&to[..], &[flag, path]].concat()).unwrap();
            assert_eq!(remote.key.as_ref().unwrap().header().unwrap(), header);
            assert!(!format!("{remote:?}").contains("hunter2"));
            let alone = check(&[flag, path]).unwrap_err();
            assert!(alone.contains("no effect without --remote-write"), "{alone}");
            for bad in ["", "two\nlines", "\u{7f}"] {
                fs::write(&file, bad).unwrap();
                let said = check(&[&to[..], &[flag, path]].concat()).unwrap_err();
                assert!(said.starts_with(&format!("{flag} {path}: ")), "{said}");
            }
        }
        fs::write(&file, "hunter2").unwrap();
        let said = check(&[&to[..], &["--remote-password-file", path]].concat()).unwrap_err();
        assert!(said.ends_with("it must be NAME:PASSWORD") && !said.contains("hunter2"), "{said}");
        let said = check(&[&to[..], &["--remote-token-file", "/no/such/file"]].concat()).unwrap_err();
        assert!(said.starts_with("--remote-token-file /no/such/file: "), "{said}");
    }
}
