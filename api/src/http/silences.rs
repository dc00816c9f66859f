//! What is silenced: alerts of which nobody is notified for a time.

use serde_json::{Map, Value};
use tidemap_service::moment::duration_ms;
use tidemap_wire::{
    Silence,
    http::{SilenceJson, SilencesJson},
};
use warp::{http::StatusCode, reply::Response};

use crate::{
    alerts::{AlertsView, NotSilenced, SilenceChange, covers},
    answers::Encoded,
    http::{Asked, Site, access, bodies, errors::ApiError, query},
    json,
};

/// The methods of `/api/alerts/silences`.
pub(super) const ALLOWS: &str = "GET, HEAD, PUT";
const FIELDS: &str =
    "there are rule, node, location, provider, label, alert, all, for, until_ms, who, why and id";
const NO_MATCHER: &str =
    "the body must say which alerts: rule, node, location, provider, label, alert, or all";

/// The id in `/api/alerts/silences/{id}`.
pub(super) fn id(path: &str) -> Option<&str> {
    path.strip_prefix("/api/alerts/silences/").filter(|id| !id.is_empty() && !id.contains('/'))
}

/// `GET /api/alerts/silences`
pub(super) async fn list(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    access::check_read(&site.access, &asked.headers)?;
    query::none(&asked.query)?;
    let shown = site.alerts.borrow().clone().ok_or_else(no_station)?;
    let at_ms = now_ms(site).await?;
    let silences = shown.silences.iter().filter(|(_, silence)| silence.until_ms > at_ms);
    let silences = silences.map(|(id, silence)| shown_as_json(site, &shown, id, silence)).collect();
    let body = json::encode(&SilencesJson { at_ms, silences });
    let (tag, body) = (bodies::tag(&body), Encoded::long(body, &site.budget)?);
    bodies::encoded(&asked.headers, &tag, bodies::JSON, &body).await
}

/// `PUT /api/alerts/silences`
pub(super) async fn put(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    check_change(asked, site)?;
    if site.alerts.borrow().is_none() {
        return Err(no_station());
    }
    let at_ms = now_ms(site).await?;
    let body = asked.body.as_deref();
    let body =
        body.ok_or_else(|| ApiError::Query("the body is longer than 4 KB, or broke off".to_owned()))?;
    let Wanted { id, mut silence } = Wanted::read(body, at_ms).map_err(ApiError::Query)?;
    if let Some(name) = &mut silence.node {
        let found = site.fleet.find(name.clone()).await?;
        let found = found.ok_or_else(|| ApiError::Query(format!("node: there is no node named {name}")))?;
        *name = found.id.text();
    }
    let fresh = || format!("{:08x}", fastrand::u32(..));
    let (id, change) = match id {
        Some(id) => (id.clone(), SilenceChange::Replace(id, silence.clone())),
        None => {
            let id = fresh();
            (id.clone(), SilenceChange::Make(id, silence.clone()))
        }
    };
    site.silencer.change(change, at_ms).await?;
    let shown = site.alerts.borrow().clone().ok_or_else(no_station)?;
    let mut response = Response::new(json::encode(&shown_as_json(site, &shown, &id, &silence)).into());
    let json = warp::http::HeaderValue::from_static(bodies::JSON);
    response.headers_mut().insert(warp::http::header::CONTENT_TYPE, json);
    Ok(response)
}

