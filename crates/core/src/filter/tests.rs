use proptest::prelude::*;

use super::*;

fn metric(key: &str, comparison: Comparison, value: f64) -> RunClause {
    RunClause::Metric(key.to_owned(), comparison, value)
}

fn equal(text: &str) -> TextTest {
    TextTest::Equal(text.to_owned())
}

fn check(filter: &str, expected: &[RunClause]) {
    assert_eq!(parse_run_filter(filter).unwrap(), expected, "{filter}");
}

fn refused(filter: &str, message: &str) {
    let error = parse_run_filter(filter).unwrap_err();
    assert_eq!(error.message(), format!("the filter does not parse {message}"), "{filter}");
}

#[test]
fn an_empty_filter_lets_everything_through_and_a_blank_one_is_refused() {
    check("", &[]);
    assert!(parse_run_filter(" ").is_err());
}

#[test]
fn each_entity_has_its_spellings() {
    for entity in ["metric", "metrics"] {
        check(&format!("{entity}.auc>0.7"), &[metric("auc", Comparison::Greater, 0.7)]);
    }
    for entity in ["param", "params", "parameter", "parameters"] {
        check(&format!("{entity}.k = 'v'"), &[RunClause::Param("k".to_owned(), equal("v"))]);
    }
    for entity in ["tag", "tags"] {
        check(&format!("{entity}.k = \"v\""), &[RunClause::Tag("k".to_owned(), equal("v"))]);
    }
    for name in
        ["run_name", "attributes.run_name", "attr.`Run name`", "run.\"Run Name\"", "`run name`", "attribute.run_name"]
    {
        check(&format!("{name} = 'v'"), &[RunClause::Text(RunText::Name, equal("v"))]);
    }
    check("created >= 5", &[RunClause::Number(RunNumber::Start, Comparison::GreaterOrEqual, 5.0)]);
    check("datasets.context = 'train'", &[RunClause::Dataset(DatasetText::Context, equal("train"))]);
}

#[test]
fn keys_may_hold_dots_blanks_and_quotes() {
    check("metrics.a.b/c-d:e < 1", &[metric("a.b/c-d:e", Comparison::Less, 1.0)]);
    check("metrics.`a = b` < 1", &[metric("a = b", Comparison::Less, 1.0)]);
    check("metrics.\"a `b`\" < 1", &[metric("a `b`", Comparison::Less, 1.0)]);
    check("tags.`mlflow.parentRunId` = 'x'", &[RunClause::Tag("mlflow.parentRunId".to_owned(), equal("x"))]);
    check("params.and = 'and'", &[RunClause::Param("and".to_owned(), equal("and"))]);
}

#[test]
fn numbers_have_their_spellings() {
    for (text, value) in [("1", 1.0), ("-1", -1.0), ("1.", 1.0), ("1e2", 100.0), (".5", 0.5), ("-1.5E-3", -0.0015)] {
        check(&format!("metrics.m != {text}"), &[metric("m", Comparison::NotEqual, value)]);
    }
    for text in ["nan", "inf", "infinity", "1e999", "0x10", "'1'", "--1", ""] {
        assert!(parse_run_filter(&format!("metrics.m = {text}")).is_err(), "{text}");
    }
}

#[test]
fn clauses_hold_together_and_keywords_come_in_any_case() {
    check(
        " metrics.m <= 1\nand\tparams.p LiKe '%a b%' AND tags.t is NOT null and run_id not IN ('a',\"b\" , 'c') AND ",
        &[
            metric("m", Comparison::LessOrEqual, 1.0),
            RunClause::Param("p".to_owned(), TextTest::Like("%a b%".to_owned())),
            RunClause::Tag("t".to_owned(), TextTest::Present),
            RunClause::Text(RunText::RunId, TextTest::NotIn(["a", "b", "c"].map(str::to_owned).to_vec())),
        ],
    );
}

