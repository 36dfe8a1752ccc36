//! Counts in squares.

use super::svg::{Anchor, COLOURS, Svg, escape, short};
use crate::confusion::Confusion;

const TOP: f64 = 44.0;
const LEFT: f64 = 118.0;
const SIDE: f64 = 340.0;
/// Classes up to which cells have room for their share under their count.
const ROOMY: usize = 6;
const NAME: usize = 13;
/// Words stay readable on the deepest shade, in light and in dark.
const DEEPEST: f64 = 0.62;

/// Rows by outcome (down) and answer (across).
pub(super) fn draw(title: &str, confusion: &Confusion) -> String {
    let classes = confusion.classes.len();
    let cell = SIDE / classes.max(1) as f64;
    let size = (cell * 0.3).clamp(6.5, 15.0);
    let slanted = classes > ROOMY;
    let height = TOP + SIDE + if slanted { 112.0 } else { 54.0 };
    let width = LEFT + SIDE + 22.0;
    let mut svg = Svg::new(width, height, title, &description(confusion));
    svg.words(12.0, 24.0, Anchor::Start, " font-size=\"15\" font-weight=\"600\"", &short(title, 56));
    for (outcome, counts) in confusion.counts.iter().enumerate() {
        let rows: u64 = counts.iter().sum();
        for (answer, &count) in counts.iter().enumerate() {
            let share = if rows == 0 { 0.0 } else { count as f64 / rows as f64 };
            let (x, y) = (LEFT + cell * answer as f64, TOP + cell * outcome as f64);
            let (outcome, answer) = (&confusion.classes[outcome], &confusion.classes[answer]);
            svg.push(format_args!(
                "<g><title>outcome {}, answer {}: {count} rows, {:.1} % of the outcome</title>\
                 <rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" fill=\"{}\" fill-opacity=\"{:.3}\" stroke=\"currentColor\" stroke-opacity=\"0.25\"/>\n",
                escape(outcome),
                escape(answer),
                share * 100.0,
                COLOURS[0],
                share * DEEPEST
            ));
            let (middle, centre) = (x + cell / 2.0, y + cell / 2.0);
            let font = format!(" font-size=\"{size:.1}\"");
            if classes <= ROOMY {
                svg.words(middle, centre, Anchor::Middle, &format!("{font} font-weight=\"600\""), &count.to_string());
                let percent = format!("{:.1} %", share * 100.0);
                svg.words(
                    middle,
                    centre + size + 2.0,
                    Anchor::Middle,
                    &format!(" font-size=\"{:.1}\" fill-opacity=\"0.8\"", size * 0.8),
                    &percent,
                );
            } else if count > 0 {
                svg.words(middle, centre + size * 0.35, Anchor::Middle, &font, &brief(count));
            }
            svg.push(format_args!("</g>\n"));
        }
    }
    names(&mut svg, confusion, cell, slanted);
    svg.words(LEFT + SIDE / 2.0, height - 10.0, Anchor::Middle, "", "answer");
    let middle = TOP + SIDE / 2.0;
    svg.words(15.0, middle, Anchor::Middle, &format!(" transform=\"rotate(-90 15 {middle:.1})\""), "outcome");
    svg.finish()
}

fn names(svg: &mut Svg, confusion: &Confusion, cell: f64, slanted: bool) {
    let size = (cell * 0.7).clamp(8.0, 12.0);
    for (place, class) in confusion.classes.iter().enumerate() {
        let middle = cell * (place as f64 + 0.5);
        let font = format!(" font-size=\"{size:.1}\"");
        svg.words(LEFT - 7.0, TOP + middle + 4.0, Anchor::End, &font, &short(class, NAME));
        let (x, y) = (LEFT + middle, TOP + SIDE + 16.0);
        if slanted {
            svg.words(
                x + 4.0,
                y - 4.0,
                Anchor::End,
                &format!("{font} transform=\"rotate(-50 {:.1} {:.1})\"", x + 4.0, y - 4.0),
                &short(class, NAME),
            );
        } else {
            svg.words(x, y, Anchor::Middle, &font, &short(class, NAME));
        }
    }
}

fn description(confusion: &Confusion) -> String {
    let rows: u64 = confusion.counts.iter().flatten().sum();
    let right: u64 = confusion.counts.iter().enumerate().filter_map(|(class, counts)| counts.get(class)).sum();
    format!("rows by outcome (down) and answer (across); {right} of {rows} rows lie on the diagonal.")
}

/// A count in four signs at most.
fn brief(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1000),
        _ => format!("{}M", count / 1_000_000),
    }
}
