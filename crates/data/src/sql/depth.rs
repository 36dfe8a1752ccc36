//! Bounds the nesting of SQL before it is parsed: plans are built and dropped by recursion, so a text of a few pages
//! could overflow the stack.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{Error, Result};

/// The deepest nesting of operators: `a + b + c` has depth 2.
const DEPTH_MAX: usize = 1_000;

/// Returns an error when `text` may nest deeper than [`DEPTH_MAX`]. Text that cannot be tokenized is left to the parser.
pub(super) fn validate_depth(text: &str) -> Result<()> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize() else { return Ok(()) };
    // For each open bracket, the operators since it or its last comma; chains of queries and joins are counted apart.
    let mut open = vec![0_usize];
    let (mut depth, mut queries) = (0_usize, 0_usize);
    for token in &tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                open.push(1);
                depth += 1;
            }
            Token::RParen | Token::RBracket | Token::RBrace if open.len() > 1 => {
                depth -= open.pop().unwrap_or_default();
            }
            Token::Comma => {
                let bracket = usize::from(open.len() > 1);
                if let Some(last) = open.last_mut() {
                    depth = depth - *last + bracket;
                    *last = bracket;
                }
            }
            Token::Word(word) if chains_queries(word.keyword) => queries += 1,
            token if nests(token) => {
                depth += 1;
                if let Some(last) = open.last_mut() {
                    *last += 1;
                }
            }
            _ => {}
        }
        if depth + queries > DEPTH_MAX {
            return Err(Error::Limit(format!(
                "the SQL nests more than {DEPTH_MAX} operators: split it, or write a long `OR` as `IN (…)`"
            )));
        }
    }
    Ok(())
}

fn chains_queries(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS | Keyword::JOIN)
}

/// Whether a token may increase the depth of the syntax tree.
fn nests(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::AT
                | Keyword::BETWEEN
                | Keyword::CASE
                | Keyword::COLLATE
                | Keyword::DIV
                | Keyword::ILIKE
                | Keyword::IN
                | Keyword::INTERVAL
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::NOT
                | Keyword::OR
                | Keyword::OVERLAPS
                | Keyword::REGEXP
                | Keyword::RLIKE
                | Keyword::SIMILAR
                | Keyword::XOR
        ),
        Token::EOF
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Whitespace(_)
        | Token::Period
        | Token::SemiColon
        | Token::RParen
        | Token::RBracket
        | Token::RBrace => false,
        // Operators, and rare literals.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(of: &str, count: usize) -> String {
        vec!["1"; count].join(of)
    }

    #[test]
    fn chains_of_any_operator_are_limited() {
        for operator in ["+", " AND ", "||", "::", " = ", " UNION SELECT ", " JOIN ", " ~ ", " IS NOT "] {
            assert!(validate_depth(&format!("SELECT {}", chain(operator, 400))).is_ok(), "{operator}");
            assert!(validate_depth(&format!("SELECT {}", chain(operator, 2_000))).is_err(), "{operator}");
        }
        for opening in ["(", "[", "f(", "NOT ", "- ", "CASE WHEN "] {
            assert!(validate_depth(&opening.repeat(2_000)).is_err(), "{opening}");
        }
        assert!(validate_depth(&format!("f(1, {})", chain("+f(2, ", 2_000))).is_err());
        assert!(validate_depth(&format!("SELECT 1, 2 {}", "UNION SELECT 1, 2 ".repeat(2_000))).is_err());
    }

    #[test]
    fn siblings_do_not_nest() {
        let wide = vec!["a + b * coalesce(c, 0) AS d"; 5_000].join(", ");
        assert!(validate_depth(&format!("SELECT {wide} FROM t WHERE x IN ({})", chain(",", 20_000))).is_ok());
        assert!(validate_depth(&format!("SELECT CASE {} END", "WHEN a THEN 1 ".repeat(5_000))).is_ok());
        assert!(validate_depth(&format!("SELECT '{}'", "+".repeat(5_000))).is_ok());
    }
}
