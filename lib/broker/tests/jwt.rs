//! The permissions that an operator's signatures grant, tested on real nats-servers.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod jwt {
    mod budget;
    pub(crate) mod fleet;
    mod permissions;
    mod revocation;
}

#[path = "parts/user.rs"]
mod user;
#[path = "parts/wait.rs"]
mod wait;
