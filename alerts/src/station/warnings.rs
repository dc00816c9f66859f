//! What the operator should know, as the lease says it.

use super::Station;

/// The most bytes of all warnings: the lease is written once a second, also where the bucket has little room.
const MAX_BYTES: usize = 4_000;

impl Station {
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.is_full() {
            let waiting = self.ledger.waiting();
            warnings.push(format!("the bucket of alerts is full; changes that wait for room: {waiting}"));
        }
        warnings.extend(self.refused.as_ref().map(|why| format!("alerts are not written, such as {why}")));
        // Whoever reads the page reads this, so it does not say where the file is.
        if let Some(problem) = self.watched.as_ref().and_then(|watched| watched.borrow().problem.clone()) {
            warnings.push(format!("--alerts: {problem}: what it said before stays in force"));
        }
        if let Some((key, why)) = self.bucket.skipped.first_key_value() {
            let count = self.bucket.skipped.len();
            warnings
                .push(format!("values of the alerts' bucket are skipped ({count}), such as {key}: {why}"));
        }
        warnings.extend(self.missing.iter().cloned());
        let of_history: Vec<&str> = self.file.rules.of_history().collect();
        if self.past.is_missing() && !of_history.is_empty() {
            let rules = of_history.join(", ");
            warnings.push(format!("no history station answers, so these rules are not judged: {rules}"));
        }
        warnings.extend(self.plans.warnings(&self.file.rules));
        bounded(warnings)
    }
}

/// As much of them as the lease says.
fn bounded(mut warnings: Vec<String>) -> Vec<String> {
    let mut room = MAX_BYTES;
    let fitting = warnings.iter().take_while(|warning| {
        let left = room.checked_sub(warning.len());
        room = left.unwrap_or(room);
        left.is_some()
    });
    let fitting = fitting.count();
    let left_out = warnings.len() - fitting;
    if let Some(first) = warnings.get_mut(fitting) {
        first.truncate(first.floor_char_boundary(room));
        first.push('…');
        warnings.truncate(fitting + 1);
    }
    if left_out > 1 {
        warnings.push(format!("and {} more warnings", left_out - 1));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_have_a_bounded_size_and_say_how_many_are_left_out() {
        let few = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(bounded(few.clone()), few);
        let exactly = vec!["x".repeat(MAX_BYTES)];
        assert_eq!(bounded(exactly.clone()), exactly);
        let many: Vec<String> = (0..100).map(|_| "é".repeat(999)).collect();
        let said = bounded(many);
        assert_eq!(said.len(), 4, "{said:?}");
        assert_eq!(said[2], format!("{}…", "é".repeat(2)));
        assert_eq!(said[3], "and 97 more warnings");
    }
}
