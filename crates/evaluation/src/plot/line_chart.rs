//! Line charts.

use std::fmt::Write;

use super::axis::{Axis, Scale};
use super::legend::Legend;
use super::svg::{Anchor, COLOURS, DASHES, MAX_SERIES, Placement, Svg};

/// Where the plot area starts, from the left: tick texts and the label of the axis are before it.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
/// Height of the tick texts below the plot area.
const TICK_TEXTS: f64 = 34.0;
/// Height of the label of the horizontal axis.
const AXIS_LABEL: f64 = 18.0;
/// Space below the legend.
const MARGIN: f64 = 6.0;

/// Lines over two axes, with a legend below.
#[derive(Debug, Clone, PartialEq)]
pub struct LineChart {
    /// Title: for screen readers, and drawn in a file of its own.
    pub title: String,
    /// Where the chart is shown.
    pub placement: Placement,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// Reference lines behind the series.
    pub guides: Vec<Guide>,
    /// The lines, the most important first; it is drawn on top. At most [`MAX_SERIES`] are drawn.
    pub series: Vec<Series>,
}

/// A dotted reference line.
#[derive(Debug, Clone, PartialEq)]
pub struct Guide {
    /// Both ends, as values of the axes; infinite coordinates extend to the edge.
    pub ends: [(f64, f64); 2],
    /// Written above the right end, unless empty.
    pub label: String,
}

impl Guide {
    /// A line between two points, without a label.
    pub fn between(from: (f64, f64), to: (f64, f64)) -> Self {
        Self { ends: [from, to], label: String::new() }
    }

    /// A labelled line across the whole chart at one value of the vertical axis.
    pub fn level(value: f64, label: impl Into<String>) -> Self {
        Self { ends: [(f64::NEG_INFINITY, value), (f64::INFINITY, value)], label: label.into() }
    }
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name in the legend, with the measure of the curve if it has one.
    pub label: String,
    /// Points from left to right; the line is interrupted at `None` and at points that are not finite.
    pub points: Vec<Option<(f64, f64)>>,
    /// Whether each point is marked, with its values as a tooltip.
    pub has_marks: bool,
    /// Whether the area below the line is shaded.
    pub is_filled: bool,
}

/// The plot area in pixels.
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl LineChart {
    /// The SVG document.
    pub fn draw(&self) -> String {
        let shown = &self.series[..self.series.len().min(MAX_SERIES)];
        let (width, top, height) = match self.placement {
            Placement::File => (480.0, 40.0, 300.0),
            Placement::Inline => (560.0, 16.0, 210.0),
        };
        let area = Area { left: LEFT, right: width - RIGHT, top, bottom: top + height };
        let (x, y) = (self.x.scale(area.left, area.right), self.y.scale(area.bottom, area.top));
        let legend = Legend::new(shown.iter().map(|series| series.label.as_str()).collect(), area.right - area.left);
        let axis_label = if self.x.label().is_empty() { 0.0 } else { AXIS_LABEL };
        let legend_top = area.bottom + TICK_TEXTS + axis_label;
        let height = legend_top + legend.height() + MARGIN;
        let mut svg = Svg::new(self.placement, (width, height), &self.title, &self.description(shown));
        if self.placement == Placement::File {
            svg.text(area.left, 24.0, Anchor::Start, " font-size=\"15\" font-weight=\"600\"", &self.title);
        }
        self.draw_axes(&mut svg, &area, &x, &y);
        for guide in &self.guides {
            guide.draw(&mut svg, &area, &x, &y);
        }
        for (index, series) in shown.iter().enumerate().rev() {
            series.draw(&mut svg, self, (&x, &y), index);
        }
        legend.draw(&mut svg, area.left, legend_top);
        svg.finish()
    }

    /// What the chart shows, in words.
    fn description(&self, shown: &[Series]) -> String {
        let mut description = match (self.x.label(), self.y.label()) {
            ("", _) | (_, "") => String::new(),
            (x, y) => format!("{y} by {x}. "),
        };
        let lines: Vec<String> = shown.iter().map(|series| series.description(&self.x, &self.y)).collect();
        let _ = write!(description, "{}.", lines.join("; "));
        if shown.len() < self.series.len() {
            let _ = write!(description, " {} more are not shown.", self.series.len() - shown.len());
        }
        description
    }

    fn draw_axes(&self, svg: &mut Svg, area: &Area, x: &Scale, y: &Scale) {
        let tick = " font-size=\"11\" fill-opacity=\"0.8\"";
        for (value, text) in self.x.ticks() {
            let pixel = x.pixel(value);
            svg.rule((pixel, area.top), (pixel, area.bottom), " stroke-opacity=\"0.12\"");
            svg.text(pixel, area.bottom + 17.0, Anchor::Middle, tick, &text);
        }
        for (value, text) in self.y.ticks() {
            let pixel = y.pixel(value);
            svg.rule((area.left, pixel), (area.right, pixel), " stroke-opacity=\"0.12\"");
            svg.text(area.left - 7.0, pixel + 4.0, Anchor::End, tick, &text);
        }
        svg.rule((area.left, area.bottom), (area.right, area.bottom), " stroke-opacity=\"0.6\"");
        svg.rule((area.left, area.top), (area.left, area.bottom), " stroke-opacity=\"0.6\"");
        if !self.x.label().is_empty() {
            svg.text(f64::midpoint(area.left, area.right), area.bottom + 35.0, Anchor::Middle, "", self.x.label());
        }
        if !self.y.label().is_empty() {
            svg.upward_text(15.0, f64::midpoint(area.top, area.bottom), self.y.label());
        }
    }
}

