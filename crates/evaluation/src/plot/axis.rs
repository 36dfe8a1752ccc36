//! Axes: the values they cover, their ticks, and the pixels of values.

/// Steps between the ticks of numbers, about.
const STEPS: f64 = 5.0;
/// Names that are written along an axis, at most.
const NAMES_MAX: usize = 5;
/// Pixels between the end of an axis of names and the first and last place, so that half a name fits.
const NAME_MARGIN: f64 = 20.0;

/// What one side of a chart measures.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    label: String,
    least: f64,
    most: f64,
    /// Names of the places 0, 1, 2, …; empty for an axis of numbers.
    names: Vec<String>,
}

impl Axis {
    /// Numbers of a range; values outside are drawn at its ends. An empty or infinite range is replaced by −1 to 1.
    /// An empty label is not drawn.
    pub fn range(label: impl Into<String>, least: f64, most: f64) -> Self {
        let is_wide = most > least && (most - least).is_finite();
        let (least, most) = if is_wide { (least, most) } else { (-1.0, 1.0) };
        Self { label: label.into(), least, most, names: Vec::new() }
    }

    /// Numbers from 0 to 1.
    pub fn unit(label: impl Into<String>) -> Self {
        Self::range(label, 0.0, 1.0)
    }

    /// Numbers of the range around all finite `values`, with space on both sides and round ends. The range starts at 0
    /// or above when no value is negative.
    pub fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let space = ((high - low) * 0.05).max(high.abs().max(0.1) * 0.01);
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let (low, high) = ((low - space).max(floor), high + space);
        let step = round_step(high - low);
        Self::range(label, (low / step).floor() * step, (high / step).ceil() * step)
    }

    /// Places with names, in equal distances: the value 0 is the first place, 1 the second.
    pub fn names(names: Vec<String>) -> Self {
        let last = names.len().saturating_sub(1) as f64;
        Self { names, ..Self::range("", 0.0, last) }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// The scale of the axis from one pixel coordinate to another.
    pub(super) fn scale(&self, from: f64, to: f64) -> Scale {
        let margin = if self.has_names() { NAME_MARGIN * (to - from).signum() } else { 0.0 };
        Scale { least: self.least, most: self.most, from: from + margin, to: to - margin }
    }

    /// About five round numbers, or at most five of the names, each with its text.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        if self.has_names() {
            let every = self.names.len().div_ceil(NAMES_MAX);
            let places = self.names.iter().enumerate().step_by(every);
            return places.map(|(place, name)| (place as f64, name.clone())).collect();
        }
        let step = round_step(self.most - self.least);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.least / step - 1e-9).ceil() as i64;
        let last = (self.most / step + 1e-9).floor() as i64;
        let text = |value: f64| {
            let is_plain = decimals <= 5 && value.abs() < 1e7;
            if is_plain { format!("{:.decimals$}", value + 0.0) } else { format!("{value:.1e}") }
        };
        (first..=last.min(first + 20)).map(|index| index as f64 * step).map(|value| (value, text(value))).collect()
    }

    /// The text of one value: the name of its place, or the number.
    pub(super) fn text(&self, value: f64) -> String {
        match self.names.get(value as usize) {
            Some(name) => name.clone(),
            None if value.fract() == 0.0 && value.abs() < 1e7 => format!("{value:.0}"),
            None if value.abs() < 1e-4 || value.abs() >= 1e7 => format!("{value:.3e}"),
            None => format!("{value:.4}"),
        }
    }
}

/// The distance of ticks that divides a span into about five: 1, 2 or 5 times a power of ten.
fn round_step(span: f64) -> f64 {
    let rough = span / STEPS;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

/// A linear scale from values to pixels.
pub(super) struct Scale {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// The pixel coordinate of a value, clamped to the axis.
    pub(super) fn pixel(&self, value: f64) -> f64 {
        let share = (value.clamp(self.least, self.most) - self.least) / (self.most - self.least);
        self.from + share * (self.to - self.from)
    }
}
