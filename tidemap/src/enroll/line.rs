//! The one line that starts an agent on its host.

use tidemap_wire::NodeId;

/// What the agent needs to know.
pub(super) struct Line {
    /// Where the broker is.
    pub(super) url: String,
    /// What proves who the agent is: the content of a file.
    pub(super) secret: String,
    /// How that file is called on the agent's host.
    pub(super) file: &'static str,
    /// Whose certificates the broker shows (PEM), when it is not a public authority.
    pub(super) authority: Option<String>,
}

impl Line {
    /// The line for a shell.
    pub(super) fn render(&self, node: &NodeId, labels: &[String]) -> String {
        let labels: String = labels.iter().map(|label| format!(" --label {}", quoted(label))).collect();
        let (make_ca, use_ca) = match &self.authority {
            Some(pem) => (format!("{} && ", write(pem, "tidemap-ca.pem")), " --nats-ca tidemap-ca.pem"),
            None => (String::new(), ""),
        };
        format!(
            "umask 077 && {} && {make_ca}tidemap agent --node {}{labels} --nats-url {}{use_ca} --creds {}",
            write(&self.secret, self.file),
            quoted(&node.display_name()),
            quoted(&self.url),
            self.file,
        )
    }
}

/// A command that writes a text of several lines into a file.
fn write(text: &str, file: &str) -> String {
    match text.trim_end() {
        word if !word.contains('\n') => format!("echo {word} > {file}"),
        lines => format!("printf %b '{}\\n' > {file}", lines.replace('\n', "\\n")),
    }
}

/// A word as a shell reads it back whole.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        for (word, line) in
            [("a-1", "a-1"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(word), line);
        }
    }
}
