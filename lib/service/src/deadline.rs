//! Awaiting with a deadline.

use std::time::Duration;

use anyhow::Context;

/// Awaits a result for at most `limit`. After that, `missed` is the error.
pub async fn within<T, E>(
    limit: Duration,
    missed: &'static str,
    result: impl Future<Output = Result<T, E>>,
) -> anyhow::Result<T>
where
    E: Into<anyhow::Error>,
{
    tokio::time::timeout(limit, result).await.context(missed)?.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::{future::pending, io};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_late_result_is_an_error_that_names_what_was_missed() {
        let limit = Duration::from_secs(5);
        let in_time = async {
            tokio::time::sleep(limit / 2).await;
            Ok::<_, io::Error>(7)
        };
        assert_eq!(within(limit, "no answer", in_time).await.unwrap(), 7);
        let late = within(limit, "no answer", pending::<io::Result<()>>()).await.unwrap_err();
        assert!(late.to_string() == "no answer", "{late:#}");
        let failed = async { Err::<(), _>(io::Error::other("broken")) };
        assert_eq!(within(limit, "no answer", failed).await.unwrap_err().to_string(), "broken");
    }
}
