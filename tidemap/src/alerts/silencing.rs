//! `tidemap alerts silence`, `silences` and `unsilence`. They ask the API.

use std::fmt::Write;

use serde_json::{Map, Value};
use tidemap_service::cli::{self, UsageError};
use tidemap_traffic::Zone;
use tidemap_wire::{
    Silence,
    http::{SilenceJson, SilencesJson},
};

use super::replaying::percent_encoded;
use crate::api_answer::{self, ApiAddressArgs};

const PATH: &str = "/api/alerts/silences";

/// Which alerts are silenced, until when, and why: all that is given must fit an alert.
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
#[command(group = clap::ArgGroup::new("when").required(true))]
pub(crate) struct SilenceArgs {
    /// The alerts of this rule.
    #[arg(long, value_name = "RULE", group = "which")]
    rule: Option<String>,
    /// Those about this node.
    #[arg(long, value_name = "NAME", group = "which")]
    node: Option<String>,
    /// Those about nodes in this place, and about the place itself.
    #[arg(long, value_name = "PLACE", group = "which")]
    location: Option<String>,
    /// Those about nodes of this provider, and about the provider itself.
    #[arg(long, value_name = "PROVIDER", group = "which")]
    provider: Option<String>,
    /// Those about nodes with this label, and about all of them together.
    #[arg(long, value_name = "NAME=VALUE", group = "which")]
    label: Option<String>,
    /// One alert, by its id in /api/alerts.
    #[arg(long, value_name = "ID", group = "which")]
    alert: Option<String>,
    /// All alerts.
    #[arg(long, group = "which", conflicts_with_all = ["rule", "node", "location", "provider", "label", "alert"])]
    all: bool,
    /// For how long, such as 30m, 2h or 7d.
    #[arg(long = "for", value_name = "TIME", group = "when")]
    length: Option<String>,
    /// Until when, such as "2026-12-01 22:00".
    #[arg(long, value_name = "MOMENT", group = "when")]
    until: Option<String>,
    /// Why: others see it.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who silences them.
    #[arg(long, env = "USER", value_name = "NAME")]
    who: String,
    /// The id of the silence that this one replaces.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The time zone of what is typed and printed, such as Europe/Zurich.
    #[arg(long, default_value = "UTC", value_name = "ZONE", value_parser = Zone::named)]
    tz: Zone,
    #[command(flatten)]
    api: ApiAddressArgs,
}

/// How silences are listed.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// The time zone of what is printed, such as Europe/Zurich.
    #[arg(long, default_value = "UTC", value_name = "ZONE", value_parser = Zone::named)]
    tz: Zone,
    /// Prints the API's own answer instead of lines.
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
    #[command(flatten)]
    api: ApiAddressArgs,
}

/// Which silence ends.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct EndArgs {
    /// Its id, as `tidemap alerts silences` prints it.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    api: ApiAddressArgs,
}

pub(super) async fn silence(args: SilenceArgs) -> anyhow::Result<()> {
    let body = args.body()?;
    let zone = args.tz.clone();
    let answer = api_answer::asked(move || args.api.put(PATH, &body)).await?;
    let made: SilenceJson = api_answer::read(&answer)?;
    Ok(cli::print(line(&made, &zone))?)
}

pub(super) async fn list(args: ListArgs) -> anyhow::Result<()> {
    let body = api_answer::asked(move || args.api.ask(PATH)).await?;
    if args.format.is_some() {
        return Ok(cli::print(body.trim_end())?);
    }
    let listed: SilencesJson = api_answer::read(&body)?;
    let mut lines: Vec<String> = listed.silences.iter().map(|silence| line(silence, &args.tz)).collect();
    if lines.is_empty() {
        lines.push("nothing is silenced".to_owned());
    }
    Ok(cli::print(lines.join("\n"))?)
}

pub(super) async fn end(args: EndArgs) -> anyhow::Result<()> {
    let path = format!("{PATH}/{}", percent_encoded(&args.id));
    api_answer::asked(move || args.api.delete(&path)).await?;
    Ok(cli::print("the silence has ended")?)
}

