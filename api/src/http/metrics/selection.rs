//! Which nodes have series of their own.

/// Some of a fleet's nodes, chosen by names alone: a node that joins or leaves displaces at most one other,
/// wherever its name is in the alphabet, and two APIs choose the same ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    All,
    /// Those whose keys are at most this one.
    UpTo(u32, String),
    None,
}

impl Selection {
    /// Chooses at most `limit` nodes.
    pub(super) fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>, limit: Option<usize>) -> Self {
        match limit {
            Some(limit) if limit < names.len() => match limit.checked_sub(1) {
                None => Self::None,
                Some(last) => {
                    let mut keys: Vec<(u32, &str)> = names.map(key).collect();
                    let (_, (hash, name), _) = keys.select_nth_unstable(last);
                    Self::UpTo(*hash, (*name).to_owned())
                }
            },
            _ => Self::All,
        }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::UpTo(hash, last) => key(name) <= (*hash, last.as_str()),
            Self::None => false,
        }
    }
}

fn key(name: &str) -> (u32, &str) {
    (crc32fast::hash(name.as_bytes()), name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn chosen(names: &[String], limit: Option<usize>) -> BTreeSet<&str> {
        let selection = Selection::new(names.iter().map(String::as_str), limit);
        names.iter().map(String::as_str).filter(|name| selection.contains(name)).collect()
    }

    #[test]
    fn as_many_are_chosen_as_may_be() {
        let names: Vec<String> = (0..500).map(|number| format!("web-{number}")).collect();
        for limit in [0, 1, 2, 499, 500, 501] {
            assert_eq!(chosen(&names, Some(limit)).len(), limit.min(500));
        }
        assert_eq!(chosen(&names, None).len(), 500);
    }

    #[test]
    fn a_node_that_joins_displaces_at_most_one_and_not_by_alphabet() {
        let mut names: Vec<String> = (0..500).map(|number| format!("web-{number:03}")).collect();
        let first: Vec<String> = names.iter().take(100).cloned().collect();
        let before: BTreeSet<String> = chosen(&names, Some(100)).into_iter().map(str::to_owned).collect();
        assert!(!before.iter().eq(first.iter()), "the first by alphabet are not meant");
        names.insert(0, "a-new-one".to_owned());
        let after = chosen(&names, Some(100));
        assert!(before.iter().filter(|name| !after.contains(name.as_str())).count() <= 1);
        names.reverse();
        assert_eq!(chosen(&names, Some(100)).len(), 100);
    }
}
