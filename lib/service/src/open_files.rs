//! How many files and connections a process may have open.

/// Raises the soft limit to the hard one: many systems begin with 1,024, which thousands of browsers exceed. Returns the
/// limit that is in force then, if there is one.
pub fn raise_limit() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => {
                tracing::debug!(limit = ?limit.maximum, "files that may be open");
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