impl SilenceArgs {
    fn body(&self) -> Result<Map<String, Value>, UsageError> {
        let mut body = Map::new();
        let texts = [
            ("rule", &self.rule),
            ("node", &self.node),
            ("location", &self.location),
            ("provider", &self.provider),
            ("label", &self.label),
            ("alert", &self.alert),
            ("for", &self.length),
            ("id", &self.id),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
        let words = [("who", self.who.clone()), ("why", self.why.clone())];
        body.extend(texts.chain(words).map(|(name, text)| (name.to_owned(), text.into())));
        if self.all {
            body.insert("all".to_owned(), true.into());
        }
        if let Some(until) = &self.until {
            let wrong = || UsageError(format!("--until {until}: must be a moment such as 2026-12-01 22:00"));
            body.insert("until_ms".to_owned(), self.tz.moment(until).ok_or_else(wrong)?.into());
        }
        Ok(body)
    }
}

/// `5f0c77a1  until 2026-12-01 22:00 +01:00  rule offline, label site=fra  (3 fire)  ann: new switch`
fn line(SilenceJson { id, silence, firing }: &SilenceJson, zone: &Zone) -> String {
    let until = zone.show_as(silence.until_ms, "%Y-%m-%d %H:%M %:z");
    let mut line = format!("{id}  until {until}  {}  ({firing} fire)", matchers(silence));
    if !silence.who.is_empty() {
        // A line, whatever the API says.
        write!(line, "  {}: {}", silence.who, silence.why).ok();
    }
    line.replace(char::is_control, " ")
}

fn matchers(silence: &Silence) -> String {
    if silence.all {
        return "all".to_owned();
    }
    let named = [
        ("rule", &silence.rule),
        ("node", &silence.node),
        ("location", &silence.location),
        ("provider", &silence.provider),
        ("label", &silence.label),
        ("alert", &silence.alert),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: SilenceArgs,
    }

    fn body(words: &[&str]) -> Result<Value, String> {
        let words = ["x"].iter().chain(words).chain(&["--why", "new switch", "--who", "ann"]);
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        cli.args.body().map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_typed_is_what_the_api_is_asked() {
        let asked = body(&["--rule", "offline", "--label", "site=fra", "--for", "2h"]).unwrap();
        let expected = serde_json::json!({
            "rule": "offline", "label": "site=fra", "for": "2h", "who": "ann", "why": "new switch",
        });
        assert_eq!(asked, expected);
        let asked = body(&["--all", "--until", "2026-12-01 22:00", "--tz", "Europe/Zurich"]).unwrap();
        assert_eq!((&asked["all"], &asked["until_ms"]), (&true.into(), &1_796_158_800_000_i64.into()));
    }

    #[test]
    fn a_silence_is_about_something_and_ends_some_time() {
        for (words, said) in [
            (&["--for", "2h"][..], "--rule"),
            (&["--all"], "--for"),
            (&["--all", "--rule", "a", "--for", "2h"], "--rule"),
            (&["--all", "--for", "2h", "--until", "2026-12-01"], "--until"),
            (&["--all", "--until", "tomorrow"], "--until tomorrow: must be a moment"),
        ] {
            let error = body(words).unwrap_err();
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_silence_is_one_line() {
        let silence = Silence {
            rule: Some("offline".to_owned()),
            node: Some("web\u{1b}".to_owned()),
            until_ms: 1_796_158_800_000,
            who: "ann".to_owned(),
            why: "new\nswitch".to_owned(),
            ..Silence::default()
        };
        let shown = SilenceJson { id: "5f".to_owned(), silence, firing: 3 };
        let zone = Zone::named("Europe/Zurich").unwrap();
        assert_eq!(
            line(&shown, &zone),
            "5f  until 2026-12-01 22:00 +01:00  rule offline, node web   (3 fire)  ann: new switch"
        );
    }
}
