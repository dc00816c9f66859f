//! The event stream as a client reads it.

use futures_util::StreamExt;
use tidemap_wire::{Delta, Host};

use super::*;
use crate::{
    answers::Nodes,
    fleet_task::FleetRequest,
    http::events,
    stream_log::{Frame, gzip},
};

/// A fleet that ticks only when a test says so.
struct Live {
    task: FleetTask,
    worker: TestPartition,
    requests: mpsc::Receiver<FleetRequest>,
    tick: u64,
}

impl Live {
    async fn new() -> (Self, Site) {
        let (requests_in, requests) = mpsc::channel(8);
        let task = task_of(Vec::new(), false);
        let site = site(Vec::new(), Readers::OnLoopback).await;
        let site = Site::over(FleetHandle::new(requests_in, task.answers()), &site);
        let mut worker = TestPartition::new();
        worker.put(Vec::new());
        (Self { task, worker, requests, tick: 7 }, site)
    }

    /// Sets the node's rate, and ticks.
    fn moves(&mut self, rate: u32) {
        let delta = self.worker.put(vec![NodeUpdate { rx_bps: bps(f64::from(rate)), ..node("a") }]);
        self.task.receive(FeedMessage::Delta(one_partition().1, delta));
        self.tick += 1;
        self.task.tick(self.tick, Instant::now(), AT_MS);
    }

    /// Answers one request while `asking` runs.
    async fn during<T>(&mut self, asking: impl Future<Output = T>) -> T {
        let answering = async {
            let request = self.requests.recv().await.unwrap();
            fleet_task::answer(&mut self.task, request);
        };
        tokio::join!(asking, answering).0
    }

    /// The same, but a request need not come.
    async fn during_if_asked<T>(&mut self, asking: impl Future<Output = T>) -> T {
        let mut asking = std::pin::pin!(asking);
        loop {
            tokio::select! {
                answer = &mut asking => return answer,
                Some(request) = self.requests.recv() => fleet_task::answer(&mut self.task, request),
            }
        }
    }
}

fn event(frame: Option<Frame>) -> String {
    let text = String::from_utf8(frame.unwrap().plain().to_vec()).unwrap();
    text.lines().next().unwrap().to_owned()
}

/// What a stream's text says of times to reconnect and of events.
fn heads(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("retry: ") || line.starts_with("event: ")).collect()
}

fn retry_ms(line: &str) -> u64 {
    line.strip_prefix("retry: ").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_stream_begins_with_a_snapshot_and_a_slow_client_gets_another() {
    let (mut live, site) = Live::new().await;
    let mut frames = Box::pin(live.during(events::listen(site.clone(), None)).await.unwrap());
    assert_eq!(event(frames.next().await), "retry: 2000");
    assert_eq!(event(frames.next().await), "event: snapshot");
    live.moves(1);
    assert_eq!(event(frames.next().await), "event: delta");
    // The client reads nothing while many more frames are sent than are kept for it.
    (0..1_000).for_each(|rate| live.moves(rate));
    let first = live.during(frames.next()).await;
    assert_eq!(event(first), "retry: 2000");
    assert_eq!(event(frames.next().await), "event: snapshot");
    assert_eq!(event(frames.next().await), "event: stats");
    live.moves(5);
    assert_eq!(event(frames.next().await), "event: delta");
}

#[tokio::test]
async fn a_slow_client_gets_another_snapshot_within_its_gzip_file_and_the_file_ends_with_the_service() {
    let (mut live, site) = Live::new().await;
    let mut parts = Box::pin(gzip(live.during(events::listen(site.clone(), None)).await.unwrap()));
    let mut file = Vec::new();
    // The header and the frames that open a stream.
    for _ in 0..3 {
        file.extend(parts.next().await.unwrap());
    }
    (0..1_000).for_each(|rate| live.moves(rate));
    for _ in 0..3 {
        file.extend(live.during_if_asked(parts.next()).await.unwrap());
    }
    site.shutdown.cancel();
    // The closing frame and the gzip trailer.
    for _ in 0..2 {
        file.extend(parts.next().await.unwrap());
    }
    assert!(parts.next().await.is_none());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*file).read_to_string(&mut text).unwrap();
    let mut heads = heads(&text);
    assert!(retry_ms(heads.pop().unwrap()) < 1_000);
    let opening = ["retry: 2000", "event: snapshot"];
    assert_eq!(heads, [&opening[..], &opening, &["event: stats"]].concat());
}

#[tokio::test]
async fn an_answer_is_built_once_a_tick_and_is_of_the_newest() {
    let (mut live, site) = Live::new().await;
    let first = live.during(site.fleet.nodes()).await.unwrap();
    let again = site.fleet.nodes().await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "no request reached the task");
    live.moves(1);
    let next = live.during(site.fleet.nodes()).await.unwrap();
    let count = async |nodes: &Arc<Nodes>| nodes.make(<[NodeJson]>::len).await.unwrap();
    assert_eq!((count(&first).await, count(&next).await), (0, 1));
    assert_ne!(first.version, next.version);
}

