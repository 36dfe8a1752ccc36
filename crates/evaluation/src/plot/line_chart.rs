//! Line charts.

use std::fmt::Write;

use super::MAX_SERIES;
use super::svg::{Anchor, COLOURS, DASHES, Svg, short};

const WIDTH: f64 = 480.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
const PLOT_HEIGHT: f64 = 300.0;
/// Height of tick labels, axis label and space above the legend.
const BELOW: f64 = 52.0;
const LEGEND_LINE: f64 = 19.0;
const LEGEND_NAME: usize = 64;

/// Series of lines over two axes, with a legend below.
pub(super) struct LineChart {
    pub(super) title: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) x_range: (f64, f64),
    pub(super) y_range: (f64, f64),
    /// A dotted reference line; infinite coordinates extend to the edge.
    pub(super) guide: Option<[(f64, f64); 2]>,
    pub(super) series: Vec<Series>,
}

/// One line of a chart.
pub(super) struct Series {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) has_marks: bool,
    pub(super) is_filled: bool,
}

impl LineChart {
    /// A chart whose axes both run from 0 to 1.
    pub(super) fn unit(series: Vec<Series>) -> Self {
        Self { title: "", x: "", y: "", x_range: (0.0, 1.0), y_range: (0.0, 1.0), guide: None, series }
    }

    pub(super) fn draw(&self) -> String {
        let shown = &self.series[..self.series.len().min(MAX_SERIES)];
        let height = TOP + PLOT_HEIGHT + BELOW + LEGEND_LINE * shown.len() as f64 + 6.0;
        let mut svg = Svg::new(WIDTH, height, self.title, &self.description(shown));
        let x = Axis::new(self.x_range, LEFT, WIDTH - RIGHT);
        let y = Axis::new(self.y_range, TOP + PLOT_HEIGHT, TOP);
        svg.text(LEFT, 24.0, Anchor::Start, " font-size=\"15\" font-weight=\"600\"", self.title);
        self.axes(&mut svg, &x, &y);
        if let Some([from, to]) = self.guide {
            let pixels = |point: (f64, f64)| (x.pixel(point.0), y.pixel(point.1));
            svg.rule(pixels(from), pixels(to), " stroke-opacity=\"0.55\" stroke-dasharray=\"2 4\"");
        }
        for (index, series) in shown.iter().enumerate().rev() {
            series.draw(&mut svg, &x, &y, index);
        }
        for (index, series) in shown.iter().enumerate() {
            let line = TOP + PLOT_HEIGHT + BELOW + LEGEND_LINE * index as f64 + 4.0;
            svg.push(format_args!(
                "<line x1=\"{LEFT}\" y1=\"{line:.1}\" x2=\"{:.1}\" y2=\"{line:.1}\" stroke=\"{}\" stroke-width=\"2.2\" stroke-dasharray=\"{}\"/>\n",
                LEFT + 30.0,
                COLOURS[index],
                DASHES[index]
            ));
            svg.text(LEFT + 38.0, line + 4.0, Anchor::Start, "", &short(&series.label, LEGEND_NAME));
        }
        svg.finish()
    }

    fn description(&self, shown: &[Series]) -> String {
        let labels: Vec<&str> = shown.iter().map(|series| series.label.as_str()).collect();
        let mut description = format!("{} by {}. {}.", self.y, self.x, labels.join("; "));
        if shown.len() < self.series.len() {
            let _ = write!(description, " {} more are not shown.", self.series.len() - shown.len());
        }
        description
    }

    fn axes(&self, svg: &mut Svg, x: &Axis, y: &Axis) {
        let bottom = TOP + PLOT_HEIGHT;
        let end = WIDTH - RIGHT;
        for (value, label) in x.ticks() {
            let pixel = x.pixel(value);
            svg.rule((pixel, TOP), (pixel, bottom), " stroke-opacity=\"0.12\"");
            svg.text(pixel, bottom + 17.0, Anchor::Middle, " font-size=\"11\" fill-opacity=\"0.8\"", &label);
        }
        for (value, label) in y.ticks() {
            let pixel = y.pixel(value);
            svg.rule((LEFT, pixel), (end, pixel), " stroke-opacity=\"0.12\"");
            svg.text(LEFT - 7.0, pixel + 4.0, Anchor::End, " font-size=\"11\" fill-opacity=\"0.8\"", &label);
        }
        svg.rule((LEFT, bottom), (end, bottom), " stroke-opacity=\"0.6\"");
        svg.rule((LEFT, TOP), (LEFT, bottom), " stroke-opacity=\"0.6\"");
        svg.text(f64::midpoint(LEFT, end), bottom + 35.0, Anchor::Middle, "", self.x);
        let middle = f64::midpoint(TOP, bottom);
        svg.text(15.0, middle, Anchor::Middle, &format!(" transform=\"rotate(-90 15 {middle:.1})\""), self.y);
    }
}

impl Series {
    fn draw(&self, svg: &mut Svg, x: &Axis, y: &Axis, index: usize) {
        let mut path = String::with_capacity(self.points.len() * 12);
        for (index, point) in self.points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", x.pixel(point.0), y.pixel(point.1));
        }
        let (fill, fill_opacity) = if self.is_filled { (COLOURS[index], "0.18") } else { ("none", "1") };
        svg.push(format_args!(
            "<path d=\"{path}\" fill=\"{fill}\" fill-opacity=\"{fill_opacity}\" stroke=\"{}\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke-dasharray=\"{}\"/>\n",
            COLOURS[index], DASHES[index]
        ));
        for point in self.points.iter().filter(|_| self.has_marks) {
            svg.push(format_args!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{}\"/>\n",
                x.pixel(point.0),
                y.pixel(point.1),
                COLOURS[index]
            ));
        }
    }
}

/// A linear scale from values to pixels.
pub(super) struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis over the range; an empty or infinite range is replaced by −1 to 1.
    pub(super) fn new((least, most): (f64, f64), from: f64, to: f64) -> Self {
        let is_wide = most > least && (most - least).is_finite();
        let (least, most) = if is_wide { (least, most) } else { (-1.0, 1.0) };
        Self { least, most, from, to }
    }

    /// The pixel coordinate of a value, clamped to the axis.
    fn pixel(&self, value: f64) -> f64 {
        let share = (value.clamp(self.least, self.most) - self.least) / (self.most - self.least);
        self.from + share * (self.to - self.from)
    }

    /// About five round values on the axis, with their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let rough = (self.most - self.least) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
        let step = factor * power;
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.least / step - 1e-9).ceil() as i64;
        let last = (self.most / step + 1e-9).floor() as i64;
        let label = |value: f64| {
            let is_plain = decimals <= 5 && value.abs() < 1e7;
            if is_plain { format!("{:.decimals$}", value + 0.0) } else { format!("{value:.1e}") }
        };
        (first..=last.min(first + 20)).map(|index| index as f64 * step).map(|value| (value, label(value))).collect()
    }
}
