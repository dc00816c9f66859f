//! What lies above markers and clusters: the clusters' rates, the spread fan, the selected node's ring.

use wasm_bindgen::UnwrapThrowExt as _;
use web_sys::CanvasRenderingContext2d;

use super::brush::Brush;
use super::bubbles::Bubble;
use crate::Markers;
use crate::cluster::ClusterSummary;
use crate::fanout;
use crate::label::{Extent, Labels};
use crate::projection::Point;
use crate::rank;
use crate::raster::{PixelRect, Shape, marker_radius_px};
use crate::scene::{Form, Opened, Scene};
use tidemap_format::{Headline, Headliner};

const LABEL_PX: u32 = 11;
const LABEL_LINE_PX: f64 = 13.0;
/// After this many bubbles in a row without room for their rates, no more are tried.
const MAX_MISSES: u32 = 60;

/// How wide rates are in the font that was chosen. Measuring each would take longer than finding its place.
struct Ruler {
    digit: f64,
    point: f64,
    other: f64,
}

impl Ruler {
    fn new(context: &CanvasRenderingContext2d) -> Self {
        let px = |text: &str| context.measure_text(text).map_or(0.0, |metrics| metrics.width());
        Self { digit: px("0"), point: px("."), other: px("↓ MB/s") / 6.0 }
    }

    fn px(&self, text: &str) -> f64 {
        let px = |letter: char| match letter {
            '0'..='9' => self.digit,
            '.' | ',' => self.point,
            _ => self.other,
        };
        text.chars().map(px).sum()
    }
}

