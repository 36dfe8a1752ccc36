use perennial_core::Result;
use perennial_core::frame::MISSING;
use perennial_core::port::data::Values;
use perennial_core::port::prediction::{LogPosition, PredictionLog, Segment};
use perennial_serving::SegmentLog;
use serde_json::{Map, Value, json};

/// Closes the open segment of a log; returns all rows of its closed segments.
pub(crate) fn rows(log: &SegmentLog, name: &str) -> Vec<Value> {
    let numbers = log.seal(name).unwrap();
    numbers.iter().flat_map(|number| as_rows(&log.read(name, *number).unwrap())).collect()
}

/// A segment's rows as objects; a missing value has no member.
pub(crate) fn as_rows(segment: &Segment) -> Vec<Value> {
    let count = segment.columns[0].values.len();
    let mut rows = vec![Map::new(); count];
    for column in &segment.columns {
        assert_eq!(column.values.len(), count, "`{}` has as many rows as the others", column.name);
        for (row, object) in rows.iter_mut().enumerate() {
            let value = match &column.values {
                Values::Int(values) => Some(json!(values[row])),
                Values::Float(values) => Some(values[row]).filter(|value| !value.is_nan()).map(Value::from),
                Values::Text(text) => Some(text.codes[row])
                    .filter(|code| *code != MISSING)
                    .map(|code| json!(&*text.values[code as usize])),
            };
            insert_once(object, &column.name, value);
        }
    }
    rows.into_iter().map(Value::Object).collect()
}

fn insert_once(row: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        assert!(row.insert(name.to_owned(), value).is_none(), "`{name}` has two values in one row");
    }
}

/// The values of each column of a name.
pub(crate) fn values<'a>(segment: &'a Segment, name: &str) -> Vec<&'a Values> {
    segment.columns.iter().filter(|column| column.name == name).map(|column| &column.values).collect()
}

/// Waits for a sync up to `position`.
pub(crate) fn sync(log: &SegmentLog, name: &str, position: LogPosition) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(log.sync(name, position))
}
