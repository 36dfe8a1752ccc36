//! From MLflow's grammar to the tree.

use super::{Comparison, DatasetText, RunClause, RunKey, RunNumber, RunOrder, RunText, TextTest};
use crate::error::{Error, ErrorCode, Result};

/// The most clauses a filter may have.
pub const CLAUSES_MAX: usize = 100;

/// The most texts a list may have.
pub const LIST_MAX: usize = 10_000;

/// What is named on the left of a comparison, or ordered by.
enum Subject {
    Metric(String),
    Param(String),
    Tag(String),
    Text(RunText),
    Number(RunNumber),
    Dataset(DatasetText),
}

/// What stands between subject and value.
pub(super) enum Operator {
    Compare(Comparison),
    Like,
    LikeAnyCase,
    In,
    NotIn,
    IsNull,
    IsNotNull,
}

/// Parses a filter over runs. The empty text is a filter without clauses; one of blanks alone is refused.
pub fn parse_run_filter(text: &str) -> Result<Vec<RunClause>> {
    clauses(text, clause)
}

/// Parses what `clause` reads, joined by `AND`; the empty text holds none.
pub(super) fn clauses<T>(text: &str, clause: fn(&mut Reader<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut clauses = Vec::new();
    if text.is_empty() {
        return Ok(clauses);
    }
    let mut reader = Reader { text, at: 0 };
    loop {
        clauses.push(clause(&mut reader)?);
        if clauses.len() > CLAUSES_MAX {
            return Err(reader.refuse(&format!("a filter has {CLAUSES_MAX} clauses at most")));
        }
        if reader.is_at_end() {
            return Ok(clauses);
        }
        if !reader.keyword("and") {
            return Err(reader.refuse("expected `AND` or the end"));
        }
        if reader.is_at_end() {
            return Ok(clauses);
        }
    }
}

/// Parses one key of an order: `entity.key`, then `ASC` (the default) or `DESC`.
pub fn parse_run_order(text: &str) -> Result<RunOrder> {
    let mut reader = Reader { text, at: 0 };
    let start = reader.at;
    let key = match subject(&mut reader)? {
        Subject::Metric(key) => RunKey::Metric(key),
        Subject::Param(key) => RunKey::Param(key),
        Subject::Tag(key) => RunKey::Tag(key),
        Subject::Text(text) => RunKey::Text(text),
        Subject::Number(number) => RunKey::Number(number),
        Subject::Dataset(_) => {
            reader.at = start;
            return Err(reader.refuse("expected a metric, param, tag or attribute: runs are not ordered by datasets"));
        }
    };
    Ok(RunOrder { key, is_descending: reader.direction()? })
}

fn clause(reader: &mut Reader<'_>) -> Result<RunClause> {
    let subject = subject(reader)?;
    let start = reader.at;
    let operator = operator(reader)?;
    match subject {
        Subject::Metric(key) => {
            let (comparison, value) = number_test(reader, start, &operator)?;
            Ok(RunClause::Metric(key, comparison, value))
        }
        Subject::Number(number) => {
            let (comparison, value) = number_test(reader, start, &operator)?;
            Ok(RunClause::Number(number, comparison, value))
        }
        Subject::Param(key) => Ok(RunClause::Param(key, text_test(reader, start, operator, Allowed::Null)?)),
        Subject::Tag(key) => Ok(RunClause::Tag(key, text_test(reader, start, operator, Allowed::Null)?)),
        Subject::Dataset(text) => Ok(RunClause::Dataset(text, text_test(reader, start, operator, Allowed::List)?)),
        Subject::Text(text) => {
            let allowed = if text == RunText::RunId { Allowed::List } else { Allowed::Plain };
            Ok(RunClause::Text(text, text_test(reader, start, operator, allowed)?))
        }
    }
}

/// Which tests a text takes beside `=`, `!=`, `LIKE` and `ILIKE`.
#[derive(PartialEq)]
pub(super) enum Allowed {
    Plain,
    Null,
    List,
}

pub(super) fn number_test(reader: &mut Reader<'_>, start: usize, operator: &Operator) -> Result<(Comparison, f64)> {
    let Operator::Compare(comparison) = operator else {
        reader.at = start;
        return Err(reader.refuse("expected one of `=`, `!=`, `<`, `<=`, `>`, `>=`, for this is a number"));
    };
    Ok((*comparison, reader.number()?))
}

pub(super) fn text_test(
    reader: &mut Reader<'_>,
    start: usize,
    operator: Operator,
    allowed: Allowed,
) -> Result<TextTest> {
    match operator {
        Operator::Compare(Comparison::Equal) => Ok(TextTest::Equal(reader.string()?)),
        Operator::Compare(Comparison::NotEqual) => Ok(TextTest::NotEqual(reader.string()?)),
        Operator::Like => Ok(TextTest::Like(reader.string()?)),
        Operator::LikeAnyCase => Ok(TextTest::LikeAnyCase(reader.string()?)),
        Operator::In if allowed == Allowed::List => Ok(TextTest::In(reader.list()?)),
        Operator::NotIn if allowed == Allowed::List => Ok(TextTest::NotIn(reader.list()?)),
        Operator::IsNull if allowed == Allowed::Null => Ok(TextTest::Missing),
        Operator::IsNotNull if allowed == Allowed::Null => Ok(TextTest::Present),
        _ => {
            reader.at = start;
            let more = match allowed {
                Allowed::Plain => "",
                Allowed::Null => ", `IS NULL`, `IS NOT NULL`",
                Allowed::List => ", `IN`, `NOT IN`",
            };
            Err(reader.refuse(&format!("expected one of `=`, `!=`, `LIKE`, `ILIKE`{more}, for this is a text")))
        }
    }
}

fn subject(reader: &mut Reader<'_>) -> Result<Subject> {
    reader.skip_blanks();
    let start = reader.at;
    if let Some(name) = reader.quoted(&['`', '"'])? {
        return attribute(reader, start, &name);
    }
    let plain = reader.plain();
    let (entity, key) = match plain.split_once('.') {
        None => return attribute(reader, start, plain),
        Some((entity, "")) => (entity, reader.quoted(&['`', '"'])?.unwrap_or_default()),
        Some((entity, key)) => (entity, key.to_owned()),
    };
    if key.is_empty() {
        return Err(reader.refuse("expected a key after the dot"));
    }
    match entity {
        "metric" | "metrics" => Ok(Subject::Metric(key)),
        "param" | "params" | "parameter" | "parameters" => Ok(Subject::Param(key)),
        "tag" | "tags" => Ok(Subject::Tag(key)),
        "attribute" | "attributes" | "attr" | "run" => attribute(reader, start, &key),
        "dataset" | "datasets" => match key.as_str() {
            "name" => Ok(Subject::Dataset(DatasetText::Name)),
            "digest" => Ok(Subject::Dataset(DatasetText::Digest)),
            "context" => Ok(Subject::Dataset(DatasetText::Context)),
            _ => {
                reader.at = start;
                Err(reader.refuse("expected `dataset.name`, `dataset.digest` or `dataset.context`"))
            }
        },
        _ => {
            reader.at = start;
            Err(reader.refuse("expected one of `metrics.`, `params.`, `tags.`, `attributes.`, `datasets.`"))
        }
    }
}

fn attribute(reader: &mut Reader<'_>, start: usize, name: &str) -> Result<Subject> {
    match name {
        "run_id" => Ok(Subject::Text(RunText::RunId)),
        "run_name" | "run name" | "Run name" | "Run Name" => Ok(Subject::Text(RunText::Name)),
        "status" => Ok(Subject::Text(RunText::Status)),
        "artifact_uri" => Ok(Subject::Text(RunText::ArtifactUri)),
        "user_id" => Ok(Subject::Text(RunText::UserId)),
        "start_time" | "created" => Ok(Subject::Number(RunNumber::Start)),
        "end_time" => Ok(Subject::Number(RunNumber::End)),
        _ => {
            reader.at = start;
            Err(reader.refuse(
                "expected `metrics.`, `params.`, `tags.`, `datasets.` with a key, or one of `run_id`, `run_name`, `status`, \
                 `artifact_uri`, `user_id`, `start_time`, `end_time`",
            ))
        }
    }
}

pub(super) fn operator(reader: &mut Reader<'_>) -> Result<Operator> {
    reader.skip_blanks();
    // Longer ones first.
    for (sign, comparison) in [
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ] {
        if reader.rest().starts_with(sign) {
            reader.at += sign.len();
            return Ok(Operator::Compare(comparison));
        }
    }
    let start = reader.at;
    if reader.keyword("like") {
        return Ok(Operator::Like);
    }
    if reader.keyword("ilike") {
        return Ok(Operator::LikeAnyCase);
    }
    if reader.keyword("in") {
        return Ok(Operator::In);
    }
    if reader.keyword("not") && reader.keyword("in") {
        return Ok(Operator::NotIn);
    }
    if reader.keyword("is") {
        let is_not = reader.keyword("not");
        if reader.keyword("null") {
            return Ok(if is_not { Operator::IsNotNull } else { Operator::IsNull });
        }
    }
    reader.at = start;
    Err(reader.refuse("expected a comparison such as `=`, `!=`, `>`, `LIKE`"))
}

/// Reads a filter from left to right.
pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest().is_empty()
    }

    /// An error that shows the place.
    pub(super) fn refuse(&self, expected: &str) -> Error {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let seen: String = self.rest().trim_start().chars().take(30).map(printable).collect();
        let place = if seen.is_empty() { "at its end".to_owned() } else { format!("at `{seen}`") };
        Error::new(ErrorCode::InvalidArgument, format!("the filter does not parse {place}: {expected}"))
    }

    /// Parses `ASC` (the default) or `DESC`, then the end of the text; returns whether the order is descending.
    pub(super) fn direction(&mut self) -> Result<bool> {
        let is_descending = self.keyword("desc");
        if !is_descending {
            self.keyword("asc");
        }
        if self.is_at_end() { Ok(is_descending) } else { Err(self.refuse("expected `ASC`, `DESC` or the end")) }
    }

    /// Takes a keyword in any case, if it is next and ends there.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let rest = self.rest();
        let is_next = rest.get(..word.len()).is_some_and(|next| next.eq_ignore_ascii_case(word));
        let ends = rest
            .get(word.len()..)
            .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.'));
        if is_next && ends {
            self.at += word.len();
        }
        is_next && ends
    }

    /// Takes characters up to a blank, quote, comparison or bracket.
    pub(super) fn plain(&mut self) -> &'t str {
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || "=<>!'\"`(),;".contains(c);
        let plain = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += plain.len();
        plain
    }

    /// Takes a text in one of some quotes, if one is next.
    pub(super) fn quoted(&mut self, quotes: &[char]) -> Result<Option<String>> {
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|next| quotes.contains(next)) else { return Ok(None) };
        let Some(length) = rest[1..].find(quote) else {
            return Err(self.refuse(&format!("expected a closing {quote}")));
        };
        self.at += length + 2;
        Ok(Some(rest[1..=length].to_owned()))
    }

    fn string(&mut self) -> Result<String> {
        self.skip_blanks();
        match self.quoted(&['\'', '"'])? {
            Some(text) => Ok(text),
            None => Err(self.refuse("expected a text in quotes")),
        }
    }

    fn number(&mut self) -> Result<f64> {
        self.skip_blanks();
        let start = self.at;
        let plain = self.plain();
        let is_number = plain.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && plain.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        match plain.parse::<f64>() {
            Ok(number) if is_number && number.is_finite() => Ok(number),
            _ => {
                self.at = start;
                Err(self.refuse("expected a number"))
            }
        }
    }

    fn list(&mut self) -> Result<Vec<String>> {
        self.skip_blanks();
        if !self.rest().starts_with('(') {
            return Err(self.refuse("expected a list such as `('a', 'b')`"));
        }
        self.at += 1;
        let mut texts = vec![self.string()?];
        loop {
            self.skip_blanks();
            let next = self.rest().chars().next();
            if next == Some(')') {
                self.at += 1;
                return Ok(texts);
            }
            if next != Some(',') {
                return Err(self.refuse("expected `,` or `)`"));
            }
            if texts.len() == LIST_MAX {
                return Err(self.refuse(&format!("a list has {LIST_MAX} texts at most")));
            }
            self.at += 1;
            texts.push(self.string()?);
        }
    }
}