/// `DELETE /api/alerts/silences/{id}`
pub(super) async fn end(asked: &Asked, site: &Site, id: &str) -> Result<Response, ApiError> {
    if asked.method != warp::http::Method::DELETE {
        return Err(ApiError::WrongMethod { allow: "DELETE" });
    }
    check_change(asked, site)?;
    let at_ms = now_ms(site).await?;
    site.silencer.change(SilenceChange::End(id.to_owned()), at_ms).await?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn check_change(asked: &Asked, site: &Site) -> Result<(), ApiError> {
    if site.names.is_foreign_change(&asked.headers) {
        return Err(ApiError::ForeignOrigin);
    }
    access::check_admin(&site.access, &asked.headers)?;
    query::none(&asked.query)
}

/// Broker time, Unix milliseconds.
async fn now_ms(site: &Site) -> Result<i64, ApiError> {
    Ok((site.fleet.stats().await?.values.timestamp * 1_000.0) as i64)
}

fn no_station() -> ApiError {
    ApiError::NotFound("alerts: no alert station has run".to_owned())
}

/// A silence as answers tell it: on a public page, without the operator's words.
fn shown_as_json(site: &Site, shown: &AlertsView, id: &str, silence: &Silence) -> SilenceJson {
    let firing = shown.firing.iter().filter(|alert| covers(silence, alert)).count() as u64;
    let mut silence = silence.clone();
    if site.redacted {
        (silence.who, silence.why) = (String::new(), String::new());
    }
    SilenceJson { id: id.to_owned(), silence, firing }
}

impl From<NotSilenced> for ApiError {
    fn from(error: NotSilenced) -> Self {
        match error {
            NotSilenced::Unknown(id) => Self::NotFound(format!("silence {id}")),
            NotSilenced::NoStation => no_station(),
            NotSilenced::Full | NotSilenced::TooMany => Self::Query(error.to_string()),
            NotSilenced::NotStored => Self::NotReady(error.to_string()),
        }
    }
}

/// What a body asks for. The node is as somebody called it.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    /// Of the silence that it replaces.
    id: Option<String>,
    silence: Silence,
}

impl Wanted {
    /// Reads a body, or says what is wrong in it, by its name.
    fn read(body: &[u8], now_ms: i64) -> Result<Self, String> {
        let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            format!("the body must be a JSON object such as {{\"rule\": \"offline\"}}: {error}")
        })?;
        let mut wanted = Self { silence: Silence { made_ms: now_ms, ..Silence::default() }, id: None };
        let mut until = Vec::new();
        for (name, value) in &fields {
            let taken = match name.as_str() {
                "for" => length(value).map(|ms| until.push(now_ms + ms)),
                "until_ms" => moment(value, now_ms).map(|ms| until.push(ms)),
                _ => wanted.take(name, value),
            };
            taken.map_err(|error| format!("{name}: {error}"))?;
        }
        let [until_ms] = until[..] else {
            return Err("the body must say for how long: either for or until_ms".to_owned());
        };
        let silence = &mut wanted.silence;
        silence.until_ms = until_ms;
        match (silence.all, silence.names_any()) {
            (true, true) => return Err("all: goes with nothing else that says which alerts".to_owned()),
            (false, false) => return Err(NO_MATCHER.to_owned()),
            _ => {}
        }
        for (name, text) in [("who", &silence.who), ("why", &silence.why)] {
            if text.is_empty() {
                return Err(format!("{name}: must be given"));
            }
        }
        Ok(wanted)
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let Self { id, silence } = self;
        let named = || text(value, Silence::MAX_NAME_BYTES);
        match name {
            "id" => *id = Some(named()?),
            "rule" => silence.rule = Some(named()?),
            "node" => silence.node = Some(named()?),
            "location" => silence.location = Some(named()?),
            "provider" => silence.provider = Some(named()?),
            "alert" => silence.alert = Some(named()?),
            "label" => {
                let label = named()?;
                if label.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
                    return Err("must be NAME=VALUE, such as site=fra".to_owned());
                }
                silence.label = Some(label);
            }
            "all" => silence.all = value.as_bool().ok_or("must be true or false")?,
            "who" => silence.who = named()?,
            "why" => silence.why = text(value, Silence::MAX_WHY_BYTES)?,
            _ => return Err(format!("no such field; {FIELDS}")),
        }
        Ok(())
    }
}

/// A text that fits a line.
fn text(value: &Value, most: usize) -> Result<String, String> {
    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty() && text.len() <= most);
    let text = text.filter(|text| !text.contains(char::is_control));
    text.map(str::to_owned).ok_or_else(|| format!("must be a text of one line, at most {most} bytes"))
}

fn length(value: &Value) -> Result<i64, String> {
    let ms = value.as_str().and_then(duration_ms).filter(|ms| (1..=Silence::MAX_MS).contains(ms));
    ms.ok_or_else(|| "must be a time such as 30m, 2h or 7d, at most 366d".to_owned())
}

