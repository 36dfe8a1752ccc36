use super::parse;
use crate::rule::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, Expression};

#[test]
fn a_parse_error_has_line_column_and_what_was_expected() {
    for (text, line, column, message) in [
        ("", 1, 1, "the expression ends, expected a value"),
        ("candidate.auc >=", 1, 17, "the expression ends, expected a value"),
        ("candidate.auc => 0.5", 1, 15, "`=>` is not an operator, expected `>=`"),
        ("auc = 0.5", 1, 5, "`=` is not an operator, expected `==`"),
        ("a & b", 1, 3, "`&` is not an operator, expected `&&`"),
        ("a |\nb", 1, 3, "`|` is not an operator, expected `||`"),
        ("auc >= 0.5\n&& rows > > 3", 2, 11, "unexpected `>`, expected a value"),
        ("auc >= 0.5 rows", 1, 12, "unexpected `rows`, expected an operator or the end"),
        ("(auc >= 0.5", 1, 12, "the expression ends, expected `)`"),
        ("auc >= 'x", 1, 8, "the text is not closed, expected `'`"),
        ("'\\q' == 'q'", 1, 2, "unknown escape in text, expected for example `\\n` or `\\\\`"),
        ("auc >= 1.2.3", 1, 11, "unexpected `.3`, expected an operator or the end"),
        ("auc >= 12ab", 1, 8, "`12ab` is not a number"),
        ("rows % 2 == 0", 1, 6, "`%` is not available: every number is a double"),
        ("double(rows) > 1", 1, 1, "`double` is not needed: every number is a double"),
        ("slices.al(s, s.auc > 0.5)", 1, 8, "unknown function `al`, did you mean `all`?"),
        (
            "slices.all(s.auc > 0.5)",
            1,
            1,
            "`all` takes a name and a condition, such as `all(s, s.rows > 0)`; found 1 arguments",
        ),
        ("slices.all(s.x, s.auc > 0.5)", 1, 12, "the first argument of `all` names each element, such as `s`"),
        ("has(auc)", 1, 1, "`has` takes a field, such as `has(champion.auc)`"),
        ("{'a': 1}.a == 1", 1, 1, "map literals are not available in rules"),
        ("é > 1", 1, 1, "unexpected character `é`"),
        ("if > 1", 1, 1, "unexpected `if`, expected a value"),
        ("a.in == 1", 1, 3, "unexpected `in`, expected the name of a field"),
    ] {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!((error.line, error.column, error.message.as_str()), (line, column, message), "{text}");
    }
}

#[test]
fn precedence_is_that_of_cel() {
    for (text, clauses) in [
        ("a && b || c", vec!["a && b || c"]),
        ("(a || b) && c.d > 1 + 2 * 3 && !e", vec!["a || b", "c.d > 1 + 2 * 3", "!e"]),
        ("a && (b && c)", vec!["a", "b", "c"]),
        ("a ? b : c && d", vec!["a ? b : c && d"]),
    ] {
        let read = parse(text);
        let found: Vec<&str> = read.root.clauses().into_iter().map(|clause| &text[clause.span.clone()]).collect();
        assert_eq!(found, clauses, "{text}");
    }
}

#[test]
fn the_facts_of_a_rule_leave_out_variables_of_macros() {
    let expression = parse("candidate.slices.all(s, s.auc >= champion.auc) && has(simple.auc)");
    assert_eq!(expression.roots().into_iter().collect::<Vec<_>>(), ["candidate", "champion", "simple"]);
    assert!(expression.root.names("champion") && !expression.root.names("s"));
}

#[test]
fn a_macro_variable_hides_a_fact_only_inside_its_macro() {
    let expression = parse("candidate.slices.all(champion, champion.auc > 0.5)");
    assert!(!expression.root.names("champion"));
    let expression = parse("candidate.slices.all(champion, champion.auc > 0.5) && champion.auc > 0.5");
    assert!(expression.root.names("champion"));
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = |count: usize| format!("{}true{}", "(".repeat(count), ")".repeat(count));
    assert!(Expression::parse(&deep(EXPRESSION_DEPTH_MAX - 1)).is_ok());
    let message = Expression::parse(&deep(EXPRESSION_DEPTH_MAX)).unwrap_err().message;
    assert!(message.contains("nests deeper"), "{message}");

    let long = format!("true{}", " && true".repeat(EXPRESSION_BYTES_MAX));
    assert!(Expression::parse(&long).unwrap_err().message.contains("longer than"));

    for row in [format!("1{} > 0", " + 1".repeat(500)), format!("a{} > 0", ".b".repeat(500))] {
        assert!(Expression::parse(&row).unwrap_err().message.contains("in a row"), "{row}");
    }
}

#[test]
fn an_expression_travels_as_its_text() {
    let expression = parse("auc <\n  0.5 // half");
    let json = serde_json::to_string(&expression).unwrap();
    assert_eq!(serde_json::from_str::<Expression>(&json).unwrap(), expression);
    assert!(serde_json::from_str::<Expression>("\"auc <\"").is_err());
}
