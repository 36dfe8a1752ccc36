//! Source files: accepted forms, and the error for each kind of invalid file.

use std::fmt::Write as _;

use perennial_core::port::data::{DataEngine, FilesSource, Format, LocalTime, Mode, StageInput};
use perennial_core::schema::TypeClass;
use serde_json::json;

use crate::support::{Fixture, StageOptions, assert_error, source};

#[tokio::test]
async fn types_of_csv_columns_are_inferred_from_all_rows() {
    let fixture = Fixture::new();
    let mut text = "id,share,day,at,flag,code,name,empty\n".to_owned();
    for row in 0..20_000 {
        writeln!(text, "{row},{row},2013-01-01,2013-01-01T05:00:00Z,true,007,n,").unwrap();
    }
    text.push_str("20000,0.5,2013-01-02,2013-01-01 05:00,false,008,\"a, \"\"b\"\"\",\n");
    fixture.write("a.csv", text);
    let (_, staged) = fixture.load(&StageOptions::files(&["a.csv"])).await;
    let classes: Vec<_> = staged.schema.fields.iter().map(|field| field.class.clone()).collect();
    assert_eq!(
        classes,
        [
            TypeClass::Int,
            TypeClass::Float,
            TypeClass::Date,
            TypeClass::Timestamp,
            TypeClass::Bool,
            TypeClass::Text,
            TypeClass::Text,
            TypeClass::Text
        ]
    );
    let last = fixture.rows("SELECT * FROM rows WHERE id = 20000").await;
    assert_eq!(
        last,
        [[
            json!(20000),
            json!(0.5),
            json!("2013-01-02"),
            json!("2013-01-01T05:00:00Z"),
            json!(false),
            json!("008"),
            json!("a, \"b\""),
            json!(null)
        ]]
    );
}

#[tokio::test]
async fn csv_without_a_header_uses_the_declared_names() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "1,x\n2,y\n");
    let files = FilesSource {
        root: None,
        files: "a.csv".into(),
        format: None,
        header: false,
        columns: vec!["n".into(), "t".into()],
        local_time: LocalTime::default(),
    };
    fixture.load(&StageOptions::from_source(files.clone(), &["a.csv"])).await;
    assert_eq!(
        fixture.rows("SELECT n, t FROM rows ORDER BY n").await,
        [[json!(1), json!("x")], [json!(2), json!("y")]]
    );
    let unnamed = FilesSource { columns: Vec::new(), ..files };
    let error = fixture.stage(&StageOptions::from_source(unnamed, &["a.csv"])).await.unwrap_err();
    assert_error(&error, "invalid-argument", &["a.csv", "no header line", "columns"]);
}

#[tokio::test]
async fn a_csv_row_of_another_length_is_reported_by_file_line_and_count() {
    let fixture = Fixture::new();
    fixture.write("short.csv", "a,b,c\n1,2,3\n\"multi\nline\",2,3\n4,5\n");
    let error = fixture.stage(&StageOptions::files(&["short.csv"])).await.unwrap_err();
    assert_error(&error, "source-file", &["short.csv line 5", "expected 3 columns, got 2"]);
    fixture.write("long.csv", "a,b\n1,2,3\n");
    let error = fixture.stage(&StageOptions::files(&["long.csv"])).await.unwrap_err();
    assert_error(&error, "source-file", &["long.csv line 2", "expected 2 columns, got 3"]);
}

