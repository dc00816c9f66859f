//! Command-line arguments, their environment variables, and the checks of single values.

use std::{path::PathBuf, time::Duration};

use tidemap_wire::{Capacity, Location, LocationSource, NodeName, bounds};

use crate::{
    probes::Target,
    uplinks::{Count, NamePattern},
};

/// Arguments about sampling, shared with other commands. Parsing refuses wrong values before anything starts.
#[derive(clap::Args, Clone, Debug)]
pub struct AgentArgs {
    /// Seconds between samples, 0.25 to 60.
    #[arg(long, env = "REPORT_INTERVAL", default_value = "1", value_name = "SECONDS", value_parser = interval)]
    pub interval: Duration,
    /// This node's name; the hostname unless given.
    #[arg(long, env = "NODE_NAME", value_name = "NAME", value_parser = NodeName::parse)]
    pub node: Option<NodeName>,
    /// Where this node is: `lat,lon` or `lat,lon,label`. The time zone's city unless given.
    #[arg(
        long,
        env = "TIDEMAP_LOCATION",
        value_name = "LAT,LON[,LABEL]",
        value_parser = location,
        allow_hyphen_values = true
    )]
    pub location: Option<Location>,
    /// The provider of this host, such as a cloud's name; the firmware's vendor where that is a known cloud.
    #[arg(long, env = "TIDEMAP_PROVIDER", value_name = "NAME", value_parser = text)]
    pub provider: Option<String>,
    /// A label, `key=value`; may be repeated, or several separated by commas. `region=eu-central-1` also
    /// places the node.
    #[arg(long = "label", alias = "labels", env = "TIDEMAP_LABELS", value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// What this node's links carry at most, down/up in Mbit/s, such as 500/50: what is sold, where that is
    /// less than the link's speed. The label `cap=500/50` says the same.
    #[arg(long, env = "TIDEMAP_CAP", value_name = "DOWN/UP", value_parser = cap)]
    pub cap: Option<Capacity>,
    /// Which interfaces count: all that lie at the edge of this host, or those that carry a default route, so
    /// that a router counts what passes through it once.
    #[arg(long, env = "TIDEMAP_COUNT", value_enum, ignore_case = true, default_value = "all")]
    pub count: Count,
    /// Count this interface regardless of the kernel's topology (`*` matches anything); wins over --exclude.
    #[arg(long, env = "TIDEMAP_INCLUDE", value_name = "INTERFACE", value_delimiter = ',')]
    pub include: Vec<NamePattern>,
    /// Never count this interface; `--exclude '*' --include eth0` counts eth0 alone.
    #[arg(long, env = "TIDEMAP_EXCLUDE", value_name = "INTERFACE", value_delimiter = ',')]
    pub exclude: Vec<NamePattern>,
    /// Measure the round trip to this target: `icmp://HOST` or `tcp://HOST:PORT`; may be repeated, or several
    /// separated by commas, at most 8.
    #[arg(long = "probe", env = "TIDEMAP_PROBES", value_name = "TARGET", value_delimiter = ',', value_parser = Target::parse)]
    pub probes: Vec<Target>,
    /// Seconds between two probes of a target, 5 to 60.
    #[arg(
        long,
        env = "TIDEMAP_PROBE_INTERVAL",
        default_value = "10",
        value_name = "SECONDS",
        value_parser = probe_interval
    )]
    pub probe_interval: Duration,
    /// Keep samples in this file until the broker has stored them, so that they survive a restart of the
    /// agent during an outage, and beside it the counters, so that what moves between two runs is counted.
    #[arg(long, env = "TIDEMAP_SPOOL", value_name = "FILE")]
    pub spool: Option<PathBuf>,
    /// Where sysfs is mounted.
    #[arg(long, env = "TIDEMAP_SYSFS", default_value = "/sys", value_name = "FOLDER", hide = true)]
    pub sysfs_root: PathBuf,
    /// Where procfs is mounted.
    #[arg(long, env = "TIDEMAP_PROCFS", default_value = "/proc", value_name = "FOLDER", hide = true)]
    pub procfs_root: PathBuf,
}

