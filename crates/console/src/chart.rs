//! Line charts as SVG made on the server; beside each is a table with the same numbers.

use askama::Template;

use crate::format;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 34.0;
/// Labels below the axis at most.
const LABELS_MAX: usize = 6;
/// Names beside each other below the chart.
const LEGEND_COLUMNS: usize = 3;
const LEGEND_HEIGHT: f64 = 18.0;
/// Lines across the chart, about.
const STEPS: f64 = 4.0;

/// A line of a chart; a hole where there is no value.
pub(crate) struct Series {
    pub name: String,
    pub points: Vec<Option<f64>>,
}

/// Lines over the same places.
#[derive(Template)]
#[template(path = "parts/chart.svg")]
pub(crate) struct Chart {
    title: String,
    description: String,
    lines: Vec<Line>,
    across: Vec<Across>,
    labels: Vec<Label>,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
}

impl askama::filters::HtmlSafe for Chart {}

struct Line {
    name: String,
    class: usize,
    paths: Vec<String>,
    dots: Vec<Dot>,
    legend_x: f64,
    legend_y: f64,
}

struct Dot {
    x: f64,
    y: f64,
    text: String,
}

struct Across {
    y: f64,
    text: String,
    is_limit: bool,
}

struct Label {
    x: f64,
    text: String,
}

impl Chart {
    /// A chart over `places` (names below the axis); `limits` are lines worth seeing, with their names.
    /// `None` when no series has any value.
    pub(crate) fn new(
        title: impl Into<String>,
        places: &[String],
        series: &[Series],
        limits: &[(String, f64)],
    ) -> Option<Self> {
        let values =
            series.iter().flat_map(|series| series.points.iter().copied().flatten()).filter(|value| value.is_finite());
        let all: Vec<f64> = values.chain(limits.iter().map(|(_, value)| *value)).collect();
        if series.iter().all(|series| series.points.iter().flatten().next().is_none()) {
            return None;
        }
        let scale = Scale::over(&all, places.len());
        let title = title.into();
        let description = describe(places, series);
        let mut across: Vec<Across> = scale
            .lines()
            .into_iter()
            .map(|(value, text)| Across { y: scale.y(value), text, is_limit: false })
            .collect();
        across.extend(limits.iter().map(|(name, value)| Across {
            y: scale.y(*value),
            text: name.clone(),
            is_limit: true,
        }));
        let every = places.len().div_ceil(LABELS_MAX).max(1);
        let labels = places
            .iter()
            .enumerate()
            .step_by(every)
            .map(|(place, text)| Label { x: scale.x(place), text: text.clone() })
            .collect();
        let lines = series.iter().enumerate().map(|(number, series)| line(number, series, places, &scale)).collect();
        Some(Self {
            title,
            description,
            lines,
            across,
            labels,
            width: WIDTH,
            height: HEIGHT + 6.0 + LEGEND_HEIGHT * series.len().div_ceil(LEGEND_COLUMNS) as f64,
            left: LEFT,
            right: WIDTH - RIGHT,
            bottom: HEIGHT - BOTTOM,
        })
    }
}

fn line(number: usize, series: &Series, places: &[String], scale: &Scale) -> Line {
    let (mut paths, mut path, mut dots) = (Vec::new(), String::new(), Vec::new());
    for (place, value) in series.points.iter().enumerate() {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            paths.extend((!path.is_empty()).then(|| std::mem::take(&mut path)));
            continue;
        };
        let (x, y) = (scale.x(place), scale.y(value));
        path.push_str(if path.is_empty() { "M" } else { " L" });
        path.push_str(&point(x, y));
        let text = format!(
            "{}: {} {}",
            places.get(place).map(String::as_str).unwrap_or_default(),
            series.name,
            format::number(value)
        );
        dots.push(Dot { x, y, text });
    }
    paths.extend((!path.is_empty()).then_some(path));
    Line {
        name: series.name.clone(),
        class: number % 6,
        paths,
        dots,
        legend_x: LEFT + 160.0 * (number % LEGEND_COLUMNS) as f64,
        legend_y: HEIGHT + 10.0 + LEGEND_HEIGHT * (number / LEGEND_COLUMNS) as f64,
    }
}

fn point(x: f64, y: f64) -> String {
    format!("{x:.1} {y:.1}")
}

/// What a reader who cannot see it hears: first, last, least and greatest of each line.
fn describe(places: &[String], series: &[Series]) -> String {
    let described = series.iter().filter_map(|series| {
        let known: Vec<(usize, f64)> =
            series.points.iter().enumerate().filter_map(|(place, value)| Some((place, (*value)?))).collect();
        let (first, last) = (known.first()?, known.last()?);
        let least = known.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
        let greatest = known.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        let name = |place: usize| places.get(place).map(String::as_str).unwrap_or_default();
        Some(format!(
            "{}: {} at {}, {} at {}, between {} and {}",
            series.name,
            format::number(first.1),
            name(first.0),
            format::number(last.1),
            name(last.0),
            format::number(least),
            format::number(greatest)
        ))
    });
    described.collect::<Vec<_>>().join("; ")
}

struct Scale {
    low: f64,
    high: f64,
    /// From one line across to the next.
    step: f64,
    places: usize,
}

/// The next 1, 2 or 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| step <= times * power * 1.000_001).unwrap_or(10.0);
    times * power
}

impl Scale {
    fn over(values: &[f64], places: usize) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let room = ((high - low) * 0.05).max(high.abs().max(0.1) * 0.01);
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let (low, high) = ((low - room).max(floor), high + room);
        let step = round_step((high - low) / STEPS);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step, places }
    }

    /// Round values across the chart, with as many decimals as distinguish them.
    fn lines(&self) -> Vec<(f64, String)> {
        let places = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        let count = ((self.high - self.low) / self.step).round() as usize;
        let values = (0..=count).map(|line| self.low + line as f64 * self.step);
        values.map(|value| (value, format!("{value:.places$}"))).collect()
    }

    fn x(&self, place: usize) -> f64 {
        let room = WIDTH - LEFT - RIGHT - 40.0;
        let share = if self.places > 1 { place as f64 / (self.places - 1) as f64 } else { 0.5 };
        LEFT + 20.0 + room * share
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share
    }
}
