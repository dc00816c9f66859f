//! Where a channel leads, once all its settings are known.

use data_encoding::BASE64;
use url::Url;

use super::{
    heartbeat::check_address,
    mail::{Encryption, MailServer, Person},
    service::Service,
    setting::{Values, WrongSetting, wrong},
    short,
    template::Template,
};

/// Headers that belong to the way of sending.
const OURS: [&str; 6] =
    ["content-length", "host", "transfer-encoding", "connection", "idempotency-key", "content-type"];
const NTFY: &str = "https://ntfy.sh/";
const TELEGRAM: &str = "https://api.telegram.org/";
const JSON: &str = "application/json";

/// Where a channel leads. It contains secrets, so it is not shown.
pub(crate) enum Destination {
    Webhook(WebhookSettings),
    Ntfy { server: Url, topic: String, authorization: Option<String> },
    Telegram { server: Url, token: String, chat: String, thread: Option<i64> },
    Smtp { server: MailServer, from: Person, to: Vec<Person> },
    Slack { url: Url },
    Discord { url: Url },
    Gotify { server: Url, token: String },
    Alertmanager { server: Url, authorization: Option<String> },
}

pub(crate) struct WebhookSettings {
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) secret: Option<String>,
    pub(crate) template: Option<Template>,
    pub(crate) content_type: String,
}

impl Destination {
    /// Reads settings.
    ///
    /// # Errors
    ///
    /// When one is missing or wrong; its text is not repeated.
    pub(crate) fn read(service: Service, values: &Values) -> Result<Self, WrongSetting> {
        let mut values = values.clone();
        if let Some(url) = values.text("url") {
            for (name, text) in short::expand(service, url).map_err(|what| wrong("url", what))? {
                if name == "url" || !values.contains(name) {
                    values.set(name, text);
                }
            }
        }
        let values = &values;
        Ok(match service {
            Service::Webhook => Self::Webhook(WebhookSettings::read(values)?),
            Service::Ntfy => Self::Ntfy {
                server: address(values, "server", Some(NTFY))?,
                topic: topic(values)?,
                authorization: authorization(values)?,
            },
            Service::Telegram => Self::Telegram {
                server: address(values, "server", Some(TELEGRAM))?,
                token: token(values, |byte| byte.is_ascii_alphanumeric() || b":_-".contains(&byte))?,
                chat: line(values, "chat")?.to_owned(),
                thread: values.number("thread")?,
            },
            Service::Smtp => {
                let (from, to) = (people(values, "from")?, people(values, "to")?);
                let [from] = from.as_slice() else { return Err(wrong("from", "must be one address")) };
                Self::Smtp { server: mail_server(values)?, from: from.clone(), to }
            }
            Service::Slack => Self::Slack { url: address(values, "url", None)? },
            Service::Discord => Self::Discord { url: address(values, "url", None)? },
            Service::Gotify => Self::Gotify {
                server: address(values, "server", None)?,
                token: token(values, |byte| byte.is_ascii_graphic())?,
            },
            Service::Alertmanager => Self::Alertmanager {
                server: address(values, "url", None)?,
                authorization: authorization(values)?,
            },
        })
    }
}

impl WebhookSettings {
    fn read(values: &Values) -> Result<Self, WrongSetting> {
        let content_type = values.text("content_type").unwrap_or(JSON);
        let template = values.text("template").map(|text| Template::parse(text, content_type == JSON));
        let mut headers = Vec::new();
        for (name, value) in values.headers() {
            check_header(name, value)?;
            headers.push((name.to_owned(), value.to_owned()));
        }
        check_header("content_type", content_type)
            .map_err(|_| wrong("content_type", "cannot be a header"))?;
        Ok(Self {
            url: address(values, "url", None)?,
            headers,
            secret: values.text("secret").map(|_| line(values, "secret").map(str::to_owned)).transpose()?,
            template: template.transpose().map_err(|what| wrong("template", what))?,
            content_type: content_type.to_owned(),
        })
    }
}

fn check_header(name: &str, value: &str) -> Result<(), WrongSetting> {
    let field = format!("headers.{name}");
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let lower = name.to_ascii_lowercase();
    if !is_name || OURS.contains(&lower.as_str()) || lower.starts_with("x-tidemap-") {
        return Err(wrong(&field, "cannot be set"));
    }
    if !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(wrong(&field, "must be one line of ASCII letters"));
    }
    Ok(())
}

fn address(values: &Values, field: &str, usual: Option<&str>) -> Result<Url, WrongSetting> {
    let text = values.text(field).or(usual).ok_or_else(|| wrong(field, "is missing"))?;
    check_address(text.trim()).map_err(|what| wrong(field, what))
}

fn line<'a>(values: &'a Values, field: &str) -> Result<&'a str, WrongSetting> {
    let text = values.needed(field)?;
    if text.contains(char::is_control) { Err(wrong(field, "must be one line")) } else { Ok(text) }
}

fn topic(values: &Values) -> Result<String, WrongSetting> {
    let topic = values.needed("topic")?;
    let is_topic = topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let what = "must have letters, digits, _ and - only, at most 64";
    if is_topic && topic.len() <= 64 { Ok(topic.to_owned()) } else { Err(wrong("topic", what)) }
}

fn token(values: &Values, allowed: impl Fn(u8) -> bool) -> Result<String, WrongSetting> {
    let token = values.needed("token")?;
    let what = "must be one word, as the service gives it";
    if token.bytes().all(allowed) { Ok(token.to_owned()) } else { Err(wrong("token", what)) }
}

/// The value of the header.
fn authorization(values: &Values) -> Result<Option<String>, WrongSetting> {
    if values.contains("token") {
        return Ok(Some(format!("Bearer {}", token(values, |byte| byte.is_ascii_graphic())?)));
    }
    match (values.text("user"), values.text("password")) {
        (Some(user), Some(password)) => {
            let both = format!("{user}:{password}");
            Ok(Some(format!("Basic {}", BASE64.encode(both.as_bytes()))))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(wrong("password", "is missing")),
        (None, Some(_)) => Err(wrong("user", "is missing")),
    }
}

fn mail_server(values: &Values) -> Result<MailServer, WrongSetting> {
    let host = line(values, "host")?.trim().to_owned();
    let encryption = match values.text("encryption").unwrap_or("starttls") {
        "starttls" => Encryption::StartTls,
        "tls" => Encryption::Tls,
        "none" => Encryption::None,
        _ => return Err(wrong("encryption", "must be starttls, tls or none")),
    };
    let login = match (values.text("user"), values.text("password")) {
        (Some(user), Some(password)) => Some((user.to_owned(), password.to_owned())),
        (None, None) => None,
        (Some(_), None) => return Err(wrong("password", "is missing")),
        (None, Some(_)) => return Err(wrong("user", "is missing")),
    };
    let is_here = matches!(host.as_str(), "localhost" | "::1") || host.starts_with("127.");
    if login.is_some() && encryption == Encryption::None && !is_here {
        return Err(wrong("encryption", "a password is not sent without encryption"));
    }
    let usual = match encryption {
        Encryption::StartTls => 587,
        Encryption::Tls => 465,
        Encryption::None => 25,
    };
    Ok(MailServer { host, port: values.number("port")?.unwrap_or(usual), encryption, login })
}

/// Addresses between commas.
fn people(values: &Values, field: &str) -> Result<Vec<Person>, WrongSetting> {
    let people = line(values, field)?.split(',').map(|text| Person::parse(text.trim()));
    let people: Option<Vec<_>> = people.collect();
    people.ok_or_else(|| wrong(field, "must be addresses such as noc@example.org or NOC <noc@example.org>"))
}