fn moment(value: &Value, now_ms: i64) -> Result<i64, String> {
    let ms = value.as_i64().filter(|ms| (1..=Silence::MAX_MS).contains(&ms.saturating_sub(now_ms)));
    ms.ok_or_else(|| "must be Unix milliseconds, later than now by at most 366 days".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    #[test]
    fn a_body_says_which_alerts_until_when_who_and_why() {
        let body =
            br#"{"label": "site=fra", "rule": "busy", "for": "2h", "who": "ann", "why": " new switch "}"#;
        let Wanted { id, silence } = Wanted::read(body, NOW_MS).unwrap();
        let expected = Silence {
            rule: Some("busy".to_owned()),
            label: Some("site=fra".to_owned()),
            made_ms: NOW_MS,
            until_ms: NOW_MS + 7_200_000,
            who: "ann".to_owned(),
            why: "new switch".to_owned(),
            ..Silence::default()
        };
        assert_eq!((id, silence), (None, expected));
        let body = br#"{"all": true, "until_ms": 1700000000001, "who": "ann", "why": "x", "id": "7"}"#;
        let Wanted { id, silence } = Wanted::read(body, NOW_MS).unwrap();
        assert_eq!((id.as_deref(), silence.all, silence.until_ms), (Some("7"), true, NOW_MS + 1));
    }

    #[test]
    fn what_is_wrong_in_a_body_is_named_in_one_line() {
        let rest = r#""for": "2h", "who": "ann", "why": "x""#;
        let long = "x".repeat(Silence::MAX_WHY_BYTES + 1);
        let later = NOW_MS + Silence::MAX_MS + 1;
        for (body, said) in [
            ("", "the body must be a JSON object"),
            ("[]", "the body must be a JSON object"),
            (&format!(r#"{{"nodes": ["a"], {rest}}}"#), "nodes: no such field; there are rule, node, "),
            (&format!(r#"{{"node": 7, {rest}}}"#), "node: must be a text of one line"),
            (&format!(r#"{{"node": "", {rest}}}"#), "node: must be a text of one line"),
            (
                &format!(r#"{{"rule": "a\nb", {rest}}}"#),
                "rule: must be a text of one line, at most 511 bytes",
            ),
            (&format!(r#"{{"label": "site", {rest}}}"#), "label: must be NAME=VALUE, such as site=fra"),
            (&format!(r#"{{"all": "yes", {rest}}}"#), "all: must be true or false"),
            (&format!(r#"{{"all": true, "rule": "a", {rest}}}"#), "all: goes with nothing else"),
            (&format!(r#"{{"all": false, {rest}}}"#), "the body must say which alerts: rule, node"),
            (&format!(r#"{{{rest}}}"#), "the body must say which alerts: rule, node"),
            (r#"{"all": true, "who": "ann", "why": "x"}"#, "the body must say for how long: either for or"),
            (&format!(r#"{{"all": true, "until_ms": 1700000000007, {rest}}}"#), "either for or until_ms"),
            (r#"{"all": true, "for": 7, "who": "a", "why": "x"}"#, "for: must be a time such as"),
            (r#"{"all": true, "for": "367d", "who": "a", "why": "x"}"#, "for: must be a time such as"),
            (
                r#"{"all": true, "until_ms": 7, "who": "a", "why": "x"}"#,
                "until_ms: must be Unix milliseconds",
            ),
            (
                &format!(r#"{{"all": true, "until_ms": {later}, "who": "a", "why": "x"}}"#),
                "until_ms: must be Unix milliseconds",
            ),
            (r#"{"all": true, "for": "2h", "why": "x"}"#, "who: must be given"),
            (r#"{"all": true, "for": "2h", "who": "a"}"#, "why: must be given"),
            (
                &format!(r#"{{"all": true, "for": "2h", "who": "a", "why": "{long}"}}"#),
                "why: must be a text of one line, at most 500 bytes",
            ),
        ] {
            let refused = Wanted::read(body.as_bytes(), NOW_MS).unwrap_err();
            assert!(refused.contains(said), "{body}: {refused}");
            assert_eq!(refused.lines().count(), 1, "{refused}");
        }
    }
}
