//! Limits how often changes are announced to users of screen readers, without losing any for good.

/// The least time between two announcements.
const INTERVAL_MS: f64 = 30_000.0;

/// Lets one announcement through at a time.
#[derive(Debug, Default)]
pub struct AnnounceLimit {
    last: Option<(String, f64)>,
}

impl AnnounceLimit {
    /// Whether to announce this text now. A text that comes too early is announced later, unless it is
    /// outdated by then.
    pub fn admits(&mut self, text: &str, now_ms: f64) -> bool {
        let is_blocked =
            self.last.as_ref().is_some_and(|(last, last_ms)| last == text || now_ms - last_ms < INTERVAL_MS);
        if is_blocked || text.is_empty() {
            return false;
        }
        self.last = Some((text.to_owned(), now_ms));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::AnnounceLimit;

    #[test]
    fn announcements_wait_for_their_time_and_are_made_once() {
        let mut limit = AnnounceLimit::default();
        for (text, now_ms, admits) in [
            ("", 0.0, false),
            ("9 online", 1000.0, true),
            ("9 online", 2000.0, false),
            ("8 online", 3000.0, false),
            ("lost", 30_000.0, false),
            ("lost", 31_000.0, true),
            ("9 online", 32_000.0, false),
            ("lost", 62_000.0, false),
        ] {
            assert_eq!(limit.admits(text, now_ms), admits, "{text} at {now_ms}");
        }
    }
}
