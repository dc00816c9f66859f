//! The services that channels lead to, and the settings of each.

use url::Url;

/// What is at the other end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Webhook,
    Ntfy,
    Telegram,
    Smtp,
    Slack,
    Discord,
    Gotify,
    Alertmanager,
}

/// A setting of a service.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// A secret: it is never written into the file itself.
    pub(crate) is_secret: bool,
    /// Stands for what another file or a variable says, when the rest is checked.
    pub(crate) sample: &'static str,
}

const fn plain(name: &'static str, sample: &'static str) -> Field {
    Field { name, is_secret: false, sample }
}

const fn secret(name: &'static str, sample: &'static str) -> Field {
    Field { name, is_secret: true, sample }
}

const TOKEN: Field = secret("token", "1:x");
const USER: Field = plain("user", "x");
const PASSWORD: Field = secret("password", "x");
const SERVER: Field = plain("server", "https://x.invalid/");

const WEBHOOK: &[Field] = &[
    plain("url", "https://x.invalid/"),
    secret("secret", "x"),
    plain("template", "{}"),
    plain("content_type", "application/json"),
];
const NTFY: &[Field] =
    &[plain("url", "ntfy://x.invalid/x"), SERVER, plain("topic", "x"), TOKEN, USER, PASSWORD];
const TELEGRAM: &[Field] = &[
    plain("url", "telegram://1:x@telegram?chats=1"),
    SERVER,
    TOKEN,
    plain("chat", "1"),
    plain("thread", "1"),
];
const SMTP: &[Field] = &[
    plain("url", "smtp://x.invalid/?from=x@x.invalid&to=x@x.invalid"),
    plain("host", "x.invalid"),
    plain("port", "25"),
    plain("encryption", "starttls"),
    USER,
    PASSWORD,
    plain("from", "x@x.invalid"),
    plain("to", "x@x.invalid"),
];
const SLACK: &[Field] = &[plain("url", "https://x.invalid/")];
const DISCORD: &[Field] = &[plain("url", "https://x.invalid/")];
const GOTIFY: &[Field] = &[plain("url", "gotify://x.invalid/x"), SERVER, TOKEN];
const ALERTMANAGER: &[Field] = &[plain("url", "https://x.invalid/"), TOKEN, USER, PASSWORD];

/// All of them with their names, and the schemes of short addresses.
const SERVICES: [(Service, &str, &[&str]); 8] = [
    (Service::Webhook, "webhook", &["webhook", "generic"]),
    (Service::Ntfy, "ntfy", &["ntfy", "ntfys"]),
    (Service::Telegram, "telegram", &["telegram", "tgram"]),
    (Service::Smtp, "smtp", &["smtp", "smtps"]),
    (Service::Slack, "slack", &["slack"]),
    (Service::Discord, "discord", &["discord"]),
    (Service::Gotify, "gotify", &["gotify", "gotifys"]),
    (Service::Alertmanager, "alertmanager", &["alertmanager"]),
];
/// Hosts whose addresses say what they are.
const HOSTS: [(&str, Service); 4] = [
    ("hooks.slack.com", Service::Slack),
    ("discord.com", Service::Discord),
    ("discordapp.com", Service::Discord),
    ("ntfy.sh", Service::Ntfy),
];

impl Service {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let found = SERVICES.iter().find(|(_, known, _)| *known == name);
        found.map(|(service, ..)| *service).ok_or_else(|| {
            let names: Vec<_> = SERVICES.iter().map(|(_, name, _)| *name).collect();
            format!("must be one of {}", names.join(", "))
        })
    }

    pub(crate) fn name(self) -> &'static str {
        SERVICES.iter().find(|(service, ..)| *service == self).map_or("", |(_, name, _)| name)
    }

    /// The service that an address leads to.
    pub(crate) fn of(address: &str) -> Option<Self> {
        let (scheme, _) = address.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        if matches!(scheme.as_str(), "http" | "https") {
            let url = Url::parse(address).ok()?;
            let known = HOSTS.iter().find(|(host, _)| url.host_str() == Some(host));
            return Some(known.map_or(Self::Webhook, |(_, service)| *service));
        }
        let scheme = scheme.split_once('+').map_or(scheme.as_str(), |(scheme, _)| scheme);
        SERVICES.iter().find(|(.., schemes)| schemes.contains(&scheme)).map(|(service, ..)| *service)
    }

    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::Webhook => WEBHOOK,
            Self::Ntfy => NTFY,
            Self::Telegram => TELEGRAM,
            Self::Smtp => SMTP,
            Self::Slack => SLACK,
            Self::Discord => DISCORD,
            Self::Gotify => GOTIFY,
            Self::Alertmanager => ALERTMANAGER,
        }
    }

    pub(crate) fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.name == name)
    }
}
