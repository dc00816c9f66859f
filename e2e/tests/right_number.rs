//! Known traffic over a real link shows as what it is, in time.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tidemap_e2e::{
    eventually,
    http::get_json,
    namespace::Namespace,
    process::{Tidemap, tidemap},
};
use tidemap_wire::http::NodeJson;

const SOON: Duration = Duration::from_secs(15);
/// What the other side sends: 5 MB/s for 8 s.
const CHUNK_BYTES: usize = 50_000;
const CHUNK_PERIOD: Duration = Duration::from_millis(10);
const CHUNKS: u32 = 800;
const RATE: f64 = 5_000_000.0;

/// Sends the known traffic to whoever connects. Returns when it began.
fn sender(here: Ipv4Addr) -> (std::net::SocketAddr, std::thread::JoinHandle<anyhow::Result<Instant>>) {
    let listener = TcpListener::bind((here, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let sending = std::thread::spawn(move || {
        let (mut receiver, _) = listener.accept()?;
        let began = Instant::now();
        for number in 1..=CHUNKS {
            receiver.write_all(&vec![0; CHUNK_BYTES])?;
            // Paced by the clock and not by the pauses, so that the rate is what it says.
            std::thread::sleep((CHUNK_PERIOD * number).saturating_sub(began.elapsed()));
        }
        Ok(began)
    });
    (address, sending)
}

#[tokio::test]
async fn a_download_over_a_real_link_shows_as_bytes_over_time() {
    let host = Namespace::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let http = format!("{}:0", host.there);
    let data = folder.path().to_str().unwrap();
    let args = ["up", "--public", "--node", "here", "--http", &http, "--data-dir", data];
    let mut up = Tidemap::start_by(host.command(tidemap().unwrap()), &args).unwrap();
    let url = up.url().await.unwrap();
    let node = async || get_json::<NodeJson>(format!("{url}/api/nodes/here")).await;
    let rate = async || {
        let rate = node().await?.network_rx_bytes_per_sec.context("a rate from the first sample on")?;
        anyhow::Ok(rate.get())
    };
    let quiet = eventually(SOON, rate).await.unwrap();
    assert!(quiet < 200_000.0, "nothing but this test's questions: {quiet}");

    let (address, sending) = sender(host.here);
    let read = format!("cat < /dev/tcp/{}/{} > /dev/null", address.ip(), address.port());
    let mut download = host.command("bash").args(["-c", &read]).spawn().unwrap();
    let asked = Instant::now();
    eventually(Duration::from_secs(3), || async {
        ensure!((rate().await? - RATE).abs() < RATE * 0.1, "not the true rate yet");
        Ok(())
    })
    .await
    .unwrap();
    // A sample covers a second: the first whole one ends within two, and a quarter of a second later it shows.
    let seen_after = asked.elapsed();

    // While it lasts, every sample is right.
    let mut rates = Vec::new();
    while asked.elapsed() < Duration::from_millis(6_500) {
        rates.push(rate().await.unwrap());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    download.wait().await.unwrap();
    sending.join().unwrap().unwrap();
    println!(
        "{} MB in {} s: shown as {rates:?} from {seen_after:?} on",
        0.05 * f64::from(CHUNKS),
        CHUNKS / 100
    );
    assert!(rates.iter().all(|rate| (rate - RATE).abs() < RATE * 0.1), "{rates:?}");
    assert!(seen_after < Duration::from_millis(2_500), "{seen_after:?}");

    // And the sum is what was sent, but for headers and this test's questions.
    let sent = CHUNK_BYTES as f64 * f64::from(CHUNKS);
    let total = eventually(SOON, || async {
        let total = node().await?.network_rx_bytes_total as f64;
        ensure!(total >= sent, "{total} of {sent}");
        Ok(total)
    })
    .await
    .unwrap();
    assert!(total < sent * 1.02, "{total} of {sent}");
    assert!(up.terminate().await.unwrap().success(), "{}", up.log());
}
