//! Line charts as SVG made on the server; a table with the same numbers stands beside each.

use askama::Template;

use crate::format;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 34.0;
/// Labels below the axis at most.
const LABELS_MAX: usize = 8;
/// Lines across the chart.
const STEPS: usize = 4;

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
    legend_y: f64,
}

impl askama::filters::HtmlSafe for Chart {}

struct Line {
    name: String,
    class: usize,
    paths: Vec<String>,
    dots: Vec<Dot>,
    legend_x: f64,
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
    pub(crate) fn new(title: impl Into<String>, places: &[String], series: &[Series], limits: &[(String, f64)]) -> Option<Self> {
        let values = series.iter().flat_map(|series| series.points.iter().copied().flatten()).filter(|value| value.is_finite());
        let all: Vec<f64> = values.chain(limits.iter().map(|(_, value)| *value)).collect();
        if series.iter().all(|series| series.points.iter().flatten().next().is_none()) {
            return None;
        }
        let scale = Scale::over(&all, places.len());
        let title = title.into();
        let description = describe(places, series);
        let across = (0..=STEPS).map(|step| scale.low + (scale.high - scale.low) * step as f64 / STEPS as f64);
        let mut across: Vec<Across> = across.map(|value| Across { y: scale.y(value), text: format::number(value), is_limit: false }).collect();
        across.extend(limits.iter().map(|(name, value)| Across { y: scale.y(*value), text: name.clone(), is_limit: true }));
        let every = places.len().div_ceil(LABELS_MAX).max(1);
        let labels = places.iter().enumerate().step_by(every).map(|(place, text)| Label { x: scale.x(place), text: text.clone() }).collect();
        let lines = series.iter().enumerate().map(|(number, series)| line(number, series, places, &scale)).collect();
        Some(Self {
            title,
            description,
            lines,
            across,
            labels,
            width: WIDTH,
            height: HEIGHT + 24.0,
            left: LEFT,
            right: WIDTH - RIGHT,
            bottom: HEIGHT - BOTTOM,
            legend_y: HEIGHT + 10.0,
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
        path.push_str(&format!("{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { " L" }));
        let text = format!("{}: {} {}", places.get(place).map(String::as_str).unwrap_or_default(), series.name, format::number(value));
        dots.push(Dot { x, y, text });
    }
    paths.extend((!path.is_empty()).then_some(path));
    Line { name: series.name.clone(), class: number % 6, paths, dots, legend_x: LEFT + 150.0 * number as f64 }
}

/// What a reader who cannot see it hears: first, last, least and greatest of each line.
fn describe(places: &[String], series: &[Series]) -> String {
    let told = series.iter().filter_map(|series| {
        let known: Vec<(usize, f64)> = series.points.iter().enumerate().filter_map(|(place, value)| Some((place, (*value)?))).collect();
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
    told.collect::<Vec<_>>().join("; ")
}

struct Scale {
    low: f64,
    high: f64,
    places: usize,
}

impl Scale {
    fn over(values: &[f64], places: usize) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let room = ((high - low) * 0.1).max(high.abs().max(0.1) * 0.02);
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Self { low: (low - room).max(floor), high: high + room, places }
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
