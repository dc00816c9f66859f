//! A body in both its forms.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::sync::OnceCell;

/// A body as it is, and compressed when the first client asks for that.
#[derive(Debug)]
pub(crate) struct Encoded {
    plain: Bytes,
    gzip: OnceCell<Bytes>,
}

/// The work on an answer was lost: the process is stopping, or the work panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer could not be built")]
pub(crate) struct Lost;

impl Encoded {
    pub(crate) fn new(plain: Bytes) -> Self {
        Self { plain, gzip: OnceCell::new() }
    }

    pub(crate) fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// The compressed form; who asks meanwhile waits for the same work.
    pub(crate) async fn gzip(&self) -> Result<&Bytes, Lost> {
        self.gzip
            .get_or_try_init(|| async {
                let plain = self.plain.clone();
                // Megabytes take tens of milliseconds: not on a thread that serves streams.
                tokio::task::spawn_blocking(move || gzip(&plain)).await.map_err(|_| Lost)?
            })
            .await
    }
}

fn gzip(plain: &[u8]) -> Result<Bytes, Lost> {
    // A body lives for a quarter of a second: speed is worth more than the last tenth of its size.
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).map(Bytes::from).map_err(|_| Lost)
}
