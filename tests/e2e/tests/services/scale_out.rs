//! Several workers at one broker share the work, and any of them may stop. Prints how long each change takes,
//! and how long the page stands still.

use std::time::Duration;

use anyhow::ensure;
use tidemap_e2e::scenario::TAKEOVER;
use tidemap_testkit::{
    broker::TestBroker, eventually, http::get_json, machine, process::Tidemap, undisturbed, viewer::Viewer,
    watch::Watch,
};
use tidemap_wire::http::StatsJson;
use tokio::time::Instant;

/// For the partitions to be spread evenly after workers come or go.
const SPREAD: Duration = Duration::from_secs(10);
/// For a partition to go from a worker that shuts down to the next one.
const HAND_OVER: Duration = Duration::from_secs(1);

/// A broker, an API, and two observers: one of the broker's messages, one of the page.
struct Scene {
    // Dropped before the broker, because without one it takes long to end.
    api: Tidemap,
    url: String,
    watch: Watch,
    viewer: Viewer,
    broker: TestBroker,
}

impl Scene {
    async fn open() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let watch = Watch::start(broker.connect().await.unwrap()).await.unwrap();
        let (api, url) = broker.api().await.unwrap();
        let viewer = Viewer::start(&url);
        Self { api, url, watch, viewer, broker }
    }

    fn worker(&self) -> Tidemap {
        self.broker.ingest(&[]).unwrap()
    }

    /// Starts a fleet so large that something moves on the page in every partition at every tick.
    async fn busy(&self) -> anyhow::Result<Tidemap> {
        let fleet = self.broker.simulate(400).unwrap();
        eventually(TAKEOVER, || async {
            let stats: StatsJson = get_json(format!("{}/api/stats", self.url)).await?;
            // A few of a simulated fleet are always away.
            ensure!(stats.total_nodes == 400 && stats.online_nodes > 360, "{stats:?}");
            Ok(())
        })
        .await?;
        self.viewer.longest_standstill().await?;
        Ok(fleet)
    }

    /// Waits until the partitions are distributed like this and all of them are followed; prints how long it
    /// took since `then`.
    async fn spread(&self, what: &str, expected: &[usize], then: Instant) -> anyhow::Result<()> {
        let took = eventually(SPREAD, || async {
            let mut counts: Vec<usize> = self.watch.seen().owners().into_values().collect();
            counts.sort_unstable();
            ensure!(counts == expected, "{counts:?}");
            Ok(then.elapsed())
        })
        .await?;
        eprintln!("{what}: spread {expected:?} after {:.1} s", took.as_secs_f64());
        ensure!(took <= machine::scaled_again(SPREAD), "{what}: {took:?}");
        self.fresh().await?;
        Ok(())
    }

    async fn fresh(&self) -> anyhow::Result<StatsJson> {
        eventually(TAKEOVER, || async {
            let stats: StatsJson = get_json(format!("{}/api/stats", self.url)).await?;
            ensure!(stats.partitions_fresh == 8, "{stats:?}");
            Ok(stats)
        })
        .await
    }

    /// The longest standstill on the page since it was asked for, which must not be longer than this.
    async fn ensure_moved(&self, what: &str, longest: Duration) -> anyhow::Result<()> {
        let standstill = self.viewer.longest_standstill().await?;
        eprintln!("{what}: nothing moved for at most {:.2} s", standstill.as_secs_f64());
        ensure!(standstill <= machine::scaled_again(longest), "{what}: {standstill:?}");
        Ok(())
    }
}

#[tokio::test]
async fn workers_share_the_partitions_and_any_of_them_may_go() {
    // A worker that stands still itself delays what is measured here.
    undisturbed(workers_come_and_go).await.unwrap();
}

async fn workers_come_and_go() -> anyhow::Result<()> {
    let mut scene = Scene::open().await;
    let started = Instant::now();
    let [mut first, mut second, _third] = [scene.worker(), scene.worker(), scene.worker()];
    scene.spread("three workers started", &[2, 3, 3], started).await?;
    // With no node there are zeros, not errors.
    let stats = scene.fresh().await?;
    let (timestamp, view_age_ms) = (stats.timestamp, stats.view_age_ms);
    let nothing = StatsJson {
        partitions: 8,
        partitions_fresh: 8,
        lag_messages: Some(0),
        lag_ms: Some(0),
        view_age_ms,
        timestamp,
        ..StatsJson::default()
    };
    ensure!(stats == nothing, "{stats:?}");

    let _fleet = scene.busy().await?;
    let before = scene.watch.seen().hand_overs.len();
    let then = Instant::now();
    assert!(first.terminate().await.unwrap().success(), "{}", first.log());
    scene.spread("one stopped", &[4, 4], then).await?;
    let hand_overs = scene.watch.seen().hand_overs.split_off(before);
    let longest = hand_overs.iter().max().copied().unwrap_or_default();
    eprintln!("one stopped: {} partitions handed over in at most {longest:.2?}", hand_overs.len());
    ensure!(!hand_overs.is_empty() && longest < machine::scaled_again(HAND_OVER), "{hand_overs:?}");
    scene.ensure_moved("one stopped", HAND_OVER).await?;

    let then = Instant::now();
    let _fourth = scene.worker();
    scene.spread("one more started", &[2, 3, 3], then).await?;
    scene.ensure_moved("one more started", 2 * HAND_OVER).await?;

    let then = Instant::now();
    second.kill().await.unwrap();
    scene.spread("one killed", &[4, 4], then).await?;
    scene.ensure_moved("one killed", TAKEOVER).await?;
    assert!(scene.api.terminate().await.unwrap().success(), "{}", scene.api.log());
    Ok(())
}

/// To a new worker, the heartbeat of a dead worker looks alive at first.
#[tokio::test]
async fn a_worker_that_starts_soon_after_another_was_killed_delays_no_takeover() {
    undisturbed(one_starts_after_a_kill).await.unwrap();
}

async fn one_starts_after_a_kill() -> anyhow::Result<()> {
    let scene = Scene::open().await;
    let started = Instant::now();
    let [mut first, _second] = [scene.worker(), scene.worker()];
    scene.spread("two workers started", &[4, 4], started).await?;
    let _fleet = scene.busy().await?;
    let then = Instant::now();
    first.kill().await.unwrap();
    scene.spread("one of two killed", &[8], then).await?;
    scene.ensure_moved("one of two killed", TAKEOVER).await?;
    let then = Instant::now();
    let _third = scene.worker();
    scene.spread("one more started after a kill", &[4, 4], then).await?;
    scene.ensure_moved("one more started after a kill", TAKEOVER).await?;
    Ok(())
}
