//! The style sheet's colours for canvases, which cannot use custom properties.

use web_sys::HtmlElement;

use super::dom::{create, style, window};
use crate::colour::{self, Rgb};
use crate::raster::Palette;

/// Colours and the font.
#[derive(Clone, Debug, Default)]
pub(super) struct Theme {
    pub(super) bg: String,
    pub(super) surface: String,
    pub(super) land: String,
    pub(super) border: String,
    pub(super) text: String,
    pub(super) muted: String,
    pub(super) down: String,
    pub(super) up: String,
    pub(super) font: String,
    pub(super) palette: Palette,
}

impl Theme {
    /// The style sheet's present values. A custom property may be any expression, so an element gets each as
    /// its colour, and the computed colour is read.
    pub(super) fn read(root: &HtmlElement) -> Self {
        let probe = create(root, "span", "map-probe");
        let computed = window().get_computed_style(&probe).ok().flatten();
        let value = |property: &str| {
            computed.as_ref().and_then(|style| style.get_property_value(property).ok()).unwrap_or_default()
        };
        let rgb = |token: &str| -> Rgb {
            style(&probe, "color", token);
            colour::parse(&value("color")).unwrap_or_default()
        };
        let css = |token: &str| colour::css(rgb(token));
        let theme = Self {
            bg: css("var(--bg)"),
            surface: css("var(--surface)"),
            land: css("var(--land)"),
            border: css("var(--border)"),
            text: css("var(--text)"),
            muted: css("var(--muted)"),
            down: css("var(--down)"),
            up: css("var(--up)"),
            font: value("font-family"),
            palette: Palette {
                online: rgb("var(--online)"),
                warning: rgb("var(--warning)"),
                offline: rgb("var(--offline)"),
                halo: rgb("var(--surface)"),
            },
        };
        probe.remove();
        theme
    }

    /// The status's colour, by its number.
    pub(super) fn status(&self, status: u8) -> String {
        colour::css(match status {
            0 => self.palette.online,
            2 => self.palette.offline,
            _ => self.palette.warning,
        })
    }
}
