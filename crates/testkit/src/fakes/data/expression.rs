//! The subset of SQL expressions that the fake evaluates: comparisons joined by `AND`.
//!
//! ```text
//! expression := clause (AND clause)*
//! clause     := operand (= | <> | < | <= | > | >=) operand | operand BETWEEN operand AND operand
//!             | operand IN (operand, …) | operand IS [NOT] NULL
//! operand    := number | 'text' | true | false | column | "column" | count(*) | count|sum|avg|min|max(column)
//! ```

use std::cmp::Ordering;

use perennial_core::schema::Schema;
use perennial_core::{Error, ErrorCode, Result};
use serde_json::Value as Json;

use super::cell::Cell;

/// The supported aggregate functions.
const AGGREGATES: [&str; 5] = ["count", "sum", "avg", "min", "max"];

/// A parsed expression.
pub(super) struct Expression(Vec<Clause>);

enum Clause {
    Compare(Operand, String, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    IsNull(Operand, bool),
}

enum Operand {
    Literal(Cell),
    Column(String),
    Aggregate(String, String),
}

/// The rows that an expression is evaluated over: one row, or all of them for aggregates.
pub(super) struct Scope<'a> {
    pub(super) schema: &'a Schema,
    pub(super) rows: &'a [&'a [Cell]],
}

impl Expression {
    /// Parses an expression; [`ErrorCode::Sql`] when it is not in the subset.
    pub(super) fn parse(sql: &str) -> Result<Self> {
        let tokens = tokens(sql);
        let mut parser = Parser { tokens: &tokens, sql };
        let mut clauses = vec![parser.clause()?];
        while parser.accept("AND") {
            clauses.push(parser.clause()?);
        }
        if parser.tokens.is_empty() { Ok(Self(clauses)) } else { Err(parser.unsupported()) }
    }

    /// The columns it names, in order of appearance.
    pub(super) fn columns(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for operand in self.operands() {
            let name = match operand {
                Operand::Column(name) => name,
                Operand::Aggregate(_, name) if name != "*" => name,
                _ => continue,
            };
            if !names.contains(&name.as_str()) {
                names.push(name.as_str());
            }
        }
        names
    }

    /// Whether it is true; `None` when it is null.
    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<Option<bool>> {
        let mut result = Some(true);
        for clause in &self.0 {
            match clause.holds(scope)? {
                Some(false) => return Ok(Some(false)),
                None => result = None,
                Some(true) => {}
            }
        }
        Ok(result)
    }

    /// The aggregates it calls, with their values.
    pub(super) fn aggregates(&self, scope: &Scope<'_>) -> Result<Vec<(String, Json)>> {
        let mut values: Vec<(String, Json)> = Vec::new();
        for operand in self.operands() {
            if let Operand::Aggregate(function, column) = operand {
                let name = format!("{function}({column})");
                if !values.iter().any(|(known, _)| *known == name) {
                    values.push((name, operand.value(scope)?.json()));
                }
            }
        }
        Ok(values)
    }

    fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.0.iter().flat_map(|clause| match clause {
            Clause::Compare(one, _, other) => vec![one, other],
            Clause::Between(value, low, high) => vec![value, low, high],
            Clause::In(value, list) => std::iter::once(value).chain(list).collect(),
            Clause::IsNull(value, _) => vec![value],
        })
    }
}

impl Clause {
    fn holds(&self, scope: &Scope<'_>) -> Result<Option<bool>> {
        let compare = |one: &Operand, other: &Operand| -> Result<Option<Ordering>> {
            Ok(one.value(scope)?.compare(&other.value(scope)?))
        };
        Ok(match self {
            Self::Compare(one, operator, other) => compare(one, other)?.map(|ordering| match operator.as_str() {
                "=" => ordering.is_eq(),
                "<>" => ordering.is_ne(),
                "<" => ordering.is_lt(),
                "<=" => ordering.is_le(),
                ">" => ordering.is_gt(),
                _ => ordering.is_ge(),
            }),
            Self::Between(value, low, high) => {
                let (low, high) = (compare(value, low)?, compare(value, high)?);
                low.zip(high).map(|(low, high)| low.is_ge() && high.is_le())
            }
            Self::In(value, _) if value.value(scope)? == Cell::Null => None,
            Self::In(value, list) => {
                let mut is_in = false;
                for item in list {
                    is_in |= compare(value, item)? == Some(Ordering::Equal);
                }
                Some(is_in)
            }
            Self::IsNull(value, is_null) => Some((value.value(scope)? == Cell::Null) == *is_null),
        })
    }
}