fn interval(text: &str) -> Result<Duration, String> {
    match text.trim().parse::<f64>() {
        Ok(seconds) if (0.25..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds from 0.25 to 60".to_owned()),
    }
}

fn probe_interval(text: &str) -> Result<Duration, String> {
    match text.trim().parse::<f64>() {
        Ok(seconds) if (5.0..=60.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds from 5 to 60".to_owned()),
    }
}

/// Reads `lat,lon` or `lat,lon,label`.
fn location(value: &str) -> Result<Location, String> {
    let mut parts = value.splitn(3, ',').map(str::trim);
    let mut degrees = |limit: f64| parts.next()?.parse::<f64>().ok().filter(|value| value.abs() <= limit);
    let (Some(lat), Some(lon)) = (degrees(90.0), degrees(180.0)) else {
        return Err("not of the form lat,lon[,label] with lat in -90..90 and lon in -180..180".to_owned());
    };
    let label = parts.next().filter(|label| !label.is_empty()).map(str::to_owned);
    // `47,37, 8,54` would otherwise be a place at 47 and 37 degrees, called "8,54".
    let of_numbers = |label: &String| label.chars().all(|c| c.is_ascii_digit() || " .,+-".contains(c));
    if label.as_ref().is_some_and(of_numbers) {
        return Err("too many numbers: decimals are written with a point, such as 47.37,8.54".to_owned());
    }
    if label.as_ref().is_some_and(|label| label.len() > bounds::TEXT_BYTES) {
        return Err(format!("the label is longer than {} bytes", bounds::TEXT_BYTES));
    }
    Ok(Location { lat, lon, label, source: LocationSource::Given })
}

fn cap(value: &str) -> Result<Capacity, String> {
    Capacity::parse(value).ok_or_else(|| "not of the form down/up in Mbit/s, such as 500/50".to_owned())
}

fn text(value: &str) -> Result<String, String> {
    match value.trim() {
        "" => Err("must not be empty".to_owned()),
        long if long.len() > bounds::TEXT_BYTES => Err(format!("longer than {} bytes", bounds::TEXT_BYTES)),
        value => Ok(value.to_owned()),
    }
}

pub(crate) fn label(pair: &str) -> Result<(String, String), String> {
    let (key, value) = pair.split_once('=').ok_or("not of the form key=value")?;
    Ok((
        text(key).map_err(|why| format!("the key {why}"))?,
        text(value).map_err(|why| format!("the value {why}"))?,
    ))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::command::AgentCommand;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        command: AgentCommand,
    }

    fn parse(args: &[&str]) -> Result<AgentArgs, String> {
        match Cli::try_parse_from([&["agent"], args].concat()) {
            Ok(cli) => Ok(cli.command.agent),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_are_parsed_as_they_are_meant() {
        let args =
            parse(&["--interval", "0.5", "--node", "Web.01", "--label", "a=b=c", "--label", "d=e"]).unwrap();
        assert_eq!(args.interval, Duration::from_millis(500));
        assert_eq!(args.node.unwrap().id().as_str(), "web=2E01");
        assert_eq!(args.labels, [("a".into(), "b=c".into()), ("d".into(), "e".into())]);
        let south = parse(&["--location", "-33.87,151.21,Sydney"]).unwrap().location.unwrap();
        assert_eq!((south.lat, south.lon, south.label.as_deref()), (-33.87, 151.21, Some("Sydney")));
    }

    #[test]
    fn a_location_has_two_coordinates_and_perhaps_a_label() {
        let place = location(" 52.5 , 13.4 , Berlin, Rack 3 ").unwrap();
        assert_eq!((place.lat, place.lon, place.label.as_deref()), (52.5, 13.4, Some("Berlin, Rack 3")));
        assert_eq!(location("-90,180").unwrap().label, None);
        for bad in ["", "1", "1,", "91,0", "0,181", "NaN,0", "inf,0", "a,b", "47,37, 8,54", "47,37,8"] {
            assert!(location(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bad_values_are_refused_with_their_flag() {
        for (flag, value) in [
            ("--interval", "0.2"),
            ("--interval", "61"),
            ("--interval", "NaN"),
            ("--interval", "soon"),
            ("--node", ""),
            ("--location", "91,0"),
            ("--location", "north"),
            ("--label", "region"),
            ("--label", "=x"),
            ("--provider", " "),
            ("--cap", "0/50"),
            ("--cap", "fast"),
            ("--probe", "web-01"),
            ("--probe", "tcp://web-01"),
            ("--probe-interval", "4"),
            ("--probe-interval", "61"),
            ("--include", ""),
        ] {
            let refusal = parse(&[flag, value]).unwrap_err();
            assert!(refusal.contains(flag), "{flag} {value}: {refusal}");
        }
    }
}
