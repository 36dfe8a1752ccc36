//! Charts as SVG, for a file of its own or inline in a page: the plots of an evaluation, and line charts of any values.
//!
//! Axes and text use `currentColor`, so an inline chart follows the theme of its
//! page; as a file or an `img` it follows the viewer's light or dark scheme by a
//! rule on `svg:root`. Styling is otherwise by presentation attributes, which a
//! content security policy permits and a stylesheet of the page overrides.
//! Series differ by dash as well as by colour, and title and description are
//! available to screen readers.

mod axis;
mod confusion_matrix;
mod evaluation_plots;
mod legend;
mod line_chart;
mod svg;

pub use axis::Axis;
pub use evaluation_plots::{
    Plot, calibration_plot, confusion_plot, plots, precision_recall_plot, residuals_plot, roc_plot,
};
pub use line_chart::{Guide, LineChart, Series};
pub use svg::{MAX_SERIES, Placement, short};
