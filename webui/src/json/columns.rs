//! The stream's `snapshot` and `delta`.

use tidemap_wire::stream::{
    Columns, DeltaEvent, HostRows, PutRows, RateRows, SnapshotEvent, StatusRows, decode_rates, decode_shares,
};

use super::Invalid;
use tidemap_parts::value::Value;

pub(super) fn snapshot(value: &Value) -> Result<SnapshotEvent, Invalid> {
    Ok(SnapshotEvent {
        v: value.get("v").whole()?,
        at_ms: value.get("at_ms").signed()?,
        nodes: columns(&value.get("nodes"))?,
    })
}

pub(super) fn delta(value: &Value) -> Result<DeltaEvent, Invalid> {
    let rows = |value: &Value| value.get("i").whole_list();
    let put = |value: &Value| Ok(PutRows { i: rows(value)?, nodes: columns(&value.get("nodes"))? });
    let status = |value: &Value| {
        Ok(StatusRows {
            i: rows(value)?,
            status: value.get("status").whole_list()?,
            age_ms: value.get("age_ms").whole_list()?,
        })
    };
    let rate_rows = |value: &Value| {
        Ok(RateRows { i: rows(value)?, rx: rates(&value.get("rx"))?, tx: rates(&value.get("tx"))? })
    };
    let host = |value: &Value| {
        Ok(HostRows {
            i: rows(value)?,
            cpu: shares(&value.get("cpu"))?,
            mem: shares(&value.get("mem"))?,
            disk: shares(&value.get("disk"))?,
        })
    };
    Ok(DeltaEvent {
        at_ms: value.get("at_ms").signed()?,
        put: value.get("put").or_null(put)?,
        gone: value.get("gone").or_null(Value::whole_list)?.unwrap_or_default(),
        status: value.get("status").or_null(status)?,
        rates: value.get("rates").or_null(rate_rows)?,
        host: value.get("host").or_null(host)?,
    })
}

fn columns(value: &Value) -> Result<Columns, Invalid> {
    let text = |item: &Value| item.or_null(Value::text);
    let degrees = |item: &Value| item.or_null(Value::number);
    Ok(Columns {
        name: value.get("name").list(text)?,
        display_name: value.get("display_name").or_null(|column| column.list(text))?.unwrap_or_default(),
        location: value.get("location").list(text)?,
        provider: value.get("provider").list(text)?,
        lat: value.get("lat").list(degrees)?,
        lon: value.get("lon").list(degrees)?,
        labels: value.get("labels").list(|labels| labels.map(Value::text))?,
        status: value.get("status").whole_list()?,
        age_ms: value.get("age_ms").whole_list()?,
        rx: rates(&value.get("rx"))?,
        tx: rates(&value.get("tx"))?,
        cpu: shares(&value.get("cpu"))?,
        mem: shares(&value.get("mem"))?,
        disk: shares(&value.get("disk"))?,
    })
}

fn rates(value: &Value) -> Result<Vec<Option<u64>>, Invalid> {
    decode_rates(&value.text()?).ok_or(Invalid)
}

fn shares(value: &Value) -> Result<Vec<Option<u8>>, Invalid> {
    decode_shares(&value.text()?).ok_or(Invalid)
}
