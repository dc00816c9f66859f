//! A body, uncompressed and as gzip.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::{sync::OnceCell, task::spawn_blocking};

use crate::{
    answers::NotBuilt,
    gzip::{GzipSum, HEADER, Piece},
    memory_budget::MemoryBudget,
};

/// A body is used for a second or so, so speed matters more than the last tenth of its size.
const LEVEL: u32 = 1;
/// How much shorter a list becomes, at least.
const USUAL_RATIO: usize = 4;
/// Shorter bodies are not compressed in pieces.
const PIECE_BYTES: usize = 1 << 20;

/// A body. The compressed form is made when the first client requests it, or in advance.
#[derive(Debug)]
pub(crate) struct Encoded {
    plain: Bytes,
    gzip: OnceCell<Bytes>,
    gzip_requested: AtomicBool,
    budget: Option<MemoryBudget>,
}

impl Encoded {
    /// A body whose length does not depend on the size of the fleet.
    pub(crate) fn short(plain: Bytes) -> Self {
        Self::new(plain, None)
    }

    /// A body that is charged to a budget, in both forms.
    pub(crate) fn long(plain: Vec<u8>, budget: &MemoryBudget) -> Result<Self, NotBuilt> {
        Ok(Self::new(budget.charge_buffer(plain)?, Some(budget.clone())))
    }

    fn new(plain: Bytes, budget: Option<MemoryBudget>) -> Self {
        Self { plain, gzip: OnceCell::new(), gzip_requested: AtomicBool::new(false), budget }
    }

    pub(crate) fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// The compressed form. Requests that come while it is made wait for the same work.
    pub(crate) async fn gzip(&self) -> Result<&Bytes, NotBuilt> {
        self.gzip_requested.store(true, Ordering::Relaxed);
        self.compress().await
    }

    /// Whether a client has requested the compressed form.
    pub(crate) fn gzip_requested(&self) -> bool {
        self.gzip_requested.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn is_compressed(&self) -> bool {
        self.gzip.initialized()
    }

    /// Makes the compressed form, unless there is one.
    pub(crate) async fn compress(&self) -> Result<&Bytes, NotBuilt> {
        self.gzip
            .get_or_try_init(|| async {
                let Some(budget) = &self.budget else {
                    return Ok(gzip(&self.plain, Vec::new()).await.ok_or(NotBuilt::Lost)?.into());
                };
                let buffer = budget.buffer(self.plain.len() / USUAL_RATIO);
                Ok(budget.charge_buffer(gzip(&self.plain, buffer).await.ok_or(NotBuilt::Lost)?)?)
            })
            .await
    }
}

/// Compresses in pieces, one for each core, because clients wait for it, and appends them to `file`. `None`
/// when the process is stopping.
async fn gzip(plain: &Bytes, mut file: Vec<u8>) -> Option<Vec<u8>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let piece_bytes = plain.len().div_ceil(cores).max(PIECE_BYTES);
    let starts = (0..plain.len()).step_by(piece_bytes);
    let pieces = starts.map(|start| plain.slice(start..plain.len().min(start + piece_bytes)));
    // Not on the threads that serve streams.
    let pieces: Vec<_> = pieces.map(|piece| spawn_blocking(move || Piece::of(&piece, LEVEL))).collect();
    let mut sum = GzipSum::default();
    file.extend_from_slice(&HEADER);
    for piece in pieces {
        let piece = piece.await.ok()??;
        file.extend_from_slice(&piece.blocks);
        sum.add(&piece);
    }
    file.extend_from_slice(&sum.trailer());
    Some(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn compressed_pieces_form_one_gzip_file() {
        let line = |number: usize| format!("{{\"name\":\"node-{number}\"}},").into_bytes();
        for count in [0, 1, 400_000] {
            let plain: Vec<u8> = (0..count).flat_map(line).collect();
            let body = Encoded::long(plain.clone(), &MemoryBudget::new(1 << 30)).unwrap();
            let (mut file, mut read) =
                (flate2::read::GzDecoder::new(&**body.gzip().await.unwrap()), Vec::new());
            // The decoder checks the trailer, too.
            file.read_to_end(&mut read).unwrap();
            assert!(read == plain, "{count}");
        }
    }
}
