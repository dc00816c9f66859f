//! The stream's `stats`.

use tidemap_wire::http::{StatsJson, TalkerJson};
use tidemap_wire::{Averages, Bps};

use super::Invalid;
use tidemap_parts::value::Value;

pub(super) fn stats(value: &Value) -> Result<StatsJson, Invalid> {
    let count = |name: &str| value.get(name).whole::<u64>();
    let number = |name: &str| value.get(name).number();
    Ok(StatsJson {
        total_nodes: count("total_nodes")?,
        online_nodes: count("online_nodes")?,
        warning_nodes: count("warning_nodes")?,
        offline_nodes: count("offline_nodes")?,
        // An older API does not have it.
        unknown_nodes: count("unknown_nodes").unwrap_or_default(),
        avg_cpu_percent: number("avg_cpu_percent")?,
        avg_memory_percent: number("avg_memory_percent")?,
        avg_disk_percent: number("avg_disk_percent")?,
        avg_network_tx_bytes_per_sec: number("avg_network_tx_bytes_per_sec")?,
        avg_network_rx_bytes_per_sec: number("avg_network_rx_bytes_per_sec")?,
        total_network_tx_bytes_per_sec: number("total_network_tx_bytes_per_sec")?,
        total_network_rx_bytes_per_sec: number("total_network_rx_bytes_per_sec")?,
        total_network_tx_bytes_per_sec_avg: averages(&value.get("total_network_tx_bytes_per_sec_avg"))?,
        total_network_rx_bytes_per_sec_avg: averages(&value.get("total_network_rx_bytes_per_sec_avg"))?,
        providers: value.get("providers").map(Value::whole)?,
        top_tx: value.get("top_tx").list(talker)?,
        top_rx: value.get("top_rx").list(talker)?,
        total_connections: count("total_connections").unwrap_or_default(),
        partitions: value.get("partitions").whole()?,
        partitions_fresh: value.get("partitions_fresh").whole()?,
        lag_messages: value.get("lag_messages").or_null(Value::whole)?,
        lag_ms: value.get("lag_ms").or_null(Value::whole)?,
        view_age_ms: value.get("view_age_ms").or_null(Value::whole)?,
        timestamp: number("timestamp")?,
    })
}

/// A rate; nothing where it is null or missing.
pub(super) fn rate(value: &Value, name: &str) -> Result<Option<Bps>, Invalid> {
    let rate = |value: &Value| Bps::new(value.number()?).ok_or(Invalid);
    value.get(name).or_null(rate)
}

fn averages(value: &Value) -> Result<Averages, Invalid> {
    Ok(Averages {
        s10: rate(value, "10s")?,
        m1: rate(value, "1m")?,
        m5: rate(value, "5m")?,
        m15: rate(value, "15m")?,
    })
}

fn talker(value: &Value) -> Result<TalkerJson, Invalid> {
    let name = value.get("name").text()?;
    Ok(TalkerJson {
        display_name: value.get("display_name").or_null(Value::text)?.unwrap_or_else(|| name.clone()),
        name,
        bytes_per_sec: rate(value, "bytes_per_sec")?.ok_or(Invalid)?,
    })
}
