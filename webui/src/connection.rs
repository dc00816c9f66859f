//! The state of the event stream: whether the page shows current values.
//!
//! `stream.js` holds a browser's `EventSource` for all its tabs. It reconnects by itself after a lost
//! connection, gives up for good on an HTTP error, and does not notice a half-open link. This state machine
//! covers all three: it counts down to the next attempt, opens a new stream with back-off after a final
//! failure, and treats silence as a failure.

/// After this much silence, values count as stale. The server sends something every second.
pub const STALE_MS: f64 = 3000.0;

/// Silence after which the stream is closed and opened again; also how long connecting may take.
pub const SILENT_MS: f64 = 10_000.0;

/// How old values may be while they are asked for every two seconds, because the stream is withheld.
const POLLED_STALE_MS: f64 = 8000.0;

/// How long a hidden page keeps its stream.
pub const HIDDEN_MS: f64 = 60_000.0;

/// When the browser itself tries again: the server says so in its `retry` field.
const BROWSER_RETRY_MS: f64 = 2000.0;

const BACK_OFF_MIN_MS: f64 = 1000.0;
const BACK_OFF_MAX_MS: f64 = 30_000.0;

/// What the page must do with its `EventSource` now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing.
    Keep,
    /// Close what is open, if anything, and open a new stream.
    Open,
    /// Close it.
    Close,
}

/// The stream's state as the page shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
    /// Nothing has come yet, nothing has failed yet.
    Loading,
    /// What is shown is true.
    Live,
    /// It is true as of the last answer: the stream is withheld on its way, and what is new is asked for.
    Polled,
    /// The stream is open but silent.
    Stale {
        /// For how long.
        silent_ms: f64,
    },
    /// There is no stream.
    Disconnected {
        /// When the next try begins, from now; 0 while it is under way.
        retry_in_ms: f64,
    },
}

/// The state of the event stream. Times are milliseconds on the page's monotonic clock.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    heard_ms: Option<f64>,
    failures: u32,
    hidden_since_ms: Option<f64>,
    is_polled: bool,
}

#[derive(Clone, Copy, Debug)]
enum Socket {
    /// Closed by us until `retry_ms`.
    Waiting { retry_ms: f64 },
    /// On its way, or on the way again from `retry_ms` on, by the browser itself.
    Connecting { retry_ms: f64 },
    /// Open since this time.
    Open { since_ms: f64 },
    /// Closed while the page is hidden.
    Asleep,
}

impl Connection {
    /// The stream is opened now.
    pub fn new(now_ms: f64) -> Self {
        Self {
            socket: Socket::Connecting { retry_ms: now_ms },
            heard_ms: None,
            failures: 0,
            hidden_since_ms: None,
            is_polled: false,
        }
    }

    /// The stream has opened.
    pub fn opened(&mut self, now_ms: f64) {
        self.socket = Socket::Open { since_ms: now_ms };
        self.is_polled = false;
    }

    /// The stream that has opened is not one: what is new is asked for, until one opens again.
    pub fn polled(&mut self) {
        self.is_polled = true;
    }

    /// A valid event has arrived.
    pub fn heard(&mut self, now_ms: f64) {
        self.heard_ms = Some(now_ms);
    }

    /// The stream broke, and the browser will try again by itself.
    pub fn interrupted(&mut self, now_ms: f64) {
        self.failures += 1;
        self.socket = Socket::Connecting { retry_ms: now_ms + BROWSER_RETRY_MS };
    }

    /// The stream failed for good, or sent an invalid event: a new one is opened after a pause. `chance` is
    /// random in 0..1, so that many pages do not reconnect at the same moment.
    pub fn failed(&mut self, now_ms: f64, chance: f64) -> Action {
        let longest_ms = (BACK_OFF_MIN_MS * f64::from(1_u32 << self.failures.min(10))).min(BACK_OFF_MAX_MS);
        self.failures += 1;
        let pause_ms = (longest_ms * (0.5 + chance / 2.0)).max(BACK_OFF_MIN_MS);
        self.socket = Socket::Waiting { retry_ms: now_ms + pause_ms };
        Action::Close
    }

    /// The reader asks to reconnect now.
    pub fn retry_now(&mut self, now_ms: f64) -> Action {
        self.socket = Socket::Connecting { retry_ms: now_ms };
        Action::Open
    }

    /// The page is hidden now, or visible again.
    pub fn seen(&mut self, visible: bool, now_ms: f64) -> Action {
        self.hidden_since_ms = (!visible).then(|| self.hidden_since_ms.unwrap_or(now_ms));
        if visible && matches!(self.socket, Socket::Asleep) {
            self.heard_ms = None;
            self.failures = 0;
            return self.retry_now(now_ms);
        }
        Action::Keep
    }

    /// The browser stops the page, and may discard it: it hears nothing until it is seen again.
    pub fn suspended(&mut self) -> Action {
        self.socket = Socket::Asleep;
        Action::Close
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: f64, chance: f64) -> Action {
        if self.hidden_since_ms.is_some_and(|since_ms| now_ms - since_ms >= HIDDEN_MS) {
            let was_asleep = matches!(self.socket, Socket::Asleep);
            self.socket = Socket::Asleep;
            return if was_asleep { Action::Keep } else { Action::Close };
        }
        match self.socket {
            Socket::Waiting { retry_ms } if now_ms >= retry_ms => self.retry_now(now_ms),
            Socket::Connecting { retry_ms } if now_ms - retry_ms >= SILENT_MS => self.failed(now_ms, chance),
            Socket::Open { .. } if self.silent_ms(now_ms) >= SILENT_MS => {
                self.failures += 1;
                self.retry_now(now_ms)
            }
            Socket::Open { since_ms } if now_ms - since_ms >= SILENT_MS => {
                self.failures = 0;
                Action::Keep
            }
            _ => Action::Keep,
        }
    }

    /// The state as the page shows it.
    pub fn phase(&self, now_ms: f64) -> Phase {
        match self.socket {
            Socket::Waiting { retry_ms } => Phase::Disconnected { retry_in_ms: (retry_ms - now_ms).max(0.0) },
            _ if self.heard_ms.is_none() && self.failures == 0 => Phase::Loading,
            Socket::Connecting { retry_ms } => {
                Phase::Disconnected { retry_in_ms: (retry_ms - now_ms).max(0.0) }
            }
            // An open stream counts as live only after its first event.
            Socket::Open { since_ms } if self.heard_ms.is_none_or(|heard_ms| heard_ms < since_ms) => {
                Phase::Disconnected { retry_in_ms: 0.0 }
            }
            Socket::Open { .. } if self.silent_ms(now_ms) >= self.stale_ms() => {
                Phase::Stale { silent_ms: self.silent_ms(now_ms) }
            }
            Socket::Open { .. } if self.is_polled => Phase::Polled,
            Socket::Open { .. } => Phase::Live,
            Socket::Asleep => Phase::Loading,
        }
    }

    fn stale_ms(&self) -> f64 {
        if self.is_polled { POLLED_STALE_MS } else { STALE_MS }
    }

    /// How long nothing has come since the stream opened.
    fn silent_ms(&self, now_ms: f64) -> f64 {
        let Socket::Open { since_ms } = self.socket else { return 0.0 };
        now_ms - self.heard_ms.unwrap_or(since_ms).max(since_ms)
    }
}

#[cfg(test)]
mod tests;
