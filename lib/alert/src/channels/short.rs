//! Short addresses, as Apprise and Shoutrrr have them: `ntfy://host/topic`,
//! `telegram://TOKEN@telegram?chats=…`.

use percent_encoding::percent_decode_str;
use url::Url;

use super::service::Service;

/// What an address says about settings.
type Said = Vec<(&'static str, String)>;

const NO_ADDRESS: &str = "cannot be read as an address";

/// The settings that an address of a service stands for.
///
/// # Errors
///
/// When it stands for none; says why without the address.
pub(crate) fn expand(service: Service, address: &str) -> Result<Said, &'static str> {
    let address = address.trim();
    let (scheme, rest) = address.split_once("://").ok_or(NO_ADDRESS)?;
    let scheme = scheme.to_ascii_lowercase();
    let web = match scheme.as_str() {
        "http" | "https" => return web(service, &Url::parse(address).map_err(|_| NO_ADDRESS)?),
        _ if Service::of(address) != Some(service) => return Err("belongs to another type of channel"),
        scheme if scheme.ends_with("+http") => "http",
        _ => "https",
    };
    match service {
        Service::Telegram if scheme == "tgram" => tgram(rest),
        Service::Slack | Service::Discord | Service::Telegram | Service::Smtp => {
            let url = Url::parse(address).map_err(|_| NO_ADDRESS)?;
            match service {
                Service::Slack => slack(&url),
                Service::Discord => discord(&url),
                Service::Telegram => telegram(&url),
                _ => smtp(&url),
            }
        }
        Service::Webhook | Service::Ntfy | Service::Gotify | Service::Alertmanager => {
            let mut url = Url::parse(&format!("{web}://{rest}")).map_err(|_| NO_ADDRESS)?;
            if matches!(service, Service::Ntfy | Service::Gotify) {
                let says = |name: &str, value: &str| query(&url, &[name]).as_deref() == Some(value);
                if says("scheme", "http") || says("disabletls", "yes") {
                    url = Url::parse(&format!("http://{rest}")).map_err(|_| NO_ADDRESS)?;
                }
                url.set_query(None);
            }
            if service == Service::Gotify { gotify(url) } else { self::web(service, &url) }
        }
    }
}

/// An address of HTTP.
fn web(service: Service, url: &Url) -> Result<Said, &'static str> {
    match service {
        Service::Ntfy => {
            let (server, topic) = last_segment(url.clone()).ok_or("has no topic")?;
            let mut said = vec![("topic", topic)];
            let (user, password) = (decoded(server.username()), server.password().map(decoded));
            match password {
                Some(password) => said.extend([("user", user), ("password", password)]),
                None if user.starts_with("tk_") => said.push(("token", user)),
                None if user.is_empty() => {}
                None => return Err("has a user without a password"),
            }
            said.push(("server", bare(server)));
            Ok(said)
        }
        Service::Gotify | Service::Telegram => Ok(vec![("server", url.to_string())]),
        Service::Smtp => Err("must begin with smtp:// or smtps://"),
        Service::Webhook | Service::Slack | Service::Discord | Service::Alertmanager => {
            Ok(vec![("url", url.to_string())])
        }
    }
}

fn gotify(url: Url) -> Result<Said, &'static str> {
    let (server, token) = last_segment(url).ok_or("has no token")?;
    Ok(vec![("server", server.to_string()), ("token", token)])
}

fn slack(url: &Url) -> Result<Said, &'static str> {
    let tokens: Vec<String> = match (url.username(), url.password()) {
        ("hook", Some(tokens)) => decoded(tokens).split('-').map(str::to_owned).collect(),
        _ => url.host_str().map(str::to_owned).into_iter().chain(segments(url)).collect(),
    };
    match tokens.as_slice() {
        [a, b, c] => Ok(vec![("url", format!("https://hooks.slack.com/services/{a}/{b}/{c}"))]),
        _ => Err("must be slack://A/B/C or slack://hook:A-B-C@webhook"),
    }
}

