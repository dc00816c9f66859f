//! The answer about one node.

use tidemap_wire::http::{InterfaceJson, NodeJson};
use tidemap_wire::{Bps, Host, LocationSource, METRICS, MetricValue, Series, Status};

use super::stats::rate;
use super::{Invalid, NodeAnswer};
use tidemap_parts::value::{Value, Whole};

pub(super) fn answer(value: &Value) -> Result<NodeAnswer, Invalid> {
    Ok(NodeAnswer {
        node: node(value)?,
        interfaces: value.get("interfaces").list(interface)?,
        // An api of yesterday does not have it.
        unlisted_interfaces: value.get("unlisted_interfaces").or_null(Value::whole)?.unwrap_or(0),
        capacity: [
            rate(value, "network_rx_capacity_bytes_per_sec")?,
            rate(value, "network_tx_capacity_bytes_per_sec")?,
        ],
        last_60s: value.get("last_60s").or_null(series)?,
        last_15m: value.get("last_15m").or_null(series)?,
    })
}

fn node(value: &Value) -> Result<NodeJson, Invalid> {
    let text = |name: &str| value.get(name).or_null(Value::text);
    let number = |name: &str| value.get(name).or_null(Value::number);
    let rate = |name: &str| rate(value, name);
    let name = value.get("name").text()?;
    Ok(NodeJson {
        display_name: text("display_name")?.unwrap_or_else(|| name.clone()),
        name,
        hostname: text("hostname")?,
        internal_ip: text("internal_ip")?,
        external_ip: text("external_ip")?,
        lat: number("lat")?,
        lon: number("lon")?,
        location: text("location")?,
        location_source: text("location_source")?.map(|name| source(&name)).transpose()?,
        provider: text("provider")?,
        status: status(&value.get("status").text()?)?,
        status_for_s: value.get("status_for_s").whole()?,
        network_tx_bytes_per_sec: rate("network_tx_bytes_per_sec")?,
        network_rx_bytes_per_sec: rate("network_rx_bytes_per_sec")?,
        network_tx_bytes_per_sec_avg_10s: rate("network_tx_bytes_per_sec_avg_10s")?,
        network_tx_bytes_per_sec_avg_1m: rate("network_tx_bytes_per_sec_avg_1m")?,
        network_tx_bytes_per_sec_avg_5m: rate("network_tx_bytes_per_sec_avg_5m")?,
        network_tx_bytes_per_sec_avg_15m: rate("network_tx_bytes_per_sec_avg_15m")?,
        network_rx_bytes_per_sec_avg_10s: rate("network_rx_bytes_per_sec_avg_10s")?,
        network_rx_bytes_per_sec_avg_1m: rate("network_rx_bytes_per_sec_avg_1m")?,
        network_rx_bytes_per_sec_avg_5m: rate("network_rx_bytes_per_sec_avg_5m")?,
        network_rx_bytes_per_sec_avg_15m: rate("network_rx_bytes_per_sec_avg_15m")?,
        network_tx_utilisation_percent: number("network_tx_utilisation_percent")?,
        network_rx_utilisation_percent: number("network_rx_utilisation_percent")?,
        averages_partial: value.get("averages_partial").bool()?,
        network_tx_bytes_total: value.get("network_tx_bytes_total").whole()?,
        network_rx_bytes_total: value.get("network_rx_bytes_total").whole()?,
        last_seen_timestamp: value.get("last_seen_timestamp").number()?,
        last_seen: value.get("last_seen").text()?,
        age_ms: value.get("age_ms").whole()?,
        interval_ms: value.get("interval_ms").whole()?,
        clock_skew_ms: value.get("clock_skew_ms").signed()?,
        labels: value.get("labels").map(Value::text)?,
        os: text("os")?,
        kernel: text("kernel")?,
        arch: text("arch")?,
        agent_version: text("agent_version")?,
        memory_percent: number("memory_percent")?,
        swap_percent: number("swap_percent")?,
        disk_percent: number("disk_percent")?,
        host: host(number)?,
        lost_samples: maybe(value, "lost_samples")?,
        disk_path: text("disk_path")?,
        refused_reports: maybe(value, "refused_reports")?,
        refused_reason: text("refused_reason")?,
    })
}

/// The host metrics that are known, of which `number` reads each by name.
fn host(number: impl Fn(&str) -> Result<Option<f64>, Invalid>) -> Result<Host, Invalid> {
    /// Names alone: the whole registry would bring its other texts with it.
    const NAMES: [&str; METRICS.len()] = {
        let mut names = [""; METRICS.len()];
        let mut id = 0;
        while id < names.len() {
            names[id] = METRICS[id].json_name;
            id += 1;
        }
        names
    };
    let mut host = Host::default();
    for (id, name) in (0..).zip(&NAMES) {
        if let Some(value) = number(name)?
            && !host.set(id, MetricValue::Real(value))
        {
            return Err(Invalid);
        }
    }
    Ok(host)
}

fn interface(value: &Value) -> Result<InterfaceJson, Invalid> {
    Ok(InterfaceJson {
        name: value.get("name").text()?,
        counted: value.get("counted").bool()?,
        reason: value.get("reason").text()?,
        speed_mbps: maybe(value, "speed_mbps")?,
        addresses: value.get("addresses").list(Value::text)?,
        rx_bytes_per_sec: rate(value, "rx_bytes_per_sec")?,
        tx_bytes_per_sec: rate(value, "tx_bytes_per_sec")?,
    })
}

fn series(value: &Value) -> Result<Series, Invalid> {
    let rate = |rate: &Value| rate.or_null(|rate| Bps::new(rate.number()?).ok_or(Invalid));
    Ok(Series {
        step_ms: value.get("step_ms").whole()?,
        end_ms: value.get("end_ms").signed()?,
        rx_bps: value.get("rx_bps").list(rate)?,
        tx_bps: value.get("tx_bps").list(rate)?,
    })
}

fn maybe<T: Whole>(value: &Value, name: &str) -> Result<Option<T>, Invalid> {
    value.get(name).or_null(Value::whole)
}

fn status(name: &str) -> Result<Status, Invalid> {
    Status::ALL.into_iter().find(|status| status.as_str() == name).ok_or(Invalid)
}

fn source(name: &str) -> Result<LocationSource, Invalid> {
    match name {
        "given" => Ok(LocationSource::Given),
        "region" => Ok(LocationSource::Region),
        "time-zone" => Ok(LocationSource::TimeZone),
        _ => Err(Invalid),
    }
}
