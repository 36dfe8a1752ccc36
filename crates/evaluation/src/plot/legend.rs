//! The legend of a chart: a sample of each line with its label.

use super::svg::{Anchor, COLOURS, DASHES, Svg, short};

const LINE_HEIGHT: f64 = 19.0;
const SAMPLE: f64 = 30.0;
/// From the start of a sample to its label.
const LABEL: f64 = 38.0;
/// Width of a character, about, and of the space between columns.
const CHARACTER: f64 = 6.8;
const GAP: f64 = 18.0;
const COLUMNS_MAX: usize = 3;

/// Labels in as many columns as the longest permits.
pub(super) struct Legend {
    labels: Vec<String>,
    columns: usize,
    column_width: f64,
}

impl Legend {
    /// The legend of these labels, at most `width` pixels wide; longer labels are shortened.
    pub(super) fn new(labels: Vec<&str>, width: f64) -> Self {
        let most = ((width - LABEL) / CHARACTER) as usize;
        let labels: Vec<String> = labels.into_iter().map(|label| short(label, most)).collect();
        let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let column_width = LABEL + CHARACTER * longest as f64 + GAP;
        let columns = ((width + GAP) / column_width) as usize;
        Self { labels, columns: columns.clamp(1, COLUMNS_MAX), column_width }
    }

    /// Height in pixels.
    pub(super) fn height(&self) -> f64 {
        LINE_HEIGHT * self.labels.len().div_ceil(self.columns) as f64
    }

    pub(super) fn draw(&self, svg: &mut Svg, left: f64, top: f64) {
        svg.push(format_args!("<g class=\"legend\">\n"));
        for (index, label) in self.labels.iter().enumerate() {
            let x = left + self.column_width * (index % self.columns) as f64;
            let y = top + LINE_HEIGHT * (index / self.columns) as f64 + 4.0;
            svg.rule(
                (x, y),
                (x + SAMPLE, y),
                &format!(
                    " class=\"c{index}\" color=\"{}\" stroke-width=\"2.2\" stroke-dasharray=\"{}\"",
                    COLOURS[index], DASHES[index]
                ),
            );
            svg.text(x + LABEL, y + 4.0, Anchor::Start, "", label);
        }
        svg.push(format_args!("</g>\n"));
    }
}
