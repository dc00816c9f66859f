//! What those who cannot see the page are told, and when: seldom enough to be bearable, and nothing is left out for good.

/// The least time between two announcements.
const PAUSE_MS: f64 = 30_000.0;

/// Announces news, one at a time.
#[derive(Debug, Default)]
pub struct Herald {
    said: String,
    said_ms: Option<f64>,
}

impl Herald {
    /// Whether these news are to be said now. What comes too early is said later, unless it has passed by then.
    pub fn says(&mut self, news: &str, now_ms: f64) -> bool {
        let rests = self.said_ms.is_some_and(|said_ms| now_ms - said_ms < PAUSE_MS);
        if rests || news.is_empty() || news == self.said {
            return false;
        }
        self.said = news.to_owned();
        self.said_ms = Some(now_ms);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Herald;

    #[test]
    fn news_wait_for_their_time_and_are_said_once() {
        let mut herald = Herald::default();
        for (news, now_ms, says) in [
            ("", 0.0, false),
            ("9 online", 1000.0, true),
            ("9 online", 2000.0, false),
            ("8 online", 3000.0, false),
            ("lost", 30_000.0, false),
            ("lost", 31_000.0, true),
            ("9 online", 32_000.0, false),
            ("lost", 62_000.0, false),
        ] {
            assert_eq!(herald.says(news, now_ms), says, "{news} at {now_ms}");
        }
    }
}
