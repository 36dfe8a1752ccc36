//! Line charts: axes, gaps, marks, legends, and what a screen reader reads.

use perennial_evaluation::plot::{Axis, Guide, LineChart, MAX_SERIES, Placement, Series, short};

fn line(label: &str, values: &[Option<f64>]) -> Series {
    let points = values.iter().enumerate().map(|(place, value)| value.map(|value| (place as f64, value))).collect();
    Series { label: label.to_owned(), points, has_marks: true, is_filled: false }
}

/// A chart of the series over named places, inline in a page.
fn over_places(places: usize, series: Vec<Series>) -> LineChart {
    let values: Vec<f64> = series.iter().flat_map(|line| line.points.iter().flatten()).map(|point| point.1).collect();
    LineChart {
        title: "Quality by window".to_owned(),
        placement: Placement::Inline,
        x: Axis::names((0..places).map(|place| format!("window {place}")).collect()),
        y: Axis::around("", values),
        guides: Vec::new(),
        series,
    }
}

/// The content of each element of this name that has only text in it.
fn texts(svg: &str, element: &str) -> Vec<String> {
    let start = format!("<{element}");
    let ends = svg.split(&start).skip(1).filter_map(|rest| rest.split_once('>'));
    ends.filter_map(|(_, rest)| rest.split('<').next()).map(str::to_owned).collect()
}

/// The texts of the ticks at the vertical axis, from the lowest.
fn ticks(axis: Axis) -> Vec<String> {
    let svg = LineChart { y: axis, ..over_places(0, Vec::new()) }.draw();
    let at_axis = svg.lines().filter(|line| line.contains("text-anchor=\"end\""));
    at_axis.flat_map(|line| texts(line, "text")).collect()
}

#[test]
fn ticks_are_round_numbers() {
    let check = |axis: Axis, expected: &[&str]| assert_eq!(ticks(axis), expected);
    check(Axis::unit("share"), &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    check(Axis::range("", -3.0, 7.0), &["-2", "0", "2", "4", "6"]);
    check(Axis::range("", 0.0, 2e9), &["0", "5.0e8", "1.0e9", "1.5e9", "2.0e9"]);
    check(Axis::range("an empty range", 2.0, 2.0), &["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
    check(Axis::range("an infinite range", -1e308, 1e308), &["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
}

#[test]
fn an_axis_around_values_has_round_ends() {
    let check = |values: &[f64], expected: &[&str]| assert_eq!(ticks(Axis::around("", values.to_vec())), expected);
    check(&[0.671, 0.729], &["0.66", "0.68", "0.70", "0.72", "0.74"]);
    check(&[0.0, 95.0], &["0", "20", "40", "60", "80", "100"]);
    check(&[-1.0, 1.0], &["-1", "0", "1"]);
    check(&[0.5, f64::NAN], &["0.495", "0.500", "0.505"]);
    check(&[f64::MAX, f64::MIN], &["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
    check(&[], &["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
}

#[test]
fn at_most_five_names_are_written_along_an_axis() {
    for (places, expected) in [(1, 1), (5, 5), (6, 3), (60, 5), (61, 5)] {
        let svg = over_places(places, vec![line("version 1", &vec![Some(1.0); places])]).draw();
        let names = texts(&svg, "text").into_iter().filter(|text| text.starts_with("window")).count();
        assert_eq!(names, expected, "{places} places");
    }
}

#[test]
fn a_line_is_interrupted_where_a_value_is_missing_or_not_finite() {
    let values = [Some(0.2), Some(0.4), None, Some(0.3), Some(f64::INFINITY), Some(0.5), Some(0.6)];
    let svg = over_places(values.len(), vec![line("version 1", &values)]).draw();
    let path = svg.split("<path d=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!((path.matches('M').count(), path.matches('L').count()), (3, 2), "{path}");
    assert_eq!(svg.matches("<circle").count(), 5);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn marks_and_the_description_have_the_values_with_their_places() {
    let svg = over_places(3, vec![line("version 1", &[Some(0.25), None, Some(0.5)])]).draw();
    assert_eq!(
        texts(&svg, "title"),
        ["Quality by window", "version 1: 0.2500 at window 0", "version 1: 0.5000 at window 2"]
    );
    let expected = "version 1: 0.2500 at window 0, 0.5000 at window 2, between 0.2500 and 0.5000.";
    assert_eq!(texts(&svg, "desc"), [expected]);
}

#[test]
fn series_beyond_the_limit_are_counted_in_the_description() {
    let series = (0..MAX_SERIES + 2).map(|number| line(&format!("version {number}"), &[Some(1.0)])).collect();
    let svg = over_places(1, series).draw();
    assert_eq!(svg.matches("<path").count(), MAX_SERIES);
    assert!(texts(&svg, "desc")[0].ends_with("2 more are not shown."), "{svg}");
}

#[test]
fn only_a_file_of_its_own_has_a_style_and_a_drawn_title() {
    let chart = over_places(2, vec![line("version 1", &[Some(1.0), Some(2.0)])]);
    let inline = chart.draw();
    assert!(!inline.contains("<style") && !texts(&inline, "text").contains(&chart.title), "{inline}");
    let file = LineChart { placement: Placement::File, ..chart.clone() }.draw();
    assert!(file.contains("<style") && texts(&file, "text").contains(&chart.title), "{file}");
}

#[test]
fn a_level_crosses_the_chart_with_its_label() {
    let mut chart = over_places(2, vec![line("version 1", &[Some(1.0), Some(2.0)])]);
    chart.guides = vec![Guide::level(1.5, "alert stale")];
    let svg = chart.draw();
    let guide = svg.split("<g class=\"guide\">").nth(1).and_then(|rest| rest.split("</g>").next()).unwrap();
    assert!(guide.contains("x1=\"82.0\"") && guide.contains("x2=\"524.0\""), "{guide}");
    assert_eq!(texts(guide, "text"), ["alert stale"]);
}

#[test]
fn long_labels_are_shortened_and_short_ones_share_a_line() {
    let heights = |label: &str| {
        let series = (0..3).map(|number| line(&format!("{label} {number}"), &[Some(1.0)])).collect();
        let svg = over_places(1, series).draw();
        let height = svg.split("height=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        (height, svg)
    };
    let ((one, _), (three, svg)) = (heights("a"), heights(&"long ".repeat(30)));
    assert_eq!(three.parse::<f64>().unwrap() - one.parse::<f64>().unwrap(), 38.0);
    assert_eq!(texts(&svg, "text").iter().filter(|text| text.ends_with('…')).count(), 3);
    assert_eq!((short("delay", 5), short("delays", 5)), ("delay".to_owned(), "dela…".to_owned()));
}
