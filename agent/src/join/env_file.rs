//! A file of settings as systemd's `EnvironmentFile` and a shell read it: `NAME=VALUE` in lines. Pure.

/// The lines of such a file. What is not changed stays as it was, comments too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EnvFile {
    lines: Vec<String>,
}

impl EnvFile {
    pub(super) fn parse(text: &str) -> Self {
        Self { lines: text.lines().map(str::to_owned).collect() }
    }

    /// A setting's value, without quotes. The last line counts.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.lines.iter().rev().find_map(|line| value(line, name)).map(unquoted)
    }

    /// Sets a value, in the place where it was.
    pub(super) fn set(&mut self, name: &str, text: &str) {
        let line = format!("{name}={}", quoted(text));
        let at = self.lines.iter().position(|line| value(line, name).is_some());
        self.remove(name);
        match at {
            Some(at) => self.lines.insert(at, line),
            None => self.lines.push(line),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.lines.retain(|line| value(line, name).is_none());
    }

    pub(super) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// What follows `NAME=` in a line that sets this name.
fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.trim_start().strip_prefix(name)?.strip_prefix('=')
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.trim_matches('\'').to_owned();
    };
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        text.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
    }
    text
}

/// A value in double quotes where it needs them: both readers take a backslash before these letters away.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@,+".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if matches!(letter, '"' | '\\' | '`' | '$') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_set_stays_and_each_name_is_set_once() {
        let mut file =
            EnvFile::parse("# mine\nTIDEMAP_CAP=500/50\nNODE_NAME=old\n NODE_NAME='older'\nNODE_NAMES=x\n");
        assert_eq!(file.get("NODE_NAME").as_deref(), Some("older"));
        file.set("NODE_NAME", "web 01");
        file.set("TIDEMAP_NATS_URL", "tls://broker.example:4222");
        file.remove("TIDEMAP_NATS_CA");
        assert_eq!(
            file.text(),
            "# mine\nTIDEMAP_CAP=500/50\nNODE_NAME=\"web 01\"\nNODE_NAMES=x\nTIDEMAP_NATS_URL=tls://broker.example:4222\n"
        );
        assert_eq!(file.get("NODE_NAME").as_deref(), Some("web 01"));
        assert_eq!(file.get("TIDEMAP_LABELS"), None);
    }
}
