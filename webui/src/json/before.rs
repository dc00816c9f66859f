//! What was before the page opened, or while it was away, from the script that asks for it.

use tidemap_parts::value::{Invalid, Value};

/// Rates at moments, of the fleet or of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The node; absent for the fleet.
    pub node: Option<String>,
    /// The moments: Unix milliseconds; of a node, positions in its trend.
    pub at: Vec<u64>,
    /// The download at each of them, bytes per second.
    pub rx: Vec<u64>,
    /// The upload.
    pub tx: Vec<u64>,
}

pub(super) fn before(value: &Value) -> Result<Before, Invalid> {
    let numbers = |name: &str| value.get(name).whole_list();
    Ok(Before {
        node: value.get("node").or_null(Value::text)?,
        at: numbers("at")?,
        rx: numbers("rx")?,
        tx: numbers("tx")?,
    })
}
