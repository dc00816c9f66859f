//! A mail, before it is encoded.

use std::fmt;

/// A mail to send.
pub struct Mail {
    /// Who takes it.
    pub server: MailServer,
    /// Who sends it.
    pub from: Person,
    /// Who gets it.
    pub to: Vec<Person>,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// `Message-ID`, without angle brackets: the notice's id.
    pub message_id: String,
    /// `References`, without angle brackets: the same for all mails of one alert.
    pub thread: String,
}

/// A server that takes mail. It contains a password, so it is not shown.
#[derive(Clone)]
pub struct MailServer {
    /// A name or an address.
    pub host: String,
    /// The port of TCP.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// A name and a password.
    pub login: Option<(String, String)>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// After the greeting; without it nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all.
    None,
}

/// Someone with a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// For people.
    pub name: Option<String>,
    /// `user@host`.
    pub address: String,
}

fn unquoted(name: &str) -> &str {
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name)
}

impl Person {
    /// Reads `user@host` or `Name <user@host>`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
            Some((name, address)) => (unquoted(name.trim()), address.trim()),
            None => ("", text),
        };
        let (user, host) = address.rsplit_once('@')?;
        let is_part = |part: &str| {
            let bad =
                |letter: char| letter.is_control() || letter.is_whitespace() || "<>,;\"@".contains(letter);
            !part.is_empty() && !part.contains(bad)
        };
        let name = (!name.is_empty()).then(|| name.to_owned());
        (is_part(user) && is_part(host)).then(|| Self { name, address: address.to_owned() })
    }

    /// What is behind the `@`.
    pub(crate) fn host(&self) -> &str {
        self.address.rsplit_once('@').map_or("", |(_, host)| host)
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}
