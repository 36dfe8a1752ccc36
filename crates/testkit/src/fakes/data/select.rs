//! The subset of SELECT that the fake answers: columns or a count of one table, filtered and ordered.

use perennial_core::Result;
use perennial_core::port::data::NamedTable;
use perennial_core::schema::{Field, Schema, TypeClass};

use super::cell::Cell;
use super::expression::{Expression, Scope, index_of, tokens};
use super::table::Tables;

/// The rows of an answer.
pub(super) struct Selected {
    pub(super) schema: Schema,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// Answers `SELECT *|columns|count(*) FROM table [WHERE expression] [ORDER BY columns]`. `None` when the query is not
/// of this form.
pub(super) fn select(tables: &Tables, sql: &str, named: &[NamedTable]) -> Result<Option<Selected>> {
    let Some(query) = Query::parse(sql) else { return Ok(None) };
    let Some(table) = named.iter().find(|table| table.name == query.table) else { return Ok(None) };
    let version = tables.at(&table.table)?;
    let condition = query.condition.as_deref().map(Expression::parse).transpose()?;
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for row in &version.rows {
        let scope = Scope { schema: &version.schema, rows: &[&row.cells] };
        let holds = condition.as_ref().map(|condition| condition.holds(&scope)).transpose()?;
        if holds.is_none_or(|holds| holds == Some(true)) {
            rows.push(row.cells.clone());
        }
    }
    for name in query.order.iter().rev() {
        let column = index_of(&version.schema, name)?;
        let is_null = |row: &[Cell]| row[column] == Cell::Null;
        rows.sort_by(|a, b| a[column].compare(&b[column]).unwrap_or_else(|| is_null(a).cmp(&is_null(b))));
    }
    if query.columns == ["count(*)"] {
        let field = Field { name: "count(*)".to_owned(), class: TypeClass::Int, nullable: false };
        let count = Cell::Int(rows.len() as i64);
        return Ok(Some(Selected { schema: Schema { fields: vec![field] }, rows: vec![vec![count]] }));
    }
    if query.columns == ["*"] {
        return Ok(Some(Selected { schema: version.schema.clone(), rows }));
    }
    let columns = query.columns.iter().map(|name| index_of(&version.schema, name)).collect::<Result<Vec<_>>>()?;
    let fields = columns.iter().map(|column| version.schema.fields[*column].clone()).collect();
    let chosen = rows.iter().map(|row| columns.iter().map(|column| row[*column].clone()).collect());
    Ok(Some(Selected { schema: Schema { fields }, rows: chosen.collect() }))
}

/// The tables that a query reads: the names after `FROM` and `JOIN`.
pub(super) fn tables(sql: &str) -> Vec<String> {
    let tokens = tokens(sql);
    let is_before = |word: &str| ["FROM", "JOIN"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
    let read = tokens.windows(2).filter(|pair| is_before(&pair[0]));
    let mut names: Vec<String> = read.map(|pair| pair[1].trim_matches('"').to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

struct Query {
    columns: Vec<String>,
    table: String,
    condition: Option<String>,
    order: Vec<String>,
}

impl Query {
    fn parse(sql: &str) -> Option<Self> {
        let tokens = tokens(sql);
        let words: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let position = |word: &str| words.iter().position(|token| token.eq_ignore_ascii_case(word));
        let (from, filter, order) = (position("FROM")?, position("WHERE"), position("ORDER"));
        let end = filter.or(order).unwrap_or(words.len());
        if !words.first()?.eq_ignore_ascii_case("SELECT") || end != from + 2 {
            return None;
        }
        let name = |token: &&str| token.trim_matches('"').to_owned();
        let is_expression = |word: &&str| word.starts_with(['(', '\'']) || word.eq_ignore_ascii_case("AS");
        let columns = match &words[1..from] {
            ["count", "(", "*", ")"] => vec!["count(*)".to_owned()],
            list if list.iter().any(is_expression) => return None,
            list => list.iter().filter(|word| **word != ",").map(name).collect(),
        };
        let condition = filter.map(|filter| words[filter + 1..order.unwrap_or(words.len())].join(" "));
        let order = order.and_then(|order| words.get(order + 2..)).unwrap_or_default();
        let order = order.iter().filter(|word| **word != ",").map(name).collect();
        Some(Self { columns, table: name(&words[from + 1]), condition, order })
    }
}
