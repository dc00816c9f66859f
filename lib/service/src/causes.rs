//! An error with its causes, as one line.

use std::{error::Error, fmt};

/// An error and its causes, separated by colons. `{error:#}` of anyhow does the same, but says a cause twice
/// when the error before it has named it already, as async-nats' errors do.
#[derive(Clone, Copy)]
pub struct Causes<'a>(&'a (dyn Error + 'static));

/// The error with its causes, for a message. An [`anyhow::Error`] is given as `&*error`.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> Causes<'a> {
    Causes(error)
}

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let words = cause.to_string();
            if !said.ends_with(&words) {
                write!(f, ": {words}")?;
                said = words;
            }
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_nats::{ConnectError, ConnectErrorKind};

    #[test]
    fn every_cause_is_said_once() {
        let refused = std::io::Error::other("refused");
        let connect = ConnectError::with_source(ConnectErrorKind::Io, refused);
        let error = anyhow::Error::new(connect).context("no broker").context("cannot start");
        assert_eq!(causes(&*error).to_string(), "cannot start: no broker: IO error: refused");
        assert_eq!(causes(&*anyhow::anyhow!("a").context("b: a").context("c")).to_string(), "c: b: a");
        let alone = anyhow::anyhow!("alone");
        assert_eq!(causes(&*alone).to_string(), "alone");
    }
}
