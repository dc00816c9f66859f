//! Points joined to SVG paths.

/// Neighbouring points that are all known.
#[derive(Debug)]
pub(super) struct Run {
    points: Vec<(i64, i64)>,
}

/// The runs of `values`; `x` places a position, `y` a value.
pub(super) fn runs(
    values: &[Option<f64>],
    x: impl Fn(usize) -> f64,
    y: impl Fn(f64) -> f64,
) -> impl Iterator<Item = Run> {
    let mut runs = Vec::new();
    let mut points = Vec::new();
    for (at, value) in values.iter().enumerate() {
        match value {
            Some(value) => points.push((x(at).round() as i64, y(*value).round() as i64)),
            None => runs.push(std::mem::take(&mut points)),
        }
    }
    runs.push(points);
    runs.into_iter().filter(|points| !points.is_empty()).map(|points| Run { points })
}

impl Run {
    /// Adds the line through the points. A lone point becomes a short dash: a line of no length would not
    /// show.
    pub(super) fn line(&self, path: &mut String) {
        for (at, (x, y)) in self.points.iter().enumerate() {
            command(path, if at == 0 { 'M' } else { 'L' }, *x, *y);
        }
        if let [(x, y)] = self.points[..] {
            command(path, 'L', x + 1, y);
        }
    }

    /// Adds the area between the points and `floor`.
    pub(super) fn area(&self, path: &mut String, floor: f64) {
        let floor = floor.round() as i64;
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else { return };
        command(path, 'M', first.0, floor);
        for (x, y) in &self.points {
            command(path, 'L', *x, *y);
        }
        command(path, 'L', last.0, floor);
        path.push('Z');
    }
}

fn command(path: &mut String, letter: char, x: i64, y: i64) {
    path.push(letter);
    path.push_str(&x.to_string());
    path.push(' ');
    path.push_str(&y.to_string());
}
