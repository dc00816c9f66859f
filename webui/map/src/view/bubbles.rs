//! Clusters: discs with their numbers, in rings that are divided as the nodes' statuses are.

use std::f64::consts::{FRAC_PI_2, TAU};

use wasm_bindgen::UnwrapThrowExt as _;

use super::brush::Brush;
use crate::cluster::{Cluster, ClusterSummary};
use crate::projection::Point;
use crate::scene::Scene;
use crate::{Markers, STATUSES};
use tidemap_format::count;

/// However small the share of offline nodes is, their part of the ring stays visible.
const MIN_ARC: f64 = 0.35;

/// A cluster in view.
pub(super) struct Bubble {
    pub(super) at: Point,
    pub(super) radius: f64,
    pub(super) summary: ClusterSummary,
    count: usize,
}

impl Bubble {
    /// All that are in view, or so near that their labels are.
    pub(super) fn in_view(scene: &Scene, markers: &Markers<'_>) -> Vec<Self> {
        let projector = scene.viewport().projector();
        let (right, bottom) = (scene.viewport().width(), scene.viewport().height());
        let clusters = scene.clusters();
        let bubble = |cluster: &Cluster| {
            let (at, radius) = (projector.to_point(cluster.centre), cluster.radius_px);
            // Its label is a little wider than the bubble itself.
            let near = |at: f64, length: f64| at > -60.0 && at < length + 60.0;
            (near(at.x, right) && near(at.y, bottom)).then(|| Self {
                at,
                radius,
                summary: clusters.summary(cluster, scene.places(), markers),
                count: cluster.count(),
            })
        };
        clusters.iter().filter_map(bubble).collect()
    }

    /// Whether these are drawn like those. Rates, which change all the time, do not affect a bubble.
    pub(super) fn look_alike(these: &[Self], those: &[Self]) -> bool {
        let look = |bubble: &Self| (bubble.at, bubble.summary.by_status);
        these.iter().map(look).eq(those.iter().map(look))
    }

    /// The size of its number's letters.
    fn size_px(&self) -> u32 {
        if self.radius < 11.0 || self.count > 999 { 11 } else { 12 }
    }
}

impl Brush<'_> {
    /// Paints bubbles onto a clear canvas.
    ///
    /// All of one colour come together: handing a colour or a font to the browser takes longer than drawing a
    /// circle.
    pub(super) fn bubbles(&self, bubbles: &[Bubble]) {
        let context = self.context;
        context.set_fill_style_str(&self.theme.surface);
        for Bubble { at, radius, .. } in bubbles {
            self.circle(*at, radius + 1.0);
            context.fill();
        }
        context.set_line_width(3.0);
        for status in 0..STATUSES as u8 {
            context.set_stroke_style_str(&self.theme.status(status));
            for Bubble { at, radius, summary, .. } in bubbles {
                let (from, to) = arc(summary, status);
                if from < to {
                    context.begin_path();
                    context.arc(at.x, at.y, radius - 1.5, from, to).unwrap_throw();
                    context.stroke();
                }
            }
        }
        self.centred();
        context.set_fill_style_str(&self.theme.text);
        for size_px in [11, 12] {
            self.font(600, size_px);
            for bubble in bubbles.iter().filter(|bubble| bubble.size_px() == size_px) {
                // Four digits at most; the tip and the list have the number as it is.
                let nodes = bubble.count as u64;
                let number = if nodes < 10_000 { nodes.to_string() } else { count(nodes / 1000) + "k" };
                self.write(&number, bubble.at.x, bubble.at.y + 0.5);
            }
        }
    }
}

/// Where a status's part of the ring begins and ends. What is wrong comes first, from the top, and is never
/// too small to be seen.
fn arc(summary: &ClusterSummary, status: u8) -> (f64, f64) {
    let total: usize = summary.by_status.iter().sum();
    let part = |status: usize| match summary.by_status[status] {
        0 => 0.0,
        nodes => (nodes as f64 / total.max(1) as f64 * TAU).max(MIN_ARC),
    };
    let offline = part(2).min(TAU);
    let wrong = (offline + part(1)).min(TAU);
    let (from, to) = match status {
        2 => (0.0, offline),
        1 => (offline, wrong),
        _ => (wrong, TAU),
    };
    (from - FRAC_PI_2, to - FRAC_PI_2)
}
