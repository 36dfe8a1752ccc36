//! Other engines read our tables: the `deltalake` package of PyPI.

use perennial_core::digest::TableDigest;
use perennial_core::port::data::Mode;
use serde_json::Value as Json;

use crate::support::{Fixture, StageOptions, repository, run_python};

/// Reads a table and prints, as JSON lines: rows in order of `k`, the history's operations, and the digest that
/// `conformance/digest.py` computes over what was read.
const READ: &str = r#"
import datetime, decimal, json, sys
sys.path.insert(0, sys.argv[2])
import digest
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
rows = table.to_pyarrow_table().to_pylist()
for row in rows: row.pop("_load")
rows.sort(key=lambda row: row["k"])
epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
def plain(v):
    if isinstance(v, datetime.datetime): return (v - epoch) // datetime.timedelta(microseconds=1)
    if isinstance(v, datetime.date): return v.toordinal() - 719163
    if isinstance(v, decimal.Decimal): return str(v)
    if isinstance(v, bytes): return v.hex()
    return v
rows = [{name: plain(value) for name, value in row.items()} for row in rows]
schema = json.loads(sys.argv[3])
print(json.dumps(rows))
print(json.dumps(digest.digest(schema, len(rows), digest.total(schema, rows))))
print(json.dumps(table.transaction_version("perennial")))
print(json.dumps([json.loads(s) if isinstance(s, str) else s for s in table.get_add_actions(flatten=True).column("num_records").to_pylist()]))
"#;

#[tokio::test]
async fn the_deltalake_package_reads_rows_number_and_digest() {
    let fixture = Fixture::new();
    let first = "{\"k\": 1, \"x\": 0.5, \"t\": \"naïve ✈\", \"b\": true, \"at\": \"2013-01-01T05:00:00.25Z\", \"d\": \"2013-01-02\", \"l\": [1, null], \"s\": {\"a\": 1}}\n\
                 {\"k\": 2, \"x\": null, \"t\": \"\", \"b\": null, \"at\": null, \"d\": null, \"l\": null, \"s\": null}\n";
    let mut running = crate::support::IncrementalDigest::default();
    let (_, staged) = fixture.load(&StageOptions::lines(first).key(&["k"]).mode(Mode::Merge)).await;
    running.apply(&staged.change);
    let second = "{\"k\": 2, \"x\": -0.0, \"t\": \"new\", \"b\": false, \"at\": \"1969-12-31T23:59:59.999999Z\", \"d\": \"1969-12-31\", \"l\": [], \"s\": {\"a\": null}, \"more\": 7}\n";
    let (_, staged) = fixture.load(&StageOptions::lines(second).key(&["k"]).mode(Mode::Merge)).await;
    running.apply(&staged.change);
    let digest: TableDigest = running.digest(&staged);
    let schema = r#"{"k": "int", "x": "float", "t": "text", "b": "bool", "at": "timestamp", "d": "date", "l": {"list": "int"}, "s": {"struct": {"a": "int"}}, "more": "int"}"#;
    let conformance = repository().join("conformance");
    let printed = run_python(READ, &[fixture.table().to_str().unwrap(), conformance.to_str().unwrap(), schema]);
    let lines: Vec<Json> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0].as_array().map(Vec::len), Some(2));
    assert_eq!(lines[0][1]["t"], "new");
    assert_eq!(lines[1], digest.as_str());
    assert_eq!(lines[2], 2);
    assert_eq!(lines[3], serde_json::json!([1, 1]));
}

#[tokio::test]
async fn the_deltalake_package_skips_files_by_our_statistics() {
    let fixture = Fixture::new();
    for month in 1..=3 {
        let text = format!("k,at,t\n{month},2013-0{month}-01T00:00:00.000500Z,m{month}\n");
        fixture.write("a.csv", text);
        fixture.load(&StageOptions::files(&["a.csv"])).await;
    }
    let program = "import sys\nfrom deltalake import DeltaTable\nt = DeltaTable(sys.argv[1])\n\
                   print(len(t.file_uris()))\n\
                   a = t.get_add_actions(flatten=True)\n\
                   print(sorted(zip(a.column('min.k').to_pylist(), a.column('max.k').to_pylist(), a.column('null_count.k').to_pylist(), a.column('min.t').to_pylist())))\n\
                   print(all(lo <= hi for lo, hi in zip(a.column('min.at').to_pylist(), a.column('max.at').to_pylist())))\n";
    let printed = run_python(program, &[fixture.table().to_str().unwrap()]);
    assert_eq!(printed, "3\n[(1, 1, 0, 'm1'), (2, 2, 0, 'm2'), (3, 3, 0, 'm3')]\nTrue\n");
    assert_eq!(fixture.rows("SELECT k FROM rows WHERE at > '2013-02-01T00:00:00.0004Z' ORDER BY k").await.len(), 2);
}
