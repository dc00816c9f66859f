//! Answers that are built while older ones are given.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{answers::Nodes, fleet_task::Answers};

/// Answers that replace the present ones once the list in them is built.
#[derive(Debug)]
pub(crate) struct Renewal {
    present: Arc<Nodes>,
    next: Answers,
    answers: watch::Sender<Answers>,
}

impl Renewal {
    pub(super) fn new(present: Arc<Nodes>, next: Answers, answers: watch::Sender<Answers>) -> Self {
        Self { present, next, answers }
    }

    /// Builds the list and replaces the answers. If the present ones were dropped meanwhile, because a node
    /// was forgotten, these are dropped too: the node is in them.
    pub(crate) async fn finish(self) {
        if let Some(nodes) = &self.next.nodes
            && let Err(error) = nodes.prepare(&self.present).await
        {
            // Requests get the error, or build it themselves.
            tracing::debug!(%error, "the list was not built in advance");
        }
        self.answers.send_if_modified(|answers| {
            let is_present = answers.nodes.as_ref().is_some_and(|nodes| Arc::ptr_eq(nodes, &self.present));
            if is_present {
                *answers = self.next;
            }
            is_present
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidemap_client::{
        FeedMessage,
        testing::{AT_MS, TestPartition, id, node, one_partition},
    };
    use tokio::time::Instant;

    use crate::fleet_task::FleetTask;

    /// A fleet of two nodes at tick 7, and what brings its partition further.
    struct Polled {
        task: FleetTask,
        worker: TestPartition,
        begun: Instant,
    }

    impl Polled {
        fn new() -> Self {
            let (count, partition) = one_partition();
            let mut worker = TestPartition::new();
            worker.put(vec![node("a"), node("b")]);
            let begun = Instant::now();
            let mut task = FleetTask::new(count, false, begun, AT_MS);
            task.tick(6, begun, AT_MS);
            task.receive(FeedMessage::Snapshot(partition, worker.snapshot()));
            task.tick(7, begun, AT_MS);
            Self { task, worker, begun }
        }

        fn tick(&mut self, number: u64) {
            let after = Duration::from_millis(250 * (number - 7));
            self.task.tick(number, self.begun + after, AT_MS + 250 * (number as i64 - 7));
        }

        /// The tick of the list that requests get without waiting.
        fn ready(&self) -> Option<u64> {
            self.task.answers().borrow().nodes.as_ref().map(|nodes| nodes.version.tick)
        }
    }

    #[tokio::test]
    async fn a_polled_list_is_given_until_the_next_one_is_built() {
        let mut polled = Polled::new();
        let list = polled.task.nodes().array().await.unwrap().gzip().await.unwrap().clone();
        assert!(polled.task.renewal().is_none(), "it is of this second");
        polled.tick(8);
        let renewal = polled.task.renewal().unwrap();
        assert_eq!(polled.ready(), Some(7));
        polled.tick(9);
        renewal.finish().await;
        assert_eq!(polled.ready(), Some(8));
        let (nodes, stats) = (polled.task.nodes(), polled.task.stats());
        assert_eq!((nodes.version, nodes.version.tick), (stats.version, 8));
        assert!(!nodes.is_polled());
        assert!(nodes.array().await.unwrap().is_compressed());
        assert_ne!(nodes.array().await.unwrap().gzip().await.unwrap(), &list, "the nodes are older");
        polled.tick(12);
        polled.task.renewal().unwrap().finish().await;
        // Nobody asks for it.
        polled.tick(16);
        assert!(polled.task.renewal().is_none());
        assert_eq!(polled.ready(), None);
    }

    #[tokio::test]
    async fn what_nobody_has_requested_is_not_built() {
        let mut polled = Polled::new();
        polled.task.nodes().array().await.unwrap();
        polled.tick(8);
        polled.task.renewal().unwrap().finish().await;
        assert!(!polled.task.nodes().array().await.unwrap().is_compressed());
        let mut polled = Polled::new();
        polled.task.nodes().selection(vec![1]).await.unwrap();
        polled.tick(8);
        assert!(polled.task.renewal().is_none());
        assert_eq!(polled.ready(), None);
    }

    #[tokio::test]
    async fn a_node_that_is_forgotten_while_a_list_is_built_is_in_no_later_answer() {
        let mut polled = Polled::new();
        polled.task.nodes().array().await.unwrap();
        polled.tick(8);
        let renewal = polled.task.renewal().unwrap();
        let forgotten = polled.worker.forget(&id("a"));
        polled.task.receive(FeedMessage::Delta(one_partition().1, forgotten));
        polled.tick(9);
        renewal.finish().await;
        assert_eq!(polled.ready(), None);
        let list = polled.task.nodes().array().await.unwrap().plain().clone();
        assert!(!String::from_utf8(list.to_vec()).unwrap().contains(r#""name":"a""#));
    }
}
