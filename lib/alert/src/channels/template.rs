//! Bodies of webhooks as others want them: text with names between `{{` and `}}`.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use tidemap_traffic::Zone;
use tidemap_wire::AlertChange;

use super::{Style, message::Message, payload, test_notice};

/// The longest template, in bytes.
const MAX_BYTES: usize = 64 << 10;
/// What names of nodes may contain.
const HOSTILE: &str = "a\"b\\c</d>\n😀{{text}}";

/// A body with places for values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String, Form),
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is.
    Plain,
    /// As JSON: text with its quotes.
    Json,
    /// As JSON inside of quotes.
    Inner,
    /// As a part of an address.
    Url,
}

impl Template {
    /// Reads a template. If it is to make JSON, it is filled with a name that has quotes in it.
    ///
    /// # Errors
    ///
    /// When it is none, or does not make JSON.
    pub(crate) fn parse(text: &str, is_json: bool) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("is longer than {} KiB", MAX_BYTES >> 10));
        }
        let sample = sample();
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let (inside, behind) = behind.split_once("}}").ok_or("has {{ without }}")?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(piece(inside, &sample)?);
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let template = Self(pieces);
        let makes_json = |fields| serde_json::from_str::<Value>(&template.fill(fields)).is_ok();
        if is_json && !(makes_json(&sample) && makes_json(&without_values(sample.clone()))) {
            return Err("does not make JSON when a name has quotes in it or a value is missing: write \
                        {{json text}} without quotes, or {{inner text}} between them"
                .to_owned());
        }
        Ok(template)
    }

    /// The body for these values.
    pub(crate) fn fill(&self, fields: &Map<String, Value>) -> String {
        let mut body = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => body.push_str(text),
                Piece::Field(name, form) => {
                    body.push_str(&form.write(fields.get(name).unwrap_or(&Value::Null)));
                }
            }
        }
        body
    }
}

fn piece(inside: &str, sample: &Map<String, Value>) -> Result<Piece, String> {
    let words: Vec<_> = inside.split_whitespace().collect();
    let (form, name) = match words.as_slice() {
        [name] => (Form::Plain, *name),
        ["json", name] => (Form::Json, *name),
        ["inner", name] => (Form::Inner, *name),
        ["url", name] => (Form::Url, *name),
        _ => return Err(format!("{{{{{inside}}}}} is not a name, or json, inner or url and a name")),
    };
    if !sample.contains_key(name) {
        let names: Vec<_> = sample.keys().map(String::as_str).collect();
        return Err(format!("there is no {name}: there are {}", names.join(", ")));
    }
    Ok(Piece::Field(name.to_owned(), form))
}

impl Form {
    fn write(self, value: &Value) -> String {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        match self {
            Self::Plain => text,
            Self::Json => value.to_string(),
            Self::Inner => {
                let quoted = Value::String(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Url => utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string(),
        }
    }
}

/// What a notice may lack is missing.
fn without_values(mut fields: Map<String, Value>) -> Map<String, Value> {
    for name in ["url", "target", "summary", "since", "value", "peak", "threshold", "unit"] {
        fields.insert(name.to_owned(), Value::Null);
    }
    fields
}

/// Values as bad as they can be.
fn sample() -> Map<String, Value> {
    let style = Style { zone: Zone::UTC, page_url: None };
    let mut notice = test_notice(HOSTILE, 0);
    notice.change = AlertChange::Fired;
    HOSTILE.clone_into(&mut notice.id);
    HOSTILE.clone_into(&mut notice.rule);
    for alert in &mut notice.alerts {
        HOSTILE.clone_into(&mut alert.target.name);
        alert.value = Some(1.0);
        HOSTILE.clone_into(&mut alert.unit);
    }
    let message =
        Message { title: HOSTILE.to_owned(), body: HOSTILE.to_owned(), link: Some(HOSTILE.to_owned()) };
    payload::webhook(&notice, &message, &style)
}
