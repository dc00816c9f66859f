//! The texts of a channel's settings, from its file, other files and variables.

use std::{
    cmp::Reverse,
    env,
    path::{Path, PathBuf},
};

use tidemap_alert::channels::{Channel, Post, Setting, Values};
use tidemap_service::text_file;
use tokio::task::spawn_blocking;

/// A shorter text is part of too many words to be hidden.
const SHORTEST_HIDDEN: usize = 4;

/// Headers with secrets that Tidemap makes itself.
const SIGNING: [&str; 2] = ["authorization", "x-gotify-key"];

/// All texts of one channel. What is not in the file itself is a secret, and so is its address.
pub(super) struct Secrets {
    values: Values,
    hidden: Vec<String>,
}

impl Secrets {
    /// Reads what is not in the file itself.
    pub(super) async fn read(folder: &Path, channel: &Channel) -> Result<Self, String> {
        let (mut values, mut hidden) = (Values::default(), Vec::new());
        for (name, setting) in channel.settings() {
            let text = text(folder, name, setting).await?;
            if !matches!(setting, Setting::Given(_)) || name == "url" {
                hidden.push(text.clone());
            }
            if name == "url" {
                hidden.extend(parts(&text));
            }
            values.set(name, text);
        }
        let mut read = Self { values, hidden };
        read.sort();
        Ok(read)
    }

    /// Notes what a request makes of them: other forms of the same secrets.
    pub(super) fn note(&mut self, post: &Post) {
        self.hidden.extend(parts(&post.url));
        let signed = post
            .headers
            .iter()
            .filter(|(name, _)| SIGNING.iter().any(|known| name.eq_ignore_ascii_case(known)));
        self.hidden.extend(
            signed
                .flat_map(|(_, value)| value.split(' ').map(str::to_owned))
                .filter(|word: &String| is_long(word)),
        );
        self.sort();
    }

    /// Longer ones first, because a shorter one may be the begin of a longer one.
    fn sort(&mut self) {
        self.hidden.sort_unstable_by_key(|secret| Reverse(secret.len()));
    }

    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    /// A text without all that it may not contain: the other side may repeat what it was sent.
    pub(super) fn hide(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, secret| hide(&text, secret))
    }
}

/// Words of an address that may be secrets: those of a path and a query, a name and a password.
fn parts(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let login = host.rsplit_once('@').map_or("", |(login, _)| login);
    let words = path.split(['/', '?', '&', '=']).chain(login.split(':'));
    words.map(str::to_owned).filter(|word: &String| is_long(word)).collect()
}

fn is_long(word: &str) -> bool {
    word.len() >= 2 * SHORTEST_HIDDEN
}

/// A text without an address, and without the parts of it that may be secrets.
pub(super) fn hide_address(text: &str, url: &str) -> String {
    parts(url).iter().fold(hide(text, url), |text, word| hide(&text, word))
}

fn hide(text: &str, secret: &str) -> String {
    if secret.len() < SHORTEST_HIDDEN { text.to_owned() } else { text.replace(secret, "…") }
}

/// The text of a setting. An error names the file or the variable, and never what is in it.
pub(super) async fn text(folder: &Path, name: &str, setting: &Setting) -> Result<String, String> {
    match setting {
        Setting::Given(text) => Ok(text.clone()),
        Setting::Variable(variable) => match env::var(variable) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            Ok(_) => Err(format!("{name}: the variable {variable} is empty")),
            Err(_) => Err(format!("{name}: there is no variable {variable}")),
        },
        Setting::File(path) => {
            let path = folder.join(path);
            let wrong = |problem: &str| format!("{name}: {}: {problem}", path.display());
            let text = read(path.clone()).await.map_err(|problem| wrong(&problem))?;
            let text = if name == "template" { text.as_str() } else { text.trim() };
            if text.is_empty() { Err(wrong("it is empty")) } else { Ok(text.to_owned()) }
        }
    }
}

async fn read(path: PathBuf) -> Result<String, String> {
    match spawn_blocking(move || text_file::read(&path)).await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it was not read".to_owned()),
    }
}
