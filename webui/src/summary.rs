//! What stands beside the table: who moves most, and what each group moves.

use std::rc::Rc;

use crate::groups::{By, Group, Grouping};
use crate::store::Fleet;
use crate::talkers::{Talker, Talkers};
use crate::totals::Direction;

/// How long a summary holds.
const HOLD_MS: f64 = 900.0;

/// What is listed.
#[derive(Debug, Default)]
pub struct Summary {
    /// By what the groups are made.
    pub by: By,
    /// The names of all that they can be made by.
    pub choices: Vec<String>,
    /// The groups that are listed.
    pub groups: Vec<Group>,
    /// How many there are.
    pub all_groups: usize,
    /// Who downloads most, and who uploads most.
    pub talkers: [Vec<Talker>; 2],
}

/// Makes a summary about once a second.
#[derive(Debug, Default)]
pub struct Summarist {
    grouping: Grouping,
    talkers: [Talkers; 2],
    made: Option<(By, u64, f64)>,
}

impl Summarist {
    /// The fleet's summary, when another is due: time has passed, or it is asked for by something else.
    pub fn renew(&mut self, fleet: &Fleet, by: &By, is_held: bool, now_ms: f64) -> Option<Summary> {
        let is_due = self.made.as_ref().is_none_or(|(made_by, snapshots, made_ms)| {
            made_by != by || *snapshots != fleet.snapshots() || now_ms - made_ms >= HOLD_MS
        });
        if !is_due {
            return None;
        }
        self.made = Some((by.clone(), fleet.snapshots(), now_ms));
        let (groups, all_groups) = self.grouping.list(fleet, by, is_held, now_ms);
        let mut choices = vec![By::Place.name(), By::Provider.name()];
        choices.extend(self.grouping.labels().iter().map(|key| By::Label(Rc::clone(key)).name()));
        // What an address asks for is a choice even if no node has it.
        let name = by.name();
        if !choices.contains(&name) {
            choices.push(name);
        }
        Some(Summary {
            by: by.clone(),
            choices,
            groups,
            all_groups,
            talkers: [
                self.talkers[0].list(fleet, Direction::Download, is_held, now_ms),
                self.talkers[1].list(fleet, Direction::Upload, is_held, now_ms),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fleet;

    #[test]
    fn a_summary_comes_once_a_second_and_at_once_when_asked_for_another() {
        let (mut summarist, fleet) = (Summarist::default(), fleet(&["a", "b"]));
        let mut choices = |by: &By, now_ms| {
            let summary = summarist.renew(&fleet, by, false, now_ms)?;
            Some(summary.choices.join(" "))
        };
        let plain = "location provider label:Role";
        assert_eq!(choices(&By::Place, 0.0).as_deref(), Some(plain));
        assert_eq!(choices(&By::Place, 899.0), None);
        assert_eq!(choices(&By::Provider, 899.0).as_deref(), Some(plain));
        let rack = By::Label("rack".into());
        assert_eq!(choices(&rack, 899.0).as_deref(), Some("location provider label:Role label:rack"));
    }
}
