//! The stations that run side by side in one process, and the order in which they end.

use std::{collections::BTreeMap, time::Duration};

use tidemap_service::causes::causes;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A stage that has not ended by then is aborted.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(6);

/// When a station ends: first those that produce samples, last those that store them, so that no sample is
/// left on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Agents and the simulator.
    Source,
    /// The API.
    Reader,
    /// Ingest workers.
    Worker,
}

/// Running stations.
#[derive(Default)]
pub(crate) struct Stations {
    stages: BTreeMap<Stage, (CancellationToken, usize)>,
    tasks: JoinSet<(&'static str, Stage, anyhow::Result<()>)>,
}

impl Stations {
    /// Starts a station; `run` is given the token on which it must end.
    pub(crate) fn start<F>(
        &mut self,
        name: &'static str,
        stage: Stage,
        run: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (stop, count) = self.stages.entry(stage).or_default();
        *count += 1;
        let running = run(stop.clone());
        self.tasks.spawn(async move { (name, stage, running.await) });
    }

    /// Waits until a station ends before it was asked to; returns why.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok((name, stage, result))) => {
                self.count_down(stage);
                match result {
                    Err(error) => error.context(name),
                    Ok(()) => anyhow::anyhow!("{name} ended by itself"),
                }
            }
            Some(Err(panic)) => anyhow::anyhow!("a station panicked: {panic}"),
            None => std::future::pending().await,
        }
    }

    /// Ends all stations, stage by stage.
    pub(crate) async fn stop(mut self) {
        for (stage, (stop, _)) in self.stages.clone() {
            stop.cancel();
            if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.drain(stage)).await.is_err() {
                tracing::warn!(?stage, "did not end in time and was cut off");
            }
        }
        self.tasks.shutdown().await;
    }

    async fn drain(&mut self, stage: Stage) {
        while self.stages.get(&stage).is_some_and(|(_, count)| *count > 0) {
            match self.tasks.join_next().await {
                Some(Ok((name, ended, result))) => {
                    self.count_down(ended);
                    if let Err(error) = result {
                        tracing::error!("{name}: {}", causes(error.as_ref()));
                    }
                }
                Some(Err(panic)) => tracing::error!("a station panicked: {panic}"),
                None => return,
            }
        }
    }

    fn count_down(&mut self, stage: Stage) {
        if let Some((_, count)) = self.stages.get_mut(&stage) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn sources_end_before_workers() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut stations = Stations::default();
        for (name, stage) in [("worker", Stage::Worker), ("source", Stage::Source), ("reader", Stage::Reader)]
        {
            let order = Arc::clone(&order);
            stations.start(name, stage, |stop| async move {
                stop.cancelled().await;
                order.lock().unwrap().push(name);
                Ok(())
            });
        }
        stations.stop().await;
        assert_eq!(*order.lock().unwrap(), ["source", "reader", "worker"]);
    }

    #[tokio::test]
    async fn a_station_that_ends_by_itself_is_reported() {
        let mut stations = Stations::default();
        stations.start("waiter", Stage::Source, |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        stations.start("breaker", Stage::Reader, |_| async { anyhow::bail!("no") });
        assert_eq!(format!("{:#}", stations.failed().await), "breaker: no");
        stations.stop().await;
    }
}
