//! Frames, uncompressed and compressed, and a stream of frames as one gzip file.
//!
//! Each frame is compressed separately, so the same bytes fit into every client's stream, whenever it began.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use tokio::sync::OnceCell;

use crate::{
    gzip::{GzipSum, HEADER, Piece},
    memory_budget::{MemoryBudget, OverBudget},
};

/// A delta consists mostly of digits in no order, so higher levels save almost nothing.
const LEVEL: u32 = 3;
/// Frames up to this length are compressed in place, which takes less than a millisecond.
const SHORT_BYTES: usize = 16 * 1024;

/// The bytes of one message, shared by all streams.
#[derive(Clone, Debug)]
pub(crate) struct Frame(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    plain: Bytes,
    deflated: OnceCell<Piece>,
    budget: Option<MemoryBudget>,
}

impl Frame {
    pub(crate) fn new(plain: Bytes) -> Self {
        Self(Arc::new(Forms { plain, deflated: OnceCell::new(), budget: None }))
    }

    /// A frame that is charged to a budget, in both forms.
    pub(crate) fn long(plain: Vec<u8>, budget: &MemoryBudget) -> Result<Self, OverBudget> {
        let plain = budget.charge(plain)?;
        Ok(Self(Arc::new(Forms { plain, deflated: OnceCell::new(), budget: Some(budget.clone()) })))
    }

    pub(crate) fn plain(&self) -> &Bytes {
        &self.0.plain
    }

    /// Compresses the frame at the first call; other callers wait for the same work. `None` when the process
    /// stops meanwhile, or the budget is used up.
    async fn deflated(&self) -> Option<&Piece> {
        let deflate = async || {
            let plain = self.0.plain.clone();
            if plain.len() <= SHORT_BYTES {
                return Piece::of(&plain, LEVEL).ok_or(());
            }
            // Compressing a snapshot takes long, so it must not run on a thread that serves streams.
            let piece = tokio::task::spawn_blocking(move || Piece::of(&plain, LEVEL)).await.ok().flatten();
            let mut piece = piece.ok_or(())?;
            if let Some(budget) = &self.0.budget {
                piece.blocks = budget.charge(piece.blocks).map_err(drop)?;
            }
            Ok(piece)
        };
        self.0.deflated.get_or_try_init(deflate).await.ok()
    }
}

/// The frames as one gzip file, which is complete when the frames end.
pub(crate) fn gzip(frames: impl Stream<Item = Frame>) -> impl Stream<Item = Bytes> {
    let file = stream::unfold(Some((Box::pin(frames), GzipSum::default())), |state| async move {
        let (mut frames, mut sum) = state?;
        if let Some(frame) = frames.next().await
            && let Some(piece) = frame.deflated().await
        {
            sum.add(piece);
            return Some((piece.blocks.clone(), Some((frames, sum))));
        }
        // Also ends here if a frame could not be compressed: then the process is stopping or over its budget,
        // and the client reconnects.
        Some((sum.trailer(), None))
    });
    stream::once(future::ready(HEADER)).chain(file)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use flate2::read::GzDecoder;
    use futures_util::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn frames(texts: &[Vec<u8>]) -> Vec<Frame> {
        texts.iter().map(|text| Frame::new(text.clone().into())).collect()
    }

    fn parts(frames: &[Frame]) -> Vec<Bytes> {
        gzip(stream::iter(frames.to_vec())).collect::<Vec<Bytes>>().now_or_never().unwrap()
    }

    proptest! {
        #[test]
        fn a_stream_can_be_read_from_every_frame_on(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
        ) {
            let frames = frames(&texts);
            for begin in 0..=frames.len() {
                let mut read = Vec::new();
                let file = parts(&frames[begin..]).concat();
                // The decoder checks the trailer, too.
                GzDecoder::new(&*file).read_to_end(&mut read).unwrap();
                prop_assert_eq!(read, texts[begin..].concat());
            }
        }
    }

    #[test]
    fn a_frame_can_be_read_as_soon_as_it_is_there() {
        let texts = [b"event: a\n\n".to_vec(), vec![b'x'; 10_000], b"event: b\n\n".to_vec()];
        let mut decoder = flate2::write::GzDecoder::new(Vec::new());
        let parts = parts(&frames(&texts));
        let mut parts = parts.iter();
        decoder.write_all(parts.next().unwrap()).unwrap();
        for count in 1..=texts.len() {
            decoder.write_all(parts.next().unwrap()).unwrap();
            decoder.flush().unwrap();
            assert_eq!(decoder.get_ref(), &texts[..count].concat());
        }
        decoder.write_all(parts.next().unwrap()).unwrap();
        assert_eq!((decoder.finish().unwrap().len(), parts.next()), (texts.concat().len(), None));
    }

    #[test]
    fn a_frame_is_compressed_once_for_all() {
        let frames = frames(&[vec![b'x'; 1_000]]);
        let (one, other) = (parts(&frames), parts(&frames));
        assert_eq!(one[1].as_ptr(), other[1].as_ptr());
    }
}
