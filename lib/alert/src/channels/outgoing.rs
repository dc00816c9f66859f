//! What is sent for a notice, ready for the network.

use url::Url;

use super::{
    Style,
    destination::{Destination, WebhookSettings},
    mail::Mail,
    message::Message,
    payload,
    setting::{WrongSetting, wrong},
    wording::token,
};
use tidemap_wire::AlertNotice;

/// What is sent. It contains secrets, so it is not shown.
pub enum Outgoing {
    /// A request.
    Post(Post),
    /// A mail.
    Mail(Mail),
}

/// A request of HTTP.
pub struct Post {
    /// Where to.
    pub url: String,
    /// Headers with their values.
    pub headers: Vec<(String, String)>,
    /// UTF-8.
    pub body: String,
    /// With what the body is to be signed.
    pub secret: Option<String>,
}

impl Post {
    fn json(url: &Url, body: String) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { url: url.to_string(), headers, body, secret: None }
    }

    fn with(mut self, name: &str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name.to_owned(), value)));
        self
    }
}

pub(super) fn outgoing(
    target: Destination,
    notice: &AlertNotice,
    style: &Style,
) -> Result<Outgoing, WrongSetting> {
    let message = Message::of(notice, style);
    let post = match target {
        Destination::Webhook(webhook) => hook(webhook, notice, &message, style)?,
        Destination::Ntfy { server, topic, authorization } => {
            Post::json(&server, payload::ntfy(&topic, notice, &message)).with("authorization", authorization)
        }
        Destination::Telegram { server, token, chat, thread } => {
            let url = below(&server, &[&format!("bot{token}"), "sendMessage"])?;
            Post::json(&url, payload::telegram(&chat, thread, &message))
        }
        Destination::Slack { url } => Post::json(&url, payload::slack(&message)),
        Destination::Discord { mut url } => {
            // The answer then says whether the message is there.
            url.query_pairs_mut().append_pair("wait", "true");
            Post::json(&url, payload::discord(notice, &message))
        }
        Destination::Gotify { server, token } => {
            let url = below(&server, &["message"])?;
            Post::json(&url, payload::gotify(notice, &message)).with("x-gotify-key", Some(token))
        }
        Destination::Alertmanager { server, authorization } => {
            let url = below(&server, &["api", "v2", "alerts"])?;
            let body = payload::alertmanager(notice, &message, style);
            Post::json(&url, body).with("authorization", authorization)
        }
        Destination::Smtp { server, from, to } => {
            let host = from.host().to_owned();
            let first = notice.alerts.first().map_or(notice.id.as_str(), |alert| alert.id.as_str());
            return Ok(Outgoing::Mail(Mail {
                server,
                from,
                to,
                subject: message.title.clone(),
                body: message.with_link(),
                message_id: format!("{}.notice@{host}", token(&notice.id)),
                thread: format!("{}.alert@{host}", token(first)),
            }));
        }
    };
    Ok(Outgoing::Post(post))
}

fn hook(
    target: WebhookSettings,
    notice: &AlertNotice,
    message: &Message,
    style: &Style,
) -> Result<Post, WrongSetting> {
    let WebhookSettings { url, mut headers, secret, template, content_type } = target;
    let fields = payload::webhook(notice, message, style);
    let body = match &template {
        Some(template) => template.fill(&fields),
        None => serde_json::Value::Object(fields).to_string(),
    };
    headers.extend([
        ("content-type".to_owned(), content_type),
        ("idempotency-key".to_owned(), token(&notice.id)),
        ("x-tidemap-event".to_owned(), payload::event(notice.change).to_owned()),
    ]);
    Ok(Post { url: url.to_string(), headers, body, secret })
}

/// An address below a server's, which may have a path of its own.
fn below(server: &Url, path: &[&str]) -> Result<Url, WrongSetting> {
    let mut url = server.clone();
    let mut segments = url.path_segments_mut().map_err(|()| wrong("server", "has no path"))?;
    segments.pop_if_empty().extend(path);
    drop(segments);
    Ok(url)
}