impl Brush<'_> {
    /// Paints all of the overlay onto its clear canvas.
    pub(super) fn overlay(&self, scene: &Scene, markers: &Markers<'_>, bubbles: &[Bubble]) {
        // A font alone makes the browser work out the page's styles.
        if !bubbles.is_empty() {
            self.labels(bubbles);
        }
        if let Some(opened @ Opened { form: Form::Fan, .. }) = scene.opened() {
            self.fan(opened, scene, markers);
        }
        if let Some((row, at)) = markers.selected.and_then(|row| Some((row, scene.point_of(row)?))) {
            self.selection(row, at, markers);
        }
    }

    /// The summed rates beside each bubble that has room for them; those that move most come first.
    fn labels(&self, bubbles: &[Bubble]) {
        let mut taken = Labels::default();
        for Bubble { at, radius, .. } in bubbles {
            taken.block(Extent::round(at.x, at.y, radius + 1.0));
        }
        let volume = |bubble: &Bubble| bubble.summary.rx + bubble.summary.tx;
        let order = rank::ascending(bubbles.iter().map(|bubble| rank::descending(volume(bubble))));
        let order = order.into_iter().map(|number| &bubbles[number as usize]);
        self.centred();
        self.font(500, LABEL_PX);
        let ruler = Ruler::new(self.context);
        // A label that was moved inside the map must not appear to belong to a bubble outside.
        let in_view = |bubble: &&Bubble| (0.0..=self.width).contains(&bubble.at.x);
        let mut labels: Vec<([String; 2], Point)> = Vec::new();
        let mut misses = 0;
        for bubble in order.filter(in_view).filter(|bubble| bubble.summary.by_status[0] > 0) {
            let ClusterSummary { rx, tx, .. } = bubble.summary;
            let rates = [("↓ ", rx), ("↑ ", tx)].map(|(arrow, rate)| arrow.to_owned() + &self.rate(rate));
            let half = f64::max(ruler.px(&rates[0]), ruler.px(&rates[1])) / 2.0 + 2.0;
            let places = label_places(bubble, half).map(|at| Point::new(self.inside(at.x, half), at.y));
            let extents = places.map(|at| Extent {
                left: at.x - half,
                top: at.y - LABEL_LINE_PX,
                right: at.x + half,
                bottom: at.y + LABEL_LINE_PX,
            });
            misses += 1;
            if let Some(number) = taken.take(&extents, |extent| self.ink(extent)) {
                labels.push((rates, places[number]));
                misses = 0;
            }
            // The map is full: what comes now moves less, and would hardly find room.
            if misses > MAX_MISSES {
                break;
            }
        }
        self.write_labels(&labels);
    }

    /// Writes rates so that they are legible on land, sea and borders alike.
    fn write_labels(&self, labels: &[([String; 2], Point)]) {
        let context = self.context;
        context.set_stroke_style_str(&self.theme.surface);
        context.set_line_join("round");
        let y = |at: &Point, line: usize| at.y + (line as f64 - 0.5) * LABEL_LINE_PX;
        for (rates, at) in labels {
            for (line, rate) in rates.iter().enumerate() {
                context.stroke_text(rate, at.x, y(at, line)).unwrap_throw();
            }
        }
        for (line, colour) in [&self.theme.down, &self.theme.up].into_iter().enumerate() {
            context.set_fill_style_str(colour);
            for (rates, at) in labels {
                self.write(&rates[line], at.x, y(at, line));
            }
        }
    }

    /// How much of the markers a label would cover.
    fn ink(&self, extent: &Extent) -> usize {
        let pixel = |length: f64| (length * self.ratio) as i32;
        self.pixels.ink(PixelRect {
            left: pixel(extent.left),
            top: pixel(extent.top),
            right: pixel(extent.right),
            bottom: pixel(extent.bottom),
        })
    }

    /// At the map's edge a label is moved inside, rather than cut off.
    fn inside(&self, middle: f64, half: f64) -> f64 {
        middle.min(self.width - half - 2.0).max(half + 2.0)
    }

    /// A sum as the page's headlines write it: in gigabytes from a thousand megabytes on.
    fn rate(&self, bytes_per_second: f64) -> String {
        let Headline { value, unit } = Headliner::default().write(Some(bytes_per_second), self.unit);
        value + " " + unit
    }

    /// The nodes of one place spread round it.
    fn fan(&self, opened: &Opened, scene: &Scene, markers: &Markers<'_>) {
        let centre = scene.viewport().to_point(opened.at);
        let context = self.context;
        context.set_global_alpha(0.94);
        context.set_fill_style_str(&self.theme.surface);
        self.circle(centre, fanout::radius_px(opened.rows.len()));
        context.fill();
        context.set_global_alpha(1.0);
        context.set_stroke_style_str(&self.theme.border);
        context.set_line_width(1.0);
        context.stroke();
        let points: Vec<Point> = fanout::offsets(opened.rows.len())
            .into_iter()
            .map(|offset| Point::new(centre.x + offset.x, centre.y + offset.y))
            .collect();
        context.set_stroke_style_str(&self.theme.muted);
        context.begin_path();
        for to in &points {
            context.move_to(centre.x, centre.y);
            context.line_to(to.x, to.y);
        }
        context.stroke();
        context.set_fill_style_str(&self.theme.muted);
        self.circle(centre, 3.0);
        context.fill();
        for (&row, &at) in opened.rows.iter().zip(&points) {
            self.marker(row, at, markers);
        }
    }

    /// The selected node above all others, in a ring.
    fn selection(&self, row: usize, at: Point, markers: &Markers<'_>) {
        let radius = self.marker(row, at, markers) + 5.0;
        self.context.set_stroke_style_str(&self.theme.surface);
        self.context.set_line_width(5.0);
        self.circle(at, radius);
        self.context.stroke();
        self.context.set_stroke_style_str(&self.theme.text);
        self.context.set_line_width(2.0);
        self.circle(at, radius);
        self.context.stroke();
    }

    /// A node's marker as the pixel buffer has it, only larger; gives its radius.
    fn marker(&self, row: usize, at: Point, markers: &Markers<'_>) -> f64 {
        let status = markers.status(row);
        let shape = Shape::of_status(status);
        let radius = f64::from(shape.radius_px(marker_radius_px(markers.volume(row))).max(4.0));
        let (context, colour) = (self.context, self.theme.status(status));
        context.set_fill_style_str(&self.theme.surface);
        self.circle(at, radius + 2.0);
        context.fill();
        context.set_fill_style_str(&colour);
        context.set_stroke_style_str(&colour);
        context.set_line_width(2.0);
        match shape {
            Shape::Disc => {
                self.circle(at, radius);
                context.fill();
            }
            Shape::Ring => {
                self.circle(at, radius - 1.0);
                context.stroke();
            }
            Shape::Cross => {
                let arm = radius * 0.8;
                context.begin_path();
                context.move_to(at.x - arm, at.y - arm);
                context.line_to(at.x + arm, at.y + arm);
                context.move_to(at.x - arm, at.y + arm);
                context.line_to(at.x + arm, at.y - arm);
                context.stroke();
            }
        }
        radius
    }
}

/// Where a label's middle may go, best first: below its bubble, above, to the right, to the left, and between
/// these.
fn label_places(Bubble { at, radius, .. }: &Bubble, half: f64) -> [Point; 8] {
    let (down, across) = (radius + 2.0 + LABEL_LINE_PX, radius + 2.0 + half);
    let (low, side) = (down - radius / 3.0, across - radius / 3.0);
    [
        (0.0, down),
        (0.0, -down),
        (across, 0.0),
        (-across, 0.0),
        (side, low),
        (-side, low),
        (side, -low),
        (-side, -low),
    ]
    .map(|(x, y)| Point::new(at.x + x, at.y + y))
}
