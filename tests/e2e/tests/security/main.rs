//! Wrong keys, forged and replayed reports, broken certificates: what the whole makes of them.
//!
//! What each account may do is asked of a broker alone in `lib/service/tests/accounts`.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod entry;
mod files;
mod forgery;
mod tls;
mod told;

use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
