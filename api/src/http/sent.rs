//! The body of a request. It is read only where a route takes one.

use std::{convert::Infallible, future, pin::pin, time::Duration};

use futures_util::{Stream, StreamExt};
use warp::{Buf, Filter};

/// The longest body.
pub(super) const MAX_BYTES: usize = 4 * 1024;
/// A client that has not sent its body by then gets no answer to it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The body of a request, unread.
pub(super) fn body()
-> impl Filter<Extract = (Option<impl Stream<Item = Result<impl Buf, warp::Error>>>,), Error = Infallible> + Clone
{
    // It is there unless another filter has taken it.
    warp::body::stream().map(Some).or_else(|_| future::ready(Ok::<_, Infallible>((None,))))
}

/// A whole body; `None` when it is longer than [`MAX_BYTES`], breaks off or does not come.
pub(super) async fn read<B: Buf>(
    body: Option<impl Stream<Item = Result<B, warp::Error>>>,
) -> Option<Vec<u8>> {
    let mut body = pin!(body?);
    let whole = async {
        let mut whole = Vec::new();
        while let Some(part) = body.next().await {
            let mut part = part.ok()?;
            if whole.len() + part.remaining() > MAX_BYTES {
                return None;
            }
            whole.extend_from_slice(&part.copy_to_bytes(part.remaining()));
        }
        Some(whole)
    };
    tokio::time::timeout(TIMEOUT, whole).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;

    use super::*;

    async fn whole(parts: &[usize]) -> Option<usize> {
        let parts = parts.iter().map(|length| Ok(Bytes::from(vec![b'x'; *length])));
        read(Some(stream::iter(parts))).await.map(|body| body.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_up_to_its_bound_and_not_waited_for_for_ever() {
        assert_eq!(whole(&[]).await, Some(0));
        assert_eq!(whole(&[4_000, 96]).await, Some(4_096));
        assert_eq!(whole(&[4_000, 97]).await, None);
        let stuck = stream::pending::<Result<Bytes, warp::Error>>();
        assert_eq!(read(Some(stuck)).await, None);
    }
}
