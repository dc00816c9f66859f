//! The event stream as a client reads it.

use futures_util::StreamExt;

use super::*;
use crate::http::events;

/// An owner that moves only when a test says so.
struct Live {
    owner: Owner,
    truth: Truth,
    asks: mpsc::Receiver<owner::Ask>,
    tick: u64,
}

impl Live {
    async fn new() -> (Self, Site) {
        let (asks_in, asks) = mpsc::channel(8);
        let owner = owner_of(Vec::new(), false);
        let site = site(Vec::new(), Readers::OnLoopback).await;
        let site = Site::over(FleetHandle::new(asks_in, owner.answers()), &site);
        let mut truth = Truth::new();
        truth.put(Vec::new());
        (Self { owner, truth, asks, tick: 7 }, site)
    }

    /// Lets `rate` be the node's rate, and ticks.
    fn moves(&mut self, rate: u32) {
        let delta = self.truth.put(vec![NodeUpdate { rx_bps: bps(f64::from(rate)), ..node("a") }]);
        self.owner.receive(Incoming::Delta(one_partition().1, delta));
        self.tick += 1;
        self.owner.tick(self.tick, Instant::now(), AT_MS);
    }

    /// Answers one question while `asking` goes on.
    async fn during<T>(&mut self, asking: impl Future<Output = T>) -> T {
        let answering = async {
            let ask = self.asks.recv().await.unwrap();
            owner::answer(&mut self.owner, ask);
        };
        tokio::join!(asking, answering).0
    }
}

fn event(frame: Option<Result<Bytes, std::convert::Infallible>>) -> String {
    let Some(Ok(frame)) = frame else { panic!("the stream has ended") };
    let text = String::from_utf8(frame.to_vec()).unwrap();
    text.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_stream_begins_with_a_snapshot_and_a_slow_client_gets_another() {
    let (mut live, site) = Live::new().await;
    let mut frames = Box::pin(live.during(events::listen(site.clone(), None)).await.unwrap());
    assert_eq!(event(frames.next().await), "retry: 2000");
    assert_eq!(event(frames.next().await), "event: snapshot");
    live.moves(1);
    assert_eq!(event(frames.next().await), "event: delta");
    // Nobody reads while far more happens than is kept for one client.
    (0..1_000).for_each(|rate| live.moves(rate));
    let first = live.during(frames.next()).await;
    assert_eq!(event(first), "retry: 2000");
    assert_eq!(event(frames.next().await), "event: snapshot");
    assert_eq!(event(frames.next().await), "event: stats");
    live.moves(5);
    assert_eq!(event(frames.next().await), "event: delta");
}

#[tokio::test]
async fn an_answer_is_built_once_a_tick_and_is_of_the_newest() {
    let (mut live, site) = Live::new().await;
    let first = live.during(site.fleet.nodes()).await.unwrap();
    let again = site.fleet.nodes().await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "nobody was there to be asked");
    live.moves(1);
    let next = live.during(site.fleet.nodes()).await.unwrap();
    assert_eq!((first.list.len(), next.list.len()), (0, 1));
    assert_ne!(first.version, next.version);
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let (mut live, site) = Live::new().await;
    let mut frames = Box::pin(live.during(events::listen(site.clone(), None)).await.unwrap());
    assert_eq!(event(frames.next().await), "retry: 2000");
    site.shutdown.cancel();
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn an_event_stream_is_neither_stored_nor_buffered() {
    let (mut live, site) = Live::new().await;
    site.shutdown.cancel();
    let api = routes(site);
    let answer = live.during(warp::test::request().path("/api/stream").reply(&api)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
}
