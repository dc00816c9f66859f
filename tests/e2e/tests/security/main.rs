//! Wrong keys, forged and replayed reports, and broken certificates, against the running services.
//!
//! The rights of each account are tested on a broker alone in `lib/broker/tests/accounts`.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod entry;
mod excess;
mod files;
mod forgery;
mod onslaught;
mod reload;
mod tls;
mod whole;

use std::time::Duration;

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);
