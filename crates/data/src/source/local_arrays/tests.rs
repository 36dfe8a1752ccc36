use arrow::array::TimestampNanosecondArray;
use arrow::buffer::OffsetBuffer;
use perennial_core::port::data::LocalTime;

use super::*;

fn nanoseconds(text: &[&str]) -> ArrayRef {
    let values = text.iter().map(|text| text.parse::<jiff::civil::DateTime>().unwrap());
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    Arc::new(TimestampNanosecondArray::from_iter_values(
        values.map(|value| value.duration_since(epoch).as_nanos() as i64),
    ))
}

fn converted(column: ArrayRef) -> Result<String, String> {
    let times = LocalTimes::new(LocalTime { timezone: "Europe/Berlin".into(), is_declared: true }).unwrap();
    let field = Field::new("at", column.data_type().clone(), true);
    let rows = column.len();
    let batch = convert::assemble(&Arc::new(Schema::new(vec![field])), vec![column], rows).unwrap();
    let origin = Origin::rows(&Arc::from("a.parquet"), 1);
    let batch = with_instants(batch, &times, &origin).map_err(|error| error.to_string())?;
    Ok(convert::text(batch.column(0), rows - 1))
}

#[test]
fn local_times_become_instants_wherever_they_are() {
    let times = nanoseconds(&["2024-01-15T12:00", "2024-07-15T12:00"]);
    assert_eq!(converted(Arc::clone(&times)).unwrap(), "2024-07-15T10:00:00Z");
    let element = Arc::new(Field::new("element", times.data_type().clone(), true));
    let list = ListArray::new(element, OffsetBuffer::from_lengths([2]), Arc::clone(&times), None);
    assert_eq!(converted(Arc::new(list)).unwrap(), "[2024-01-15T11:00:00Z, 2024-07-15T10:00:00Z]");
    let member = vec![Field::new("p", times.data_type().clone(), true)].into();
    let built = StructArray::new(member, vec![times], None);
    assert_eq!(converted(Arc::new(built)).unwrap(), "{p: 2024-07-15T10:00:00Z}");
}

#[test]
fn a_local_time_that_does_not_exist_is_refused_with_its_row() {
    let error = converted(nanoseconds(&["2024-01-15T12:00", "2024-03-31T02:30"])).unwrap_err();
    assert!(
        error.starts_with("a.parquet row 2: column `at` is `2024-03-31T02:30:00`, which does not exist"),
        "{error}"
    );
}