impl Guide {
    fn draw(&self, svg: &mut Svg, area: &Area, x: &Scale, y: &Scale) {
        let [from, to] = self.ends.map(|end| (x.pixel(end.0), y.pixel(end.1)));
        svg.push(format_args!("<g class=\"guide\">\n"));
        svg.rule(from, to, " stroke-opacity=\"0.55\" stroke-dasharray=\"2 4\"");
        if !self.label.is_empty() {
            svg.text(area.right, to.1 - 5.0, Anchor::End, " font-size=\"11\"", &self.label);
        }
        svg.push(format_args!("</g>\n"));
    }
}

impl Series {
    /// The points, with `None` for each gap.
    fn finite_points(&self) -> impl Iterator<Item = Option<(f64, f64)>> {
        self.points.iter().map(|point| point.filter(|(x, y)| x.is_finite() && y.is_finite()))
    }

    /// The points without the gaps.
    fn known(&self) -> impl Iterator<Item = (f64, f64)> {
        self.finite_points().flatten()
    }

    /// The label; over an axis of names also the first, last, least and greatest value.
    fn description(&self, x: &Axis, y: &Axis) -> String {
        let (Some(first), Some(last), true) = (self.known().next(), self.known().last(), x.has_names()) else {
            return self.label.clone();
        };
        let (least, greatest) = self
            .known()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), (_, y)| (least.min(y), greatest.max(y)));
        format!(
            "{}: {} at {}, {} at {}, between {} and {}",
            self.label,
            y.text(first.1),
            x.text(first.0),
            y.text(last.1),
            x.text(last.0),
            y.text(least),
            y.text(greatest)
        )
    }

    fn draw(&self, svg: &mut Svg, chart: &LineChart, (x, y): (&Scale, &Scale), index: usize) {
        let (fill, fill_opacity) = if self.is_filled { ("currentColor", "0.18") } else { ("none", "1") };
        svg.push(format_args!(
            "<g class=\"c{index}\" color=\"{}\">\n<path d=\"{}\" fill=\"{fill}\" fill-opacity=\"{fill_opacity}\" \
             stroke=\"currentColor\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke-dasharray=\"{}\"/>\n",
            COLOURS[index],
            self.path(x, y),
            DASHES[index]
        ));
        for point in self.known().filter(|_| self.has_marks) {
            let values = format!("{}: {} at {}", self.label, chart.y.text(point.1), chart.x.text(point.0));
            svg.mark(x.pixel(point.0), y.pixel(point.1), &values);
        }
        svg.push(format_args!("</g>\n"));
    }

    /// The commands of the path, with a new start after each gap.
    fn path(&self, x: &Scale, y: &Scale) -> String {
        let mut path = String::with_capacity(self.points.len() * 12);
        let mut command = 'M';
        for point in self.finite_points() {
            if let Some((at, value)) = point {
                let _ = write!(path, "{command}{:.1} {:.1}", x.pixel(at), y.pixel(value));
            }
            command = if point.is_some() { 'L' } else { 'M' };
        }
        path
    }
}