#[test]
fn a_refusal_says_where_and_what_was_expected() {
    refused("metrics.m = 'x'", "at `'x'`: expected a number");
    refused("params.p = 1", "at `1`: expected a text in quotes");
    refused(
        "params.p > 'a'",
        "at `> 'a'`: expected one of `=`, `!=`, `LIKE`, `ILIKE`, `IS NULL`, `IS NOT NULL`, for this is a text",
    );
    refused("status IN ('a')", "at `IN ('a')`: expected one of `=`, `!=`, `LIKE`, `ILIKE`, for this is a text");
    refused(
        "metrics.m LIKE 'a'",
        "at `LIKE 'a'`: expected one of `=`, `!=`, `<`, `<=`, `>`, `>=`, for this is a number",
    );
    refused("metrics.m = 1 OR metrics.m = 2", "at `OR metrics.m = 2`: expected `AND` or the end");
    refused("metrics.m = 1; DROP", "at `; DROP`: expected `AND` or the end");
    refused("metrics. = 1", "at `= 1`: expected a key after the dot");
    refused("tags.`k = 'a'", "at ``k = 'a'`: expected a closing `");
    refused("tags.k = 'a", "at `'a`: expected a closing '");
    refused("tags.k", "at its end: expected a comparison such as `=`, `!=`, `>`, `LIKE`");
    refused("run_id IN ()", "at `)`: expected a text in quotes");
    refused("run_id IN ('a' 'b')", "at `'b')`: expected `,` or `)`");
    refused(
        "datasets.rows = 'a'",
        "at `datasets.rows = 'a'`: expected `dataset.name`, `dataset.digest` or `dataset.context`",
    );
    refused(
        "models.k = 'a'",
        "at `models.k = 'a'`: expected one of `metrics.`, `params.`, `tags.`, `attributes.`, `datasets.`",
    );
    for filter in ["lifecycle_stage = 'active'", "experiment_id = '0'", "(metrics.m = 1)", "NOT metrics.m = 1"] {
        assert!(parse_run_filter(filter).is_err(), "{filter}");
    }
}

#[test]
fn what_grows_has_a_limit() {
    let clause = "metrics.m = 1";
    let filter = |count| vec![clause; count].join(" AND ");
    assert_eq!(parse_run_filter(&filter(100)).unwrap().len(), 100);
    assert!(parse_run_filter(&filter(101)).is_err());
    let list = |count| format!("run_id IN ({})", vec!["'a'"; count].join(","));
    assert!(parse_run_filter(&list(10_000)).is_ok());
    assert!(parse_run_filter(&list(10_001)).is_err());
}

#[test]
fn an_order_goes_up_unless_said() {
    let key = RunKey::Metric("auc".to_owned());
    for (text, is_descending) in [("metrics.auc", false), ("metrics.auc ASC", false), (" metric.`auc` desc ", true)] {
        assert_eq!(parse_run_order(text).unwrap(), RunOrder { key: key.clone(), is_descending }, "{text}");
    }
    assert_eq!(parse_run_order("start_time DESC").unwrap().key, RunKey::Number(RunNumber::Start));
    for text in ["", "metrics.auc DOWN", "metrics.auc DESC ASC", "dataset.name", "metrics."] {
        assert!(parse_run_order(text).is_err(), "{text}");
    }
}

fn keys() -> impl Strategy<Value = String> {
    "[^`]{1,12}"
}

fn texts() -> impl Strategy<Value = String> {
    "[^']{0,12}"
}

fn comparisons() -> impl Strategy<Value = Comparison> {
    use Comparison::*;
    prop_oneof![Just(Equal), Just(NotEqual), Just(Less), Just(LessOrEqual), Just(Greater), Just(GreaterOrEqual)]
}

fn plain_tests() -> BoxedStrategy<TextTest> {
    prop_oneof![
        texts().prop_map(TextTest::Equal),
        texts().prop_map(TextTest::NotEqual),
        texts().prop_map(TextTest::Like),
        texts().prop_map(TextTest::LikeAnyCase),
    ]
    .boxed()
}

fn keyed_tests() -> BoxedStrategy<TextTest> {
    prop_oneof![4 => plain_tests(), 1 => Just(TextTest::Missing), 1 => Just(TextTest::Present)].boxed()
}

fn listed_tests() -> BoxedStrategy<TextTest> {
    let lists = || prop::collection::vec(texts(), 1..4);
    prop_oneof![2 => plain_tests(), 1 => lists().prop_map(TextTest::In), 1 => lists().prop_map(TextTest::NotIn)].boxed()
}

