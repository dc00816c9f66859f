//! `/metrics` of a station that runs alone; beside an API, whose `/metrics` has the same, it has none.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use tidemap_service::{
    cli::UsageError,
    exposition::{Exposition, ExpositionFormat},
    listen_address::{ListenAddress, bind_failure},
};
use tidemap_wire::history_query::{HistoryStatus, RemoteStatus};
use tokio::{net::TcpListener, sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;
use warp::{Filter, http::StatusCode};

use crate::{
    answers,
    store::{Settled, Store},
};

/// Options of a station that runs alone.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "HistoryMetricsArgs")]
pub struct MetricsArgs {
    /// Serve the station's own /metrics for Prometheus on this address.
    #[arg(long, env = "TIDEMAP_METRICS", value_name = "HOST:PORT")]
    pub metrics: Option<ListenAddress>,
}

/// The address of `/metrics`, bound.
#[derive(Debug)]
pub struct MetricsServer(std::net::TcpListener);

/// What is read for each answer.
#[derive(Clone)]
struct Source {
    file: PathBuf,
    status: watch::Receiver<HistoryStatus>,
    remote: watch::Receiver<Option<RemoteStatus>>,
}

impl MetricsArgs {
    /// Binds the address, so that a taken port is reported before anything is started.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is taken, or is not one of this host's.
    pub async fn bind(self) -> Result<Option<MetricsServer>, UsageError> {
        let Some(address) = self.metrics else { return Ok(None) };
        let address = address.resolve("--metrics", None)?;
        let bound = TcpListener::bind(address).await.and_then(TcpListener::into_std);
        bound
            .map(|bound| Some(MetricsServer(bound)))
            .map_err(|error| bind_failure("--metrics", address, &error))
    }
}

impl MetricsServer {
    /// Serves `/metrics` and `/healthz` until `stop`: what the station says of itself and of the history in
    /// this file, and nothing about nodes. A station whose file is built again serves it again.
    pub(crate) fn serve(
        &self,
        file: PathBuf,
        status: watch::Receiver<HistoryStatus>,
        remote: watch::Receiver<Option<RemoteStatus>>,
        stop: CancellationToken,
    ) -> anyhow::Result<impl Future<Output = ()> + use<>> {
        let listener =
            self.0.try_clone().and_then(TcpListener::from_std).context("the address of /metrics")?;
        if let Ok(address) = listener.local_addr() {
            tracing::info!("serving http://{address}/metrics");
        }
        let source = Arc::new(Source { file, status, remote });
        let accept = warp::header::optional::<String>("accept");
        let metrics = warp::path!("metrics").and(accept).then(move |accept: Option<String>| {
            let (source, format) =
                (Source::clone(&source), ExpositionFormat::preferred(&accept.unwrap_or_default()));
            async move {
                let text = spawn_blocking(move || source.exposition(format)).await.ok().flatten();
                let code = if text.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let text = text.unwrap_or_else(|| "the history cannot be read\n".to_owned());
                let answer = warp::reply::with_header(text, "content-type", format.content_type());
                warp::reply::with_status(answer, code)
            }
        });
        let health = warp::path!("healthz").map(|| "ok\n".to_owned());
        let routes = warp::get().and(metrics.or(health));
        Ok(warp::serve(routes).incoming(listener).graceful(stop.cancelled_owned()).run())
    }
}

impl Source {
    /// Nothing where the file cannot be read.
    fn exposition(&self, format: ExpositionFormat) -> Option<String> {
        let remote = self.remote.borrow().clone();
        let reading = HistoryStatus { remote, ..self.status.borrow().clone() };
        let read = Store::open_to_read(&self.file, Settled::default())
            .and_then(|mut store| answers::status(&mut store, &reading));
        let status = match read {
            Ok(status) => status,
            Err(error) => {
                tracing::warn!("/metrics could not be answered: {error}");
                return None;
            }
        };
        let mut text = Exposition::new(format);
        text.history(Some(&status));
        text.process("tidemap-history");
        Some(text.finish())
    }
}
