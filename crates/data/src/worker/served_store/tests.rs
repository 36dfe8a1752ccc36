use super::*;

#[test]
fn a_long_range_is_read_in_parts() {
    let all = |range| parts(range).map(|part| (part.start, part.end)).collect::<Vec<_>>();
    assert_eq!(all(5..5), []);
    assert_eq!(all(5..7), [(5, 7)]);
    let most = READ_BYTES_MAX;
    assert_eq!(all(3..most + 3), [(3, most + 3)]);
    assert_eq!(all(3..2 * most + 4), [(3, most + 3), (most + 3, 2 * most + 3), (2 * most + 3, 2 * most + 4)]);
}
