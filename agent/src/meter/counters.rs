//! What is read of an interface.

use serde::{Deserialize, Serialize};

/// An interface's counters since its driver started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Bytes received.
    pub(crate) rx_bytes: u64,
    /// Bytes sent.
    pub(crate) tx_bytes: u64,
}

/// What is known of a device besides its counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nominal {
    /// The speed that its driver states, in bytes per second.
    pub(crate) speed_bps: Option<u64>,
    /// Whether its counters may have 32 bits.
    pub(crate) may_wrap: bool,
}
