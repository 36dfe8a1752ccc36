use std::path::Path;

use arrow::array::{ListArray, StringArray, StructArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use datafusion::parquet::arrow::ArrowWriter;
use perennial_core::port::data::LocalTime;

use super::*;
use crate::types::warnings;

fn write(path: &Path, column: ArrayRef) -> LocalFile {
    let field = Field::new("c", column.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(ArrowSchema::new(vec![field])), vec![column]).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    LocalFile { path: path.to_owned(), label: Arc::from("a.parquet") }
}

fn batches(file: &LocalFile) -> Vec<RecordBatch> {
    let times = LocalTimes::new(LocalTime::default()).unwrap();
    let mut batches = Vec::new();
    read(file, &times, &mut |rows| {
        batches.push(rows.batch);
        Ok(())
    })
    .unwrap();
    batches
}

#[test]
fn unsigned_integers_that_an_integer_does_not_hold_are_text_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let small = write(&folder.path().join("small.parquet"), Arc::new(UInt64Array::from(vec![1, i64::MAX as u64])));
    let wide = write(&folder.path().join("wide.parquet"), Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])));
    let kind = |schema: &SchemaRef| (schema.field(0).data_type().clone(), warnings(schema).len());
    assert_eq!(kind(&infer_schema(std::slice::from_ref(&small), None).unwrap()), (DataType::Int64, 0));
    let both = infer_schema(&[small.clone(), wide], None).unwrap();
    assert_eq!(kind(&both), (DataType::Utf8, 1));
    // Later files follow the dataset.
    assert_eq!(kind(&infer_schema(&[small], Some(&both)).unwrap()), (DataType::Utf8, 0));
}

#[test]
fn unsigned_integers_in_lists_and_structs_are_text_with_a_warning_too() {
    let folder = tempfile::tempdir().unwrap();
    let integers = |values: &[u64]| Arc::new(UInt64Array::from(values.to_vec())) as ArrayRef;
    let member = |name: &str, values: ArrayRef| (Arc::new(Field::new(name, DataType::UInt64, true)), values);
    let element = Arc::new(Field::new("element", DataType::UInt64, true));
    let list = |values: &[u64]| {
        Arc::new(ListArray::new(Arc::clone(&element), OffsetBuffer::from_lengths([2]), integers(values), None))
            as ArrayRef
    };
    let object = |id: u64| {
        let members = vec![member("id", integers(&[id])), member("count", integers(&[1]))];
        Arc::new(StructArray::from(members)) as ArrayRef
    };
    let big = u64::MAX;
    for (name, small, wide, expected) in [
        ("list", list(&[1, 2]), list(&[1, big]), "list<text>"),
        ("struct", object(1), object(big), "struct<id: text, count: int>"),
    ] {
        let small = write(&folder.path().join(format!("{name}-small.parquet")), small);
        let wide = write(&folder.path().join(format!("{name}-wide.parquet")), wide);
        let files = [small.clone(), wide.clone()];
        let schema = infer_schema(&files, None).unwrap();
        let class = crate::types::class_of(schema.field(0).data_type()).unwrap().to_string();
        assert_eq!((class.as_str(), warnings(&schema).len()), (expected, 1), "{name}");
        for batch in files.iter().flat_map(batches) {
            let fitted = crate::convert::fit(&batch, &schema, &Origin::rows(&Arc::from("a.parquet"), 1)).unwrap();
            assert_eq!(fitted.num_rows(), 1);
        }
        let later = infer_schema(&[small], Some(&schema)).unwrap();
        assert_eq!((later.field(0).data_type(), warnings(&later).len()), (schema.field(0).data_type(), 0), "{name}");
        let digits = format!(
            "{:?}",
            crate::convert::fit(&batches(&wide)[0], &schema, &Origin::rows(&Arc::from("a"), 1)).unwrap()
        );
        assert!(digits.contains(&big.to_string()), "{digits}");
    }
}

#[test]
fn a_long_text_of_many_rows_is_read_in_short_batches() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(1 << 20);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(); 100]));
    let file = write(&folder.path().join("a.parquet"), Arc::clone(&texts));
    let rows: Vec<usize> = batches(&file).iter().map(RecordBatch::num_rows).collect();
    assert!(rows.len() >= 7 && rows.iter().sum::<usize>() == 100, "{rows:?}");
    let element = Arc::new(Field::new("element", DataType::Utf8, true));
    let lists = ListArray::new(element, OffsetBuffer::from_lengths([50; 2]), texts, None);
    let file = write(&folder.path().join("b.parquet"), Arc::new(lists));
    assert_eq!(batches(&file).iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1, 1]);
}
