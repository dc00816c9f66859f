//! Counts passed and failed tests by their result lines.

use std::fmt;

/// Counts of tests; a step that runs none counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Tally {
    /// Counts a line of `cargo test`, if it is a result line.
    pub(super) fn count(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else { return };
        let number = |of: &str| {
            let before = result.split_once(of).map_or("", |(before, _)| before).trim_end();
            before.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += number("passed");
        self.failed += number("failed");
    }

    /// Ends a step that began at `before`. Its outcome counts as one when its tests do not show it.
    pub(super) fn settle(&mut self, before: Self, succeeded: bool) {
        match succeeded {
            true if *self == before => self.passed += 1,
            // A step can fail without a failed test: the code does not compile, or a process was killed.
            false if self.failed == before.failed => self.failed += 1,
            _ => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Tally {
        Tally { passed, failed }
    }

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let mut counted = Tally::default();
        counted.count("test result: ok. 15 passed; 0 failed; 0 ignored; 0 measured; finished in 0.02s");
        counted.count("test result: FAILED. 6 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out");
        counted.count("test passed_and_failed ... ok");
        assert_eq!(counted, tally(21, 2));
        assert_eq!(counted.to_string(), "21 passed, 2 failed");
    }

    #[test]
    fn a_step_counts_once_where_its_tests_do_not_show_its_outcome() {
        let check = |mut after: Tally, succeeded: bool, expected: Tally| {
            after.settle(tally(5, 1), succeeded);
            assert_eq!(after, expected);
        };
        check(tally(5, 1), true, tally(6, 1));
        check(tally(9, 1), true, tally(9, 1));
        check(tally(5, 1), false, tally(5, 2));
        check(tally(9, 1), false, tally(9, 2));
        check(tally(9, 3), false, tally(9, 3));
    }
}
