//! Each row of `docs/stories.md` names the tests that hold its right value.

use super::sources::{assert_none, sources};

const STORIES: &str = "docs/stories.md";

#[test]
fn every_story_has_a_test() {
    let all = sources(&["rs", "md"]);
    let tests: Vec<&str> =
        all.iter().filter(|source| source.path.ends_with(".rs")).map(|source| &*source.text).collect();
    let stories = all.iter().find(|source| source.path == STORIES).unwrap();
    let rows = stories.text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| story"));
    let mut violations = Vec::new();
    let mut before: Vec<&str> = Vec::new();
    for row in rows {
        let last = row.trim_end_matches(['|', ' ']).rsplit(" | ").next().unwrap_or_default();
        if last != "the same" {
            before = last.split('`').skip(1).step_by(2).collect();
        }
        let is_test = |name: &&str| tests.iter().any(|text| text.contains(&format!("fn {name}(")));
        if before.is_empty() || !before.iter().all(is_test) {
            violations.push(row.to_owned());
        }
    }
    assert_none("stories whose tests exist", &violations);
}
