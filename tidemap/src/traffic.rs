//! `tidemap traffic`: what traffic came to, as a table in a terminal. It asks the API.

mod list;
mod table;

use tidemap_service::{cli, clock};
use tidemap_traffic::Unit;
use tidemap_wire::http::{PlansJson, TrafficJson};

pub(crate) use self::table::{harmless, rate};
use crate::api_answer::{self, ApiAddressArgs};

/// What is asked for.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TrafficArgs {
    /// The node whose traffic is counted; the whole fleet unless given.
    #[arg(value_name = "NODE", conflicts_with_all = ["by", "plan"])]
    node: Option<String>,
    /// Counts a group instead: location, provider or label:NAME.
    #[arg(long, value_name = "KIND", requires = "key")]
    by: Option<String>,
    /// Which location or provider, or which value of the label.
    #[arg(long, value_name = "VALUE", requires = "by")]
    key: Option<String>,
    /// Counts as this plan of the API's file says.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["by", "cycle", "anchor", "tz", "direction", "quota", "p95"])]
    plan: Option<String>,
    /// Lists the plans of the API's file, and how each of them stands.
    #[arg(
        long,
        conflicts_with_all = ["node", "by", "plan", "cycle", "anchor", "tz", "periods", "direction", "quota", "p95", "format"]
    )]
    plans: bool,
    /// How long a period is: hour, day, week, month, year, a number of them such as "2 weeks", or "rolling
    /// 24h". A month unless given.
    #[arg(long, short, value_name = "LENGTH")]
    cycle: Option<String>,
    /// Where one period begins, such as 2026-01-31 or "2026-01-31 22:30"; those of the calendar unless given.
    #[arg(long, value_name = "DATE")]
    anchor: Option<String>,
    /// The time zone by whose clocks periods begin, such as Europe/Zurich; the API's unless given.
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// How many periods, up to the present one; 24 hours, 30 days or 12 of others unless given.
    #[arg(long, short = 'n', value_name = "NUMBER")]
    periods: Option<u32>,
    /// Which bytes count: both, larger, smaller, out or in.
    #[arg(long, value_name = "DIRECTION")]
    direction: Option<String>,
    /// What a period may use, such as "20 TB".
    #[arg(long, value_name = "AMOUNT")]
    quota: Option<String>,
    /// The 95th percentile, too.
    #[arg(long)]
    p95: bool,
    /// The rate that is agreed for the percentile, such as "200 Mbit/s".
    #[arg(long, value_name = "RATE", requires = "p95")]
    commit: Option<String>,
    /// The unit of all amounts: B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB or PiB; one that fits each of them
    /// unless given.
    #[arg(long, short, value_name = "UNIT", value_parser = unit)]
    unit: Option<Unit>,
    /// Prints the API's own answer instead of a table.
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "json"])]
    format: Option<String>,
    #[command(flatten)]
    api: ApiAddressArgs,
}

fn unit(name: &str) -> Result<Unit, &'static str> {
    Unit::named(name).ok_or("must be B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB or PiB")
}

pub(crate) async fn run(args: TrafficArgs) -> anyhow::Result<()> {
    let (unit, is_table, is_list) = (args.unit, args.format.is_none(), args.plans);
    let body = api_answer::asked(move || args.api.ask(&args.path())).await?;
    if !is_table {
        return Ok(cli::print(body.trim_end())?);
    }
    if is_list {
        let plans: PlansJson = api_answer::read(&body)?;
        return Ok(cli::print(list::list(&plans, unit).trim_end())?);
    }
    let traffic: TrafficJson = api_answer::read(&body)?;
    Ok(cli::print(table::table(&traffic, unit, clock::unix_ms()).trim_end())?)
}

impl TrafficArgs {
    fn path(&self) -> String {
        if self.plans {
            return "/api/traffic/plans".to_owned();
        }
        let periods = self.periods.map(|periods| periods.to_string());
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("node", &self.node),
            ("by", &self.by),
            ("key", &self.key),
            ("plan", &self.plan),
            ("cycle", &self.cycle),
            ("anchor", &self.anchor),
            ("tz", &self.tz),
            ("periods", &periods),
            ("direction", &self.direction),
            ("quota", &self.quota),
            ("p95", &self.p95.then(|| "true".to_owned())),
            ("commit", &self.commit),
            ("format", &self.format),
        ] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("/api/traffic?{}", query.finish())
    }
}