fn clauses() -> BoxedStrategy<RunClause> {
    let plain =
        prop_oneof![Just(RunText::Name), Just(RunText::Status), Just(RunText::ArtifactUri), Just(RunText::UserId)];
    let numbers = prop_oneof![Just(RunNumber::Start), Just(RunNumber::End)];
    let inputs = prop_oneof![Just(DatasetText::Name), Just(DatasetText::Digest), Just(DatasetText::Context)];
    let finite = || any::<f64>().prop_filter("finite", |value| value.is_finite());
    prop_oneof![
        (keys(), comparisons(), finite())
            .prop_map(|(key, comparison, value)| RunClause::Metric(key, comparison, value)),
        (keys(), keyed_tests()).prop_map(|(key, test)| RunClause::Param(key, test)),
        (keys(), keyed_tests()).prop_map(|(key, test)| RunClause::Tag(key, test)),
        (plain, plain_tests()).prop_map(|(text, test)| RunClause::Text(text, test)),
        listed_tests().prop_map(|test| RunClause::Text(RunText::RunId, test)),
        (numbers, comparisons(), finite())
            .prop_map(|(number, comparison, value)| RunClause::Number(number, comparison, value)),
        (inputs, listed_tests()).prop_map(|(text, test)| RunClause::Dataset(text, test)),
    ]
    .boxed()
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(clauses in prop::collection::vec(clauses(), 1..5)) {
        let printed = clauses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" AND ");
        prop_assert_eq!(parse_run_filter(&printed).unwrap(), clauses, "{}", printed);
    }

    #[test]
    fn an_order_printed_parses_to_the_same(key in keys(), is_descending: bool) {
        let order = RunOrder { key: RunKey::Tag(key), is_descending };
        prop_assert_eq!(parse_run_order(&order.to_string()).unwrap(), order);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[ -~é]{0,40}", glued in "(metrics\\.|tags\\.`|= '|IN \\(|AND ){0,6}") {
        drop(parse_run_filter(&text));
        drop(parse_run_filter(&format!("{glued}{text}")));
        drop(parse_run_order(&text));
    }
}

mod experiments {
    use super::*;

    #[test]
    fn a_filter_over_experiments_has_attributes_and_tags() {
        let parsed = parse_experiment_filter(
            "name LIKE 'a%' AND attr.creation_time >= 5 and tags.`my team` IS NULL and experiment_id IN ('1')",
        );
        let expected = [
            ExperimentClause::Name(TextTest::Like("a%".to_owned())),
            ExperimentClause::Number(ExperimentNumber::Created, Comparison::GreaterOrEqual, 5.0),
            ExperimentClause::Tag("my team".to_owned(), TextTest::Missing),
            ExperimentClause::Id(TextTest::In(vec!["1".to_owned()])),
        ];
        assert_eq!(parsed.unwrap(), expected);
        for wrong in [
            " ",
            "metrics.auc > 1",
            "name > 'a'",
            "name IN ('a')",
            "creation_time = 'a'",
            "tags. = 'a'",
            "name = 'a' OR name = 'b'",
        ] {
            assert!(parse_experiment_filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_order_of_experiments_takes_attributes_alone() {
        let order = parse_experiment_order("attribute.last_update_time desc").unwrap();
        assert_eq!(
            order,
            ExperimentOrder { key: ExperimentKey::Number(ExperimentNumber::Updated), is_descending: true }
        );
        assert!(parse_experiment_order("tags.a").is_err() && parse_experiment_order("name sideways").is_err());
    }

    #[test]
    fn like_minds_case_and_takes_wildcards() {
        let passes = |pattern: &str, text: &str| TextTest::Like(pattern.to_owned()).passes(Some(text));
        for (pattern, text) in [
            ("a%", "a"),
            ("%", ""),
            ("%b%d", "abcbd"),
            ("a_c", "abc"),
            ("%%x", "x"),
            ("a%b%c", "aXbXbXc"),
            ("ü_", "üß"),
        ] {
            assert!(passes(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a%", "A"), ("a", "ab"), ("_", ""), ("a%b", "ac"), ("%a", "ab"), ("", "a")] {
            assert!(!passes(pattern, text), "{pattern} {text}");
        }
        assert!(TextTest::LikeAnyCase("A%".to_owned()).passes(Some("ab")));
    }

    #[test]
    fn what_is_missing_passes_one_test_alone() {
        assert!(TextTest::Missing.passes(None) && !TextTest::Missing.passes(Some("")));
        assert!(
            !TextTest::NotEqual("a".to_owned()).passes(None)
                && !TextTest::NotIn(vec![]).passes(None)
                && !TextTest::Present.passes(None)
        );
        assert!(Comparison::NotEqual.holds(f64::NAN, 1.0) && !Comparison::LessOrEqual.holds(f64::NAN, 1.0));
    }
}