impl Operand {
    fn value(&self, scope: &Scope<'_>) -> Result<Cell> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Column(name) => {
                let column = index_of(scope.schema, name)?;
                Ok(scope.rows.first().map_or(Cell::Null, |row| row[column].clone()))
            }
            Self::Aggregate(_, column) if column == "*" => Ok(Cell::Int(scope.rows.len() as i64)),
            Self::Aggregate(function, column) => {
                let column = index_of(scope.schema, column)?;
                let cells = scope.rows.iter().map(|row| &row[column]).filter(|cell| **cell != Cell::Null);
                let numbers: Vec<f64> = cells.map(Cell::number).collect();
                let sum = || numbers.iter().sum::<f64>();
                Ok(match (function.as_str(), numbers.is_empty()) {
                    ("count", _) => Cell::Int(numbers.len() as i64),
                    (_, true) => Cell::Null,
                    ("sum", _) => Cell::Float(sum()),
                    ("avg", _) => Cell::Float(sum() / numbers.len() as f64),
                    ("min", _) => Cell::Float(numbers.iter().copied().fold(f64::INFINITY, f64::min)),
                    _ => Cell::Float(numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
                })
            }
        }
    }
}

/// The position of a column; [`ErrorCode::Sql`] when the schema does not have it.
pub(super) fn index_of(schema: &Schema, name: &str) -> Result<usize> {
    let found = schema.fields.iter().position(|field| field.name == name);
    found.ok_or_else(|| Error::new(ErrorCode::Sql, format!("column `{name}` does not exist")))
}

struct Parser<'a> {
    tokens: &'a [String],
    sql: &'a str,
}

impl Parser<'_> {
    fn clause(&mut self) -> Result<Clause> {
        let value = self.operand()?;
        if self.accept("IS") {
            let is_null = !self.accept("NOT");
            self.require("NULL")?;
            return Ok(Clause::IsNull(value, is_null));
        }
        if self.accept("BETWEEN") {
            let low = self.operand()?;
            self.require("AND")?;
            return Ok(Clause::Between(value, low, self.operand()?));
        }
        if self.accept("IN") {
            self.require("(")?;
            let mut list = vec![self.operand()?];
            while self.accept(",") {
                list.push(self.operand()?);
            }
            self.require(")")?;
            return Ok(Clause::In(value, list));
        }
        let operator = self.next()?;
        if !["=", "<>", "<", "<=", ">", ">="].contains(&operator.as_str()) {
            return Err(self.unsupported());
        }
        Ok(Clause::Compare(value, operator, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand> {
        let token = self.next()?;
        if let Some(text) = token.strip_prefix('\'') {
            return Ok(Operand::Literal(Cell::Text(text.trim_end_matches('\'').to_owned())));
        }
        if let Some(name) = token.strip_prefix('"') {
            return Ok(Operand::Column(name.trim_end_matches('"').to_owned()));
        }
        if self.accept("(") {
            let column = self.next()?.trim_matches('"').to_owned();
            self.require(")")?;
            let function = token.to_lowercase();
            if function == "to_timestamp_millis" {
                return Ok(Operand::Literal(Cell::parse(&column)));
            }
            let is_known = AGGREGATES.contains(&function.as_str());
            return if is_known { Ok(Operand::Aggregate(function, column)) } else { Err(self.unsupported()) };
        }
        match Cell::parse(&token.to_lowercase()) {
            Cell::Text(_) if token.starts_with(|first: char| first.is_alphabetic()) => Ok(Operand::Column(token)),
            Cell::Text(_) | Cell::Null => Err(self.unsupported()),
            literal => Ok(Operand::Literal(literal)),
        }
    }

    fn next(&mut self) -> Result<String> {
        let (first, rest) = self.tokens.split_first().ok_or_else(|| self.unsupported())?;
        self.tokens = rest;
        Ok(first.clone())
    }

    fn accept(&mut self, word: &str) -> bool {
        let is_next = self.tokens.first().is_some_and(|token| token.eq_ignore_ascii_case(word));
        if is_next {
            self.tokens = &self.tokens[1..];
        }
        is_next
    }

    fn require(&mut self, word: &str) -> Result<()> {
        if self.accept(word) { Ok(()) } else { Err(self.unsupported()) }
    }

    fn unsupported(&self) -> Error {
        Error::new(ErrorCode::Sql, format!("the data engine of the tests does not evaluate `{}`", self.sql))
    }
}

/// Words, numbers, operators, and quoted texts and names with their quotes.
pub(super) fn tokens(sql: &str) -> Vec<String> {
    let is_word = |next: char| next.is_alphanumeric() || "_-.".contains(next);
    let mut tokens = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '<' | '>' if rest[1..].starts_with(['=', '>']) => 2,
            _ if is_word(first) => rest.find(|next| !is_word(next)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}
