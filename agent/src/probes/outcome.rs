//! How a probe ends.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// After this time.
    Answered(Duration),
    /// No answer came, or one that refuses.
    Lost,
    /// Nothing could be sent, for this reason. That says nothing about the target.
    NotPossible(String),
}

impl Outcome {
    /// What an error of sending means: nothing was sent where a rule of this host forbids it, or where it has
    /// no port or descriptor left. Otherwise the network says that the target cannot be reached.
    pub(super) fn of_error(error: &io::Error) -> Self {
        const TOO_MANY_FILES: [i32; 2] = [23, 24];
        let is_local = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::AddrNotAvailable)
            || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code));
        if is_local { Self::NotPossible(format!("nothing is sent: {error}")) } else { Self::Lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_host_did_not_send_says_nothing_about_the_target() {
        for (code, is_lost) in
            [(13, false), (1, false), (23, false), (24, false), (99, false), (111, true), (113, true)]
        {
            let outcome = Outcome::of_error(&io::Error::from_raw_os_error(code));
            assert_eq!(outcome == Outcome::Lost, is_lost, "{code}: {outcome:?}");
        }
    }
}
