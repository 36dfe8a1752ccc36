use perennial_core::frame::{Column, Frame, TextColumn};

use super::*;

fn text(values: &[Option<&str>]) -> Frame {
    let mut frame = Frame::new();
    frame.push("text", Column::Text(TextColumn::encode(values.iter().copied())));
    frame
}

fn codes(training: &[Option<&str>], rows: &[Option<&str>]) -> Vec<u32> {
    let features = fit(&text(training)).unwrap();
    match encode(&features, &text(rows)).unwrap().remove(0) {
        Values::Codes(codes) => codes,
        Values::Numbers(_) => panic!("text is read as codes"),
    }
}

#[test]
fn categories_are_ranked_by_frequency_then_by_text() {
    let training = [Some("b"), Some("c"), Some("a"), Some("c")];
    assert_eq!(codes(&training, &[Some("a"), Some("b"), Some("c")]), [1, 2, 0]);
}

#[test]
fn an_unseen_text_is_other() {
    assert_eq!(codes(&[Some("a"), Some("b")], &[Some("new")]), [2]);
}

#[test]
fn null_and_the_empty_text_are_missing() {
    assert_eq!(codes(&[Some("a"), Some("b"), Some("")], &[None, Some("")]), [3, 3]);
}

#[test]
fn a_text_without_rows_is_not_a_category() {
    let column = TextColumn { codes: vec![1], values: vec!["gone".into(), "here".into()] };
    assert_eq!(Categories::fit(&column).texts(), ["here".into()]);
}

#[test]
fn the_255_most_frequent_texts_are_categories() {
    let names: Vec<String> = (0..300).map(|name| format!("{name:03}")).collect();
    let training: Vec<Option<&str>> =
        names.iter().enumerate().flat_map(|(rank, name)| vec![Some(name.as_str()); 301 - rank]).collect();
    let rows: Vec<Option<&str>> = [0, 254, 255, 299].map(|rank| Some(names[rank].as_str())).to_vec();
    assert_eq!(codes(&training, &rows), [0, 254, 255, 255]);
}

#[test]
fn numbers_become_32_bit_floats() {
    let mut frame = Frame::new();
    frame.push("x", Column::Number(vec![0.1, f64::NAN]));
    let encoded = encode(&fit(&frame).unwrap(), &frame).unwrap();
    let Values::Numbers(numbers) = &encoded[0] else { panic!("numbers are read as numbers") };
    assert_eq!(numbers[0].to_bits(), 0.1_f32.to_bits());
    assert!(numbers[1].is_nan());
}
