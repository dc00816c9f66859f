//! What stands beside the table: who moves most, and what each group moves.

use std::rc::Rc;

use tidemap_wire::Status;

use crate::groups::{By, Group, Grouping};
use crate::store::Fleet;
use crate::talkers::{Talker, Talkers};
use crate::totals::Direction;

/// How long a summary holds.
const HOLD_MS: f64 = 900.0;

/// How long it is news that a node is offline.
const LATELY_MS: u64 = 300_000;

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
    /// How many nodes have gone offline in the last minutes.
    pub lately_offline: usize,
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
            lately_offline: lately_offline(fleet),
        })
    }
}

/// Those of longer ago are known, and counted elsewhere.
fn lately_offline(fleet: &Fleet) -> usize {
    let is_new = |row: &usize| {
        fleet.status(*row) == Status::Offline
            && fleet.name(*row).is_some()
            && fleet.age_ms(*row, fleet.at_ms()).is_some_and(|age_ms| age_ms <= LATELY_MS)
    };
    (0..fleet.len()).filter(is_new).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fleet;
    use tidemap_wire::stream::{DeltaEvent, StatusRows, encode_rows};

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

    #[test]
    fn that_a_node_is_offline_is_news_for_five_minutes() {
        let mut fleet = fleet(&["a", "b", "c"]);
        let status = StatusRows {
            i: encode_rows([0, 1, 2]),
            status: vec![2, 2, 1],
            age_ms: vec![9_000, 400_000, 9_000],
        };
        fleet
            .apply_delta(&DeltaEvent { at_ms: 500_000, status: Some(status), ..DeltaEvent::default() })
            .unwrap();
        let lately = |fleet: &Fleet| {
            Summarist::default().renew(fleet, &By::Place, false, 0.0).map(|it| it.lately_offline)
        };
        assert_eq!(lately(&fleet), Some(1));
        fleet.apply_delta(&DeltaEvent { at_ms: 800_000, ..DeltaEvent::default() }).unwrap();
        assert_eq!(lately(&fleet), Some(0));
    }
}
