//! The limit of open files and connections.

/// Raises the soft limit to the hard limit: many systems start with 1,024, fewer than thousands of browsers
/// need. Returns the limit that then applies, if there is one.
pub fn raise_limit() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => {
                tracing::debug!(limit = ?limit.maximum, "limit of open files");
                limit.maximum
            }
            Err(error) => {
                tracing::warn!(%error, "the limit of open files stays at {:?}", limit.current);
                limit.current
            }
        }
    }
    #[cfg(not(unix))]
    None
}
