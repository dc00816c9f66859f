//! Which of the bytes that are found late an earlier run's samples contain already.

use std::collections::BTreeSet;

use super::{Key, Moved, Standing};

/// What an earlier run has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CarriedOver {
    /// Where its interfaces stood.
    pub(crate) devices: Vec<(Key, Standing)>,
    /// What they had moved by then that is in no sample.
    pub(crate) total: Moved,
    /// What they have moved since then that is in a sample: its last one is newer than where they stood.
    pub(crate) contained: Moved,
}

/// The interfaces that go on from where an earlier run stood, until they have.
#[derive(Clone, Debug, Default)]
pub(super) struct Resumed {
    waiting: BTreeSet<Key>,
    contained: Moved,
}

impl Resumed {
    pub(super) fn new(waiting: impl Iterator<Item = Key>, contained: Moved) -> Self {
        Self { waiting: waiting.collect(), contained }
    }

    pub(super) fn contained(&self) -> Moved {
        self.contained
    }

    /// What of these late bytes no earlier sample contains.
    pub(super) fn beyond(&mut self, late: Moved) -> Moved {
        let beyond = late.less(self.contained);
        self.contained = self.contained.less(late);
        beyond
    }

    /// Notes that these interfaces have gone on. Once all have, or began again, nothing more is found late.
    pub(super) fn settle<'a>(&mut self, settled: impl Iterator<Item = &'a Key>) {
        settled.for_each(|key| {
            self.waiting.remove(key);
        });
        if self.waiting.is_empty() {
            self.contained = Moved::default();
        }
    }
}
