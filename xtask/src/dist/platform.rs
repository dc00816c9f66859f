//! What a release is made for.

use std::env::consts;

/// A processor architecture, by everybody's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Platform {
    /// As Rust, the kernel and rpm call it.
    pub(super) arch: &'static str,
    /// As Debian calls it.
    pub(super) debian: &'static str,
    /// The platform of the wheel that has nats-server.
    pub(super) wheel: &'static str,
}

/// All of them.
pub(super) const ALL: [Platform; 2] = [
    Platform { arch: "x86_64", debian: "amd64", wheel: "manylinux_2_28_x86_64" },
    Platform { arch: "aarch64", debian: "arm64", wheel: "manylinux_2_28_aarch64" },
];

impl Platform {
    /// The one of this machine.
    pub(super) fn here() -> Option<Self> {
        ALL.into_iter().find(|platform| platform.arch == consts::ARCH)
    }

    /// What is compiled for: programs that need no C library of their host.
    pub(super) fn target(self) -> String {
        format!("{}-unknown-linux-musl", self.arch)
    }
}