fn discord(url: &Url) -> Result<Said, &'static str> {
    let host = url.host_str().unwrap_or_default();
    let (id, token) = match (url.username(), segments(url).as_slice()) {
        ("", [token]) => (host.to_owned(), token.clone()),
        (token, []) if !token.is_empty() => (host.to_owned(), decoded(token)),
        _ => return Err("must be discord://ID/TOKEN or discord://TOKEN@ID"),
    };
    let thread = query(url, &["thread_id"]).map(|thread| format!("?thread_id={thread}")).unwrap_or_default();
    Ok(vec![("url", format!("https://discord.com/api/webhooks/{id}/{token}{thread}"))])
}

fn telegram(url: &Url) -> Result<Said, &'static str> {
    let mut token = decoded(url.username());
    if let Some(end) = url.password() {
        token = format!("{token}:{}", decoded(end));
    }
    let chat = query(url, &["chats", "chat", "channels"]).ok_or("has no ?chats=")?;
    let thread = query(url, &["thread", "topic"]);
    Ok([vec![("token", token)], chat_settings(&chat, thread)?].concat())
}

/// Not an address as others are: the token has a colon where a port would be.
fn tgram(rest: &str) -> Result<Said, &'static str> {
    let (path, thread) = match rest.split_once('?') {
        Some((path, _)) => (path, Url::parse(&format!("x://{rest}")).ok()),
        None => (rest, None),
    };
    let thread = thread.and_then(|url| query(&url, &["thread", "topic"]));
    match path.trim_end_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        [token, chat] if !token.is_empty() => {
            Ok([vec![("token", (*token).to_owned())], chat_settings(chat, thread)?].concat())
        }
        _ => Err("must be tgram://TOKEN/CHAT"),
    }
}

/// A chat, possibly with its thread behind a colon.
fn chat_settings(chat: &str, thread: Option<String>) -> Result<Said, &'static str> {
    if chat.contains(',') {
        return Err("has several chats: give each a channel of its own");
    }
    let (chat, thread) = match chat.split_once(':') {
        Some((chat, thread)) => (chat, Some(thread.to_owned())),
        None => (chat, thread),
    };
    let mut said = vec![("chat", chat.to_owned())];
    said.extend(thread.map(|thread| ("thread", thread)));
    Ok(said)
}

fn smtp(url: &Url) -> Result<Said, &'static str> {
    let mut said = vec![("host", url.host_str().ok_or("has no host")?.trim_matches(['[', ']']).to_owned())];
    said.extend(url.port().map(|port| ("port", port.to_string())));
    if !url.username().is_empty() {
        said.push(("user", decoded(url.username())));
    }
    said.extend(url.password().map(|password| ("password", decoded(password))));
    said.extend(query(url, &["from", "fromaddress"]).map(|from| ("from", from)));
    said.extend(query(url, &["to", "toaddresses"]).map(|to| ("to", to)));
    let encryption = query(url, &["encryption"]).map(|text| text.to_ascii_lowercase());
    let encryption = match encryption.as_deref() {
        Some("none") => "none",
        Some("tls" | "implicittls") => "tls",
        Some("starttls" | "explicittls" | "auto") => "starttls",
        Some(_) => return Err("encryption must be starttls, tls or none"),
        None if url.scheme() == "smtps" => "tls",
        None => "starttls",
    };
    said.push(("encryption", encryption.to_owned()));
    Ok(said)
}

/// An address without its last segment, and that.
fn last_segment(mut url: Url) -> Option<(Url, String)> {
    let last = segments(&url).pop()?;
    let mut path = url.path_segments_mut().ok()?;
    path.pop_if_empty().pop();
    drop(path);
    Some((url, last))
}

fn segments(url: &Url) -> Vec<String> {
    let segments = url.path().split('/').filter(|segment| !segment.is_empty());
    segments.map(decoded).collect()
}

/// Without a name and a password.
fn bare(mut url: Url) -> String {
    // Neither fails on an address that has a host.
    url.set_username("").and_then(|()| url.set_password(None)).ok();
    url.to_string()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The first of these parameters. Shoutrrr writes them in any case.
fn query(url: &Url, names: &[&str]) -> Option<String> {
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(name, _)| names.contains(&name.to_ascii_lowercase().as_str()))?;
    Some(found.1.into_owned())
}
