//! What of a node the history has, and what it lacks.

use tidemap_wire::MinuteRow;

use super::Node;
use crate::minutes::{Receipt, Untold};

impl Node {
    /// What the history has not acknowledged: rows of minutes before `until`, and late samples.
    pub fn untold(&self, until: u32) -> Untold {
        self.minutes.untold(&self.windows, self.current_source(), until)
    }

    /// Rows of its newest minutes, whether or not the history has them.
    pub fn newest_minutes(&self) -> Vec<MinuteRow> {
        self.minutes.newest(&self.windows, self.current_source())
    }

    /// Late samples that the history has not acknowledged.
    #[cfg(test)]
    pub(crate) fn late_waiting(&self) -> u64 {
        self.minutes.late_waiting()
    }

    /// As a worker of an earlier version has it.
    #[cfg(test)]
    pub(crate) fn without_minutes(&self) -> Self {
        let mut node = Self { minutes: Box::default(), ..self.clone() };
        if let Some(past) = &mut node.past {
            past.clocks = super::clocks::Clocks::default();
            past.jumps = super::jumps::Jumps::default();
        }
        node
    }

    /// Notes that the history has something.
    pub fn acknowledge(&mut self, receipts: &[Receipt]) {
        self.minutes.acknowledge(&self.windows, self.current_source(), receipts);
    }
}