#[tokio::test]
async fn a_stray_quotation_mark_of_csv_is_reported_by_its_line() {
    let fixture = Fixture::new();
    let mut text = "id,shop\n".to_owned();
    (0..600).for_each(|row| writeln!(text, "{row},{}", if row == 550 { "\"big shop" } else { "small" }).unwrap());
    fixture.write("shops.csv", &text);
    let error = fixture.stage(&StageOptions::files(&["shops.csv"])).await.unwrap_err();
    assert_error(&error, "source-file", &["shops.csv line 552", "is not closed"]);
    assert!(error.hint().unwrap().contains("close a quoted field"), "{error:?}");
    text.push_str("600,\"other\"\n");
    fixture.write("shops.csv", &text);
    let error = fixture.stage(&StageOptions::files(&["shops.csv"])).await.unwrap_err();
    assert_error(&error, "source-file", &["shops.csv line 602", "text follows", "starts on line 552"]);
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_reported_by_line_column_and_value() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "id,x\n1,1\n");
    fixture.load(&StageOptions::files(&["a.csv"])).await;
    let mut text = "id,x\n".to_owned();
    (0..30_000).for_each(|row| writeln!(text, "{row},{row}").unwrap());
    text.push_str("30000,many\n");
    fixture.write("b.csv", text);
    let error = fixture.stage(&StageOptions::files(&["b.csv"])).await.unwrap_err();
    assert_error(&error, "source-file", &["b.csv line 30002", "column `x`", "`many`", "expected int"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM rows").await, [[json!(1)]], "nothing is half loaded");
}

#[tokio::test]
async fn headers_with_repeated_or_missing_names_are_refused() {
    let fixture = Fixture::new();
    for (text, part) in [
        ("a,b,a\n1,2,3\n", "column `a` appears twice"),
        ("a,A\n1,2\n", "appears twice"),
        ("a,,c\n1,2,3\n", "column 2 has no name"),
        ("a,_load\n1,2\n", "`_load` is reserved"),
        ("", "is empty"),
    ] {
        fixture.write("h.csv", text);
        assert_error(
            &fixture.stage(&StageOptions::files(&["h.csv"])).await.unwrap_err(),
            "source-file",
            &["h.csv", part],
        );
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_is_named() {
    let fixture = Fixture::new();
    fixture.write("a.csv", b"a,b\n1,caf\xe9\n");
    assert_error(
        &fixture.stage(&StageOptions::files(&["a.csv"])).await.unwrap_err(),
        "source-file",
        &["a.csv line 2", "`b`", "not UTF-8"],
    );
}

#[tokio::test]
async fn a_byte_order_mark_is_not_part_of_the_first_name() {
    let fixture = Fixture::new();
    fixture.write("a.csv", b"\xef\xbb\xbfid,b\r\n1,2\r\n");
    let (_, staged) = fixture.load(&StageOptions::files(&["a.csv"])).await;
    assert_eq!(staged.schema.fields[0].name, "id");
}

#[tokio::test]
async fn a_file_with_only_a_header_is_a_load_without_rows() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "a,b\n");
    let (_, staged) = fixture.load(&StageOptions::files(&["a.csv"])).await;
    assert_eq!(staged.arrived, 0);
    assert_eq!(fixture.rows("SELECT count(*) FROM rows").await, [[json!(0)]]);
}

#[tokio::test]
async fn json_lines_may_have_nested_values_and_missing_members() {
    let fixture = Fixture::new();
    fixture.write(
        "a.jsonl",
        "{\"n\": 1, \"tags\": [\"x\", \"y\"], \"at\": {\"lat\": 1.5}}\n\n{\"n\": 2.5, \"t\": \"12\"}\n",
    );
    let (_, staged) = fixture.load(&StageOptions::files(&["a.jsonl"])).await;
    assert_eq!(staged.schema.field("tags").map(|f| f.class.to_string()).as_deref(), Some("list<text>"));
    assert_eq!(
        fixture.rows("SELECT n, tags, at, t FROM rows ORDER BY n").await,
        [
            vec![json!(1.0), json!(["x", "y"]), json!({ "lat": 1.5 }), json!(null)],
            vec![json!(2.5), json!(null), json!(null), json!("12")]
        ]
    );
}

#[tokio::test]
async fn an_invalid_line_of_json_is_reported_by_line_and_column() {
    let fixture = Fixture::new();
    fixture.write("a.jsonl", "{\"n\": 1}\n{\"n\": }\n");
    assert_error(
        &fixture.stage(&StageOptions::files(&["a.jsonl"])).await.unwrap_err(),
        "source-file",
        &["a.jsonl line 2", "at column 7"],
    );
    fixture.write("b.jsonl", "[1, 2]\n");
    assert_error(
        &fixture.stage(&StageOptions::files(&["b.jsonl"])).await.unwrap_err(),
        "source-file",
        &["b.jsonl line 1", "not a JSON object"],
    );
}

#[tokio::test]
async fn text_in_a_number_column_of_json_is_reported_and_numbers_as_strings_are_parsed() {
    let fixture = Fixture::new();
    fixture.load(&StageOptions::lines("{\"n\": 1}\n")).await;
    fixture.load(&StageOptions::lines("{\"n\": \"12\"}\n")).await;
    assert_eq!(fixture.rows("SELECT sum(n) FROM rows").await, [[json!(13)]]);
    let error = fixture.stage(&StageOptions::lines("{\"n\": 2}\n{\"n\": \"two\"}\n")).await.unwrap_err();
    assert_error(&error, "source-file", &["line 2", "column `n`", "two", "expected int"]);
}

#[tokio::test]
async fn invalid_and_truncated_parquet_files_are_reported() {
    let fixture = Fixture::new();
    fixture.write_parquet("whole.parquet", "SELECT value AS n FROM generate_series(1, 5000)").await;
    let whole = std::fs::read(fixture.source("whole.parquet")).unwrap();
    fixture.write("cut.parquet", &whole[..whole.len() / 2]);
    fixture.write("noise.parquet", b"not a parquet file");
    let mut damaged = whole.clone();
    damaged[4..400].fill(0xaa);
    fixture.write("damaged.parquet", damaged);
    for name in ["cut.parquet", "noise.parquet", "damaged.parquet"] {
        let error = fixture.stage(&StageOptions::files(&[name])).await.unwrap_err();
        assert_error(&error, "source-file", &[name, "not a complete Parquet file"]);
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn the_files_of_one_load_must_have_the_same_columns() {
    let fixture = Fixture::new();
    fixture.write("in/a.csv", "a,b\n1,x\n");
    fixture.write("in/b.csv", "b,a\ny,2.5\n");
    fixture.load(&StageOptions::files(&["in/a.csv", "in/b.csv"])).await;
    assert_eq!(
        fixture.rows("SELECT a, b FROM rows ORDER BY a").await,
        [[json!(1.0), json!("x")], [json!(2.5), json!("y")]]
    );
    fixture.write("in/c.csv", "a,c\n1,2\n");
    let error = fixture.stage(&StageOptions::files(&["in/a.csv", "in/c.csv"])).await.unwrap_err();
    assert_error(&error, "source-file", &["in/c.csv", "column `b` is missing"]);
}

#[tokio::test]
async fn the_format_is_inferred_from_the_extension_or_declared() {
    let fixture = Fixture::new();
    fixture.write("a.txt", "a\n1\n");
    let untold = StageOptions::files(&["a.txt"]);
    assert_error(&fixture.stage(&untold).await.unwrap_err(), "invalid-argument", &["a.txt", "format"]);
    let files = FilesSource { format: Some(Format::Csv), ..source("a.txt") };
    fixture.load(&StageOptions::from_source(files, &["a.txt"])).await;
}

#[tokio::test]
async fn a_pattern_matches_no_hidden_file_unless_it_names_one() {
    let fixture = Fixture::new();
    for name in ["a.py", "lib/b.py", ".cache/c.py", "lib/.d.py"] {
        fixture.write(name, "");
    }
    let found = async |glob: &str| {
        let listed = fixture.engine.list(&source(glob)).await.unwrap().files;
        listed.into_iter().map(|file| file.path).collect::<Vec<_>>()
    };
    assert_eq!(found("**/*.py").await, ["a.py", "lib/b.py"]);
    assert_eq!(found(".cache/*.py").await, [".cache/c.py"]);
}

#[tokio::test]
async fn only_folders_that_can_have_a_matching_file_are_read() {
    let fixture = Fixture::new();
    for name in ["in/a.csv", "in/2013/b.csv", "in/2013/01/c.csv", "out/d.csv"] {
        fixture.write(name, "");
    }
    for (glob, files, folders) in [
        ("in/*.csv", &["in/a.csv"][..], &["in"][..]),
        ("in/*/*.csv", &["in/2013/b.csv"], &["in", "in/2013"]),
        ("{in,in/2013}/*.csv", &["in/2013/b.csv", "in/a.csv"], &["", "in", "in/2013", "out"]),
        ("in/**/*.csv", &["in/2013/01/c.csv", "in/2013/b.csv", "in/a.csv"], &["in", "in/2013", "in/2013/01"]),
        ("missing/*.csv", &[], &[]),
    ] {
        let listing = fixture.engine.list(&source(glob)).await.unwrap();
        assert_eq!(listing.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), files, "{glob}");
        let mut read: Vec<&str> = listing.folders.iter().map(|folder| folder.path.as_str()).collect();
        read.sort_unstable();
        assert_eq!(read, folders, "{glob}");
    }
}

#[tokio::test]
async fn a_removed_folder_has_changed() {
    let fixture = Fixture::new();
    fixture.write("in/a/b.csv", "");
    let folders = fixture.engine.list(&source("in/**/*.csv")).await.unwrap().folders;
    let changed = async || fixture.engine.folders_changed(&source("in/**/*.csv"), &folders[1..]).await.unwrap();
    assert!(!changed().await);
    std::fs::remove_dir_all(fixture.folder.path().join("sources/in/a")).unwrap();
    assert!(changed().await);
}

#[tokio::test]
async fn a_file_modified_since_it_was_listed_is_not_loaded() {
    let fixture = Fixture::new();
    fixture.write("in/a.csv", "a\n1\n");
    let files = fixture.engine.list(&source("in/*.csv")).await.unwrap().files;
    fixture.write("in/a.csv", "a\n1\n2\n");
    let listed = StageOptions::new(StageInput::Files { source: source("in/*.csv"), files });
    let error = fixture.stage(&listed).await.unwrap_err();
    assert_error(&error, "file-changed", &["in/a.csv", "while it was read"]);
    let files = fixture.engine.list(&source("in/*.csv")).await.unwrap().files;
    assert_eq!(
        fixture.load(&StageOptions::new(StageInput::Files { source: source("in/*.csv"), files })).await.1.arrived,
        2
    );
}

#[tokio::test]
async fn a_glob_lists_its_files_in_order_with_size_and_time() {
    let fixture = Fixture::new();
    for name in ["in/2013-02.csv", "in/2013-01.csv", "in/readme.txt", "in/deep/2013-03.csv", "out/2013-04.csv"] {
        fixture.write(name, "a\n1\n");
    }
    let listed = fixture.engine.list(&source("in/*.csv")).await.unwrap().files;
    let paths: Vec<&str> = listed.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["in/2013-01.csv", "in/2013-02.csv"]);
    assert_eq!(listed[0].size_bytes, 4);
    assert!(listed[0].modified_ns.is_some());
    let deep = fixture.engine.list(&source("in/**/*.csv")).await.unwrap().files;
    assert_eq!(deep.len(), 3);
    assert!(fixture.engine.list(&source("nowhere/*.csv")).await.unwrap().files.is_empty());
}

#[tokio::test]
async fn a_fingerprint_is_the_content_s_blake3() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "a\n1\n");
    let print = fixture.engine.fingerprint(&source("a.csv"), "a.csv").await.unwrap();
    assert_eq!(print, blake3::hash(b"a\n1\n").to_hex().to_string());
    assert_error(&fixture.engine.fingerprint(&source("a.csv"), "b.csv").await.unwrap_err(), "not-found", &["b.csv"]);
}

