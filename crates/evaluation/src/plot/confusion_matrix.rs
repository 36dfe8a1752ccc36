//! The confusion matrix as a grid of shaded cells.

use super::svg::{Anchor, COLOURS, Placement, Svg, escape, short};
use crate::confusion::Confusion;

const TOP: f64 = 44.0;
const LEFT: f64 = 118.0;
const SIDE: f64 = 340.0;
/// Largest number of classes whose cells show the percentage below the count.
const MAX_CLASSES_WITH_PERCENT: usize = 6;
const NAME: usize = 13;
/// Opacity of the darkest cell, at which text stays readable in light and dark themes.
const MAX_OPACITY: f64 = 0.62;

/// Draws the counts with one row for each outcome and one column for each prediction.
pub(super) fn draw(title: &str, confusion: &Confusion) -> String {
    let classes = confusion.classes.len();
    let cell = SIDE / classes.max(1) as f64;
    let size = (cell * 0.3).clamp(6.5, 15.0);
    let slanted = classes > MAX_CLASSES_WITH_PERCENT;
    let height = TOP + SIDE + if slanted { 112.0 } else { 54.0 };
    let width = LEFT + SIDE + 22.0;
    let mut svg = Svg::new(Placement::File, (width, height), title, &description(confusion));
    svg.text(12.0, 24.0, Anchor::Start, " font-size=\"15\" font-weight=\"600\"", &short(title, 56));
    for (outcome, counts) in confusion.counts.iter().enumerate() {
        let rows: u64 = counts.iter().sum();
        for (predicted, &count) in counts.iter().enumerate() {
            let share = if rows == 0 { 0.0 } else { count as f64 / rows as f64 };
            let (x, y) = (LEFT + cell * predicted as f64, TOP + cell * outcome as f64);
            let (outcome, predicted) = (&confusion.classes[outcome], &confusion.classes[predicted]);
            svg.push(format_args!(
                "<g><title>outcome {}, prediction {}: {count} rows, {:.1} % of the outcome</title>\
                 <rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" fill=\"{}\" fill-opacity=\"{:.3}\" stroke=\"currentColor\" stroke-opacity=\"0.25\"/>\n",
                escape(outcome),
                escape(predicted),
                share * 100.0,
                COLOURS[0],
                share * MAX_OPACITY
            ));
            let (middle, centre) = (x + cell / 2.0, y + cell / 2.0);
            let font = format!(" font-size=\"{size:.1}\"");
            if classes <= MAX_CLASSES_WITH_PERCENT {
                svg.text(middle, centre, Anchor::Middle, &format!("{font} font-weight=\"600\""), &count.to_string());
                let percent = format!("{:.1} %", share * 100.0);
                svg.text(
                    middle,
                    centre + size + 2.0,
                    Anchor::Middle,
                    &format!(" font-size=\"{:.1}\" fill-opacity=\"0.8\"", size * 0.8),
                    &percent,
                );
            } else if count > 0 {
                svg.text(middle, centre + size * 0.35, Anchor::Middle, &font, &abbreviate(count));
            }
            svg.push(format_args!("</g>\n"));
        }
    }
    draw_labels(&mut svg, confusion, cell, slanted);
    svg.text(LEFT + SIDE / 2.0, height - 10.0, Anchor::Middle, "", "prediction");
    svg.upward_text(15.0, TOP + SIDE / 2.0, "outcome");
    svg.finish()
}

fn draw_labels(svg: &mut Svg, confusion: &Confusion, cell: f64, slanted: bool) {
    let size = (cell * 0.7).clamp(8.0, 12.0);
    for (index, class) in confusion.classes.iter().enumerate() {
        let middle = cell * (index as f64 + 0.5);
        let font = format!(" font-size=\"{size:.1}\"");
        svg.text(LEFT - 7.0, TOP + middle + 4.0, Anchor::End, &font, &short(class, NAME));
        let (x, y) = (LEFT + middle, TOP + SIDE + 16.0);
        if slanted {
            svg.text(
                x + 4.0,
                y - 4.0,
                Anchor::End,
                &format!("{font} transform=\"rotate(-50 {:.1} {:.1})\"", x + 4.0, y - 4.0),
                &short(class, NAME),
            );
        } else {
            svg.text(x, y, Anchor::Middle, &font, &short(class, NAME));
        }
    }
}

fn description(confusion: &Confusion) -> String {
    let rows: u64 = confusion.counts.iter().flatten().sum();
    let correct: u64 = confusion.counts.iter().enumerate().filter_map(|(class, counts)| counts.get(class)).sum();
    format!("rows by outcome (down) and prediction (across); {correct} of {rows} rows are on the diagonal.")
}

/// A count in at most four characters.
fn abbreviate(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1000),
        _ => format!("{}M", count / 1_000_000),
    }
}
