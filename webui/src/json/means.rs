//! What nodes moved in a time that is over, from the program that shows the past.

use tidemap_parts::value::{Invalid, Value};

use crate::store::Means;

pub(super) fn means(value: &Value) -> Result<Means, Invalid> {
    let rates = |name: &str| value.get(name).list(Value::number);
    let means =
        Means { names: value.get("names").list(Value::text)?, rx_bps: rates("rx")?, tx_bps: rates("tx")? };
    let is_whole = means.names.len() == means.rx_bps.len() && means.names.len() == means.tx_bps.len();
    if is_whole { Ok(means) } else { Err(Invalid) }
}