#[tokio::test]
async fn lines_are_counted_as_in_an_editor_for_any_line_ending() {
    for (ending, header) in [("\n", true), ("\r\n", true), ("\n", false), ("\r\n", false)] {
        let fixture = Fixture::new();
        let lines: Vec<&str> = if header { vec!["a,b", "1,2", "3,4", "5"] } else { vec!["1,2", "3,4", "5"] };
        fixture.write("rows.csv", &(lines.join(ending) + ending));
        let mut source = source("rows.csv");
        if !header {
            (source.header, source.columns) = (false, vec!["a".to_owned(), "b".to_owned()]);
        }
        let error = fixture.stage(&StageOptions::from_source(source, &["rows.csv"])).await.unwrap_err();
        assert_error(&error, "source-file", &[&format!("line {}: expected 2 columns, got 1", lines.len())]);
    }
}

#[tokio::test]
async fn local_times_of_text_files_are_of_the_declared_timezone() {
    let fixture = Fixture::new();
    let in_berlin = |files: &str, is_declared| FilesSource {
        local_time: LocalTime { timezone: "Europe/Berlin".into(), is_declared },
        ..source(files)
    };
    fixture.write("a.csv", "at\n2024-07-15 12:00\n2024-07-15T12:00:00Z\n");
    fixture.write("b.jsonl", "{\"at\": \"2024-07-15 12:00\"}\n{\"at\": \"2024-07-15T12:00:00Z\"}\n");
    for (file, instants) in [
        ("a.csv", &["2024-07-15T10:00:00Z", "2024-07-15T12:00:00Z"]),
        ("b.jsonl", &["2024-07-15T10:00:00Z", "2024-07-15T12:00:00Z"]),
    ] {
        let declared = StageOptions::from_source(in_berlin(file, true), &[file]).mode(Mode::Replace);
        let (_, staged) = fixture.load(&declared).await;
        assert_eq!(staged.warnings, Vec::<String>::new(), "{file}");
        let rows = fixture.rows("SELECT at FROM rows ORDER BY at").await;
        assert_eq!(rows, instants.iter().map(|at| vec![json!(at)]).collect::<Vec<_>>(), "{file}");
        let (load, staged) = fixture.stage(&StageOptions::from_source(in_berlin(file, false), &[file])).await.unwrap();
        assert!(staged.warnings[0].contains("read as times of Europe/Berlin"), "{:?}", staged.warnings);
        fixture.engine.discard(load).await.unwrap();
    }
    fixture.write("gap.csv", "at\n2024-03-31 01:30\n2024-03-31 02:30\n");
    let error = fixture.stage(&StageOptions::from_source(in_berlin("gap.csv", true), &["gap.csv"])).await.unwrap_err();
    assert_error(&error, "source-file", &["gap.csv line 3", "`2024-03-31 02:30`", "exists in the timezone"]);
}

