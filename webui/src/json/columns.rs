//! The stream's `snapshot` and `delta`.

use tidemap_wire::stream::{
    Columns, DeltaEvent, HostRows, PutRows, RateRows, SnapshotEvent, StatusRows, decode_rates, decode_shares,
};

use super::Invalid;
use super::value::{Value, whole};

pub(super) fn snapshot(value: &Value) -> Result<SnapshotEvent, Invalid> {
    Ok(SnapshotEvent {
        v: value.get("v").whole()?,
        at_ms: value.get("at_ms").signed()?,
        nodes: columns(value.get("nodes"))?,
    })
}

pub(super) fn delta(value: &Value) -> Result<DeltaEvent, Invalid> {
    let rows = |value: &Value| value.get("i").numbers(whole::<u32>);
    let put = |value: &Value| Ok(PutRows { i: rows(value)?, nodes: columns(value.get("nodes"))? });
    let status = |value: &Value| {
        Ok(StatusRows {
            i: rows(value)?,
            status: value.get("status").numbers(whole)?,
            age_ms: value.get("age_ms").numbers(whole)?,
        })
    };
    let rate_rows = |value: &Value| {
        Ok(RateRows { i: rows(value)?, rx: rates(value.get("rx"))?, tx: rates(value.get("tx"))? })
    };
    let host = |value: &Value| {
        Ok(HostRows {
            i: rows(value)?,
            cpu: shares(value.get("cpu"))?,
            mem: shares(value.get("mem"))?,
            disk: shares(value.get("disk"))?,
        })
    };
    Ok(DeltaEvent {
        at_ms: value.get("at_ms").signed()?,
        put: value.known("put").map(put).transpose()?,
        gone: value.known("gone").map_or(Ok(Vec::new()), |gone| gone.numbers(whole))?,
        status: value.known("status").map(status).transpose()?,
        rates: value.known("rates").map(rate_rows).transpose()?,
        host: value.known("host").map(host).transpose()?,
    })
}

fn columns(value: &Value) -> Result<Columns, Invalid> {
    let text = |item: &Value| if *item == Value::Null { Ok(None) } else { item.text().map(Some) };
    let degrees = |degrees: f64| Ok((!degrees.is_nan()).then_some(degrees));
    Ok(Columns {
        name: value.get("name").list(text)?,
        location: value.get("location").list(text)?,
        provider: value.get("provider").list(text)?,
        lat: value.get("lat").numbers(degrees)?,
        lon: value.get("lon").numbers(degrees)?,
        labels: value.get("labels").list(|labels| labels.map(Value::text))?,
        status: value.get("status").numbers(whole)?,
        age_ms: value.get("age_ms").numbers(whole)?,
        rx: rates(value.get("rx"))?,
        tx: rates(value.get("tx"))?,
        cpu: shares(value.get("cpu"))?,
        mem: shares(value.get("mem"))?,
        disk: shares(value.get("disk"))?,
    })
}

fn rates(value: &Value) -> Result<Vec<Option<u64>>, Invalid> {
    decode_rates(&value.text()?).ok_or(Invalid)
}

fn shares(value: &Value) -> Result<Vec<Option<u8>>, Invalid> {
    decode_shares(&value.text()?).ok_or(Invalid)
}
