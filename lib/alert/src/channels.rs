//! Channels, as a file declares them.

use serde::Deserialize;
use tidemap_traffic::document::Checked;
use toml::Spanned;

/// Who is notified.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Channels;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelToml {}

pub(crate) fn read(_channels: &[Spanned<ChannelToml>]) -> Checked<Channels> {
    Ok(Channels)
}
