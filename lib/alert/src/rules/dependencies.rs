//! Rules that hold others back.

use tidemap_traffic::document::{Checked, problem};
use toml::Spanned;

use super::Rule;

/// Replaces names by places; refuses rules that are not there, and circles.
pub(super) fn resolve(rules: &mut [Rule], named: &[Option<&Spanned<Vec<String>>>]) -> Checked<()> {
    for (index, names) in named.iter().enumerate() {
        let Some(names) = names else { continue };
        for name in names.get_ref() {
            match rules.iter().position(|rule| rule.name == *name) {
                Some(other) => rules[index].depends_on.push(other),
                None => return Err(problem(names, format!("depends_on: there is no rule {name}"))),
            }
        }
        if reaches(rules, index, index, rules.len()) {
            let name = &rules[index].name;
            return Err(problem(names, format!("depends_on: rule {name} would depend on itself")));
        }
    }
    Ok(())
}

/// Whether one rule depends on another within so many steps.
fn reaches(rules: &[Rule], from: usize, to: usize, steps: usize) -> bool {
    let mut seen = vec![false; rules.len()];
    let mut next = rules[from].depends_on.clone();
    for _ in 0..=steps {
        let mut after = Vec::new();
        for rule in next {
            if rule == to {
                return true;
            }
            if !std::mem::replace(&mut seen[rule], true) {
                after.extend_from_slice(&rules[rule].depends_on);
            }
        }
        next = after;
    }
    false
}