#[tokio::test]
async fn streams_end_when_the_service_stops_and_their_clients_are_asked_to_come_back_soon() {
    let (mut live, site) = Live::new().await;
    let mut frames = Box::pin(live.during(events::listen(site.clone(), None)).await.unwrap());
    assert_eq!(event(frames.next().await), "retry: 2000");
    site.shutdown.cancel();
    assert!(retry_ms(&event(frames.next().await)) < 1_000);
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn an_id_that_no_event_has_is_refused() {
    let api = api(Readers::OnLoopback).await;
    for id in ["", "x", "1", "1-", "1-x", "-1-1", "1-1-1", "99999999999999999999-1", "\u{e9}"] {
        let request = warp::test::request().path("/api/stream").header("last-event-id", id);
        let answer = request.reply(&api).await;
        assert_eq!(answer.status(), 422, "{id}");
        assert!(detail(&answer).starts_with("Last-Event-ID: "), "{id}");
    }
}

#[tokio::test]
async fn an_event_stream_is_neither_stored_nor_buffered() {
    let (mut live, site) = Live::new().await;
    site.shutdown.cancel();
    let api = routes(site);
    let answer = live.during(warp::test::request().path("/api/stream").reply(&api)).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-store, no-transform");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    assert_eq!(answer.headers()["vary"], "accept-encoding");
    assert_eq!(answer.headers().get("content-encoding"), None);
    let request = warp::test::request().path("/api/stream").header("accept-encoding", "gzip, br");
    let answer = live.during(request.reply(&api)).await;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let mut unpacked = Vec::new();
    // Even a stream that ends at once is a complete file.
    flate2::read::GzDecoder::new(answer.body().as_ref()).read_to_end(&mut unpacked).unwrap();
}

#[tokio::test]
async fn a_client_may_ask_for_what_is_there_already() {
    let (mut live, site) = Live::new().await;
    live.moves(1);
    let api = routes(site);
    for path in ["/api/stream?once", "/api/stream?once=true&_=1"] {
        let answer = live.during(warp::test::request().path(path).reply(&api)).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        assert_eq!(heads(&text), ["retry: 2000", "event: snapshot", "event: stats"]);
        assert!(text.split_terminator("\n\n").all(|block| block.contains("data: ")), "{text}");
    }
}

#[tokio::test]
async fn a_parameter_against_caches_is_no_parameter() {
    let (mut live, site) = Live::new().await;
    site.shutdown.cancel();
    let stream = routes(site);
    let answer = live.during(warp::test::request().path("/api/stream?_=1").reply(&stream)).await;
    assert_eq!(answer.status(), 200);
    for path in ["/api/nodes?_=1&_=2", "/api/stats?_=1", "/api/nodes?limit=1&_=x"] {
        assert_eq!(get(path).await.status(), 200, "{path}");
    }
    for path in ["/api/stream?x=1", "/api/stream?once=2", "/api/stream?once&once", "/api/nodes/db?x"] {
        assert_eq!(get(path).await.status(), 422, "{path}");
    }
}

/// An update of ten thousand nodes in which all rates change.
fn all_change(round: u64) -> Vec<NodeUpdate> {
    let mut random = fastrand::Rng::with_seed(round);
    let mut usual = fastrand::Rng::with_seed(0);
    (0..10_000_u32)
        .map(|number| {
            // Between 10 KB/s and 100 MB/s; each round changes a rate to between half and twice its value.
            let mut rate =
                || bps(10_f64.powf(4.0 + 4.0 * usual.f64()) * 2_f64.powf(2.0 * random.f64() - 1.0));
            let (rx_bps, tx_bps) = (rate(), rate());
            let host = Host {
                cpu_percent: Some(100.0 * random.f64()),
                memory_used_bytes: Some(random.u64(..1 << 34)),
                memory_total_bytes: Some(1 << 34),
                ..Host::default()
            };
            NodeUpdate {
                row: number,
                host: Some(Box::new(host)),
                rx_bps,
                tx_bps,
                ..full_node(&format!("web-fra-{number:04}.example.com"))
            }
        })
        .collect()
}

#[tokio::test]
async fn a_delta_of_ten_thousand_nodes_that_all_change_is_small() {
    let (count, partition) = one_partition();
    let now = Instant::now();
    let mut task = FleetTask::new(count, false, now, AT_MS);
    task.tick(6, now, AT_MS);
    let worker = TestPartition::with_nodes(all_change(0));
    task.receive(FeedMessage::Snapshot(partition, worker.snapshot()));
    task.tick(7, now, AT_MS);
    let mut listening = task.listen(None).unwrap();
    let (nodes, forgotten) = (all_change(1), Vec::new());
    task.receive(FeedMessage::Delta(
        partition,
        Delta { partition: 0, epoch: 1, seq: 2, at_ms: AT_MS, nodes, forgotten },
    ));
    task.tick(8, now, AT_MS);
    let frame = listening.live.try_recv().unwrap();
    let began = Instant::now();
    let parts: Vec<Bytes> = gzip(futures_util::stream::iter([frame.clone()])).collect().await;
    let (raw, gzip) = (frame.plain().len(), parts.iter().map(Bytes::len).sum::<usize>());
    println!("delta of 10,000 nodes: {raw} bytes raw, {gzip} gzip, compressed in {:?}", began.elapsed());
    assert!(raw > 80_000, "all of them are in it");
    assert!(raw <= 100_000 && gzip <= 40_000, "{raw} raw, {gzip} gzip");
}