#[tokio::test]
async fn numbers_that_become_text_are_a_warning_of_the_load() {
    let fixture = Fixture::new();
    fixture.write("a.csv", "id,x\n18446744073709551615,1\n1,0.5\n");
    let (_, staged) = fixture.load(&StageOptions::files(&["a.csv"])).await;
    let expected =
        "column `id` has numbers that neither an integer of 64 bits nor a float holds exactly, so it is stored as text";
    assert_eq!(staged.warnings, [expected]);
    assert_eq!(fixture.rows("SELECT id FROM rows WHERE x = 1").await, [[json!("18446744073709551615")]]);
}

#[tokio::test]
async fn a_schema_that_could_not_be_read_back_is_refused() {
    let fixture = Fixture::new();
    let nested = |depth: usize| format!("{{\"c\": {}1{}}}\n", "{\"a\": ".repeat(depth), "}".repeat(depth));
    assert!(nested(55).len() < 500);
    let error = fixture.stage(&StageOptions::lines(&nested(55))).await.unwrap_err();
    assert_error(&error, "source-file", &["nested more than 32 deep"]);
    let (load, staged) = fixture.stage(&StageOptions::lines(&nested(32))).await.unwrap();
    let text = serde_json::to_string(&staged).unwrap();
    assert_eq!(serde_json::from_str::<perennial_core::port::data::Staged>(&text).unwrap(), staged);
    assert_eq!(fixture.engine.staged(load).await.unwrap(), Some(staged));
}
