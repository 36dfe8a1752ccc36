//! How deep a text of SQL nests, told before it is parsed: trees are planned and dropped by recursion, and a text of
//! a few pages could outgrow any stack.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{Error, Result};

/// Operators that may nest one in another, at most: `a + b + c` are two.
const DEPTH_MAX: usize = 1_000;

/// An error when `text` may nest deeper than [`DEPTH_MAX`]. What does not read is told by its parser.
pub(super) fn judge_depth(text: &str) -> Result<()> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize() else { return Ok(()) };
    // Of each open bracket, the operators since it or its last comma; the chains of whole queries beside them.
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
            Token::Word(word) if is_of_queries(word.keyword) => queries += 1,
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
                "the SQL nests more than {DEPTH_MAX} operators in one another: split it, or write a long `OR` as `IN (…)`"
            )));
        }
    }
    Ok(())
}

fn is_of_queries(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS | Keyword::JOIN)
}

/// Whether a token may make the tree one deeper.
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
        // Operators, and literals that are rare.
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
    fn a_chain_of_operators_has_a_limit_whatever_it_is_made_of() {
        for operator in ["+", " AND ", "||", "::", " = ", " UNION SELECT ", " JOIN ", " ~ ", " IS NOT "] {
            assert!(judge_depth(&format!("SELECT {}", chain(operator, 400))).is_ok(), "{operator}");
            assert!(judge_depth(&format!("SELECT {}", chain(operator, 2_000))).is_err(), "{operator}");
        }
        for opening in ["(", "[", "f(", "NOT ", "- ", "CASE WHEN "] {
            assert!(judge_depth(&opening.repeat(2_000)).is_err(), "{opening}");
        }
        assert!(judge_depth(&format!("f(1, {})", chain("+f(2, ", 2_000))).is_err());
        assert!(judge_depth(&format!("SELECT 1, 2 {}", "UNION SELECT 1, 2 ".repeat(2_000))).is_err());
    }

    #[test]
    fn what_stands_side_by_side_does_not_nest() {
        let wide = vec!["a + b * coalesce(c, 0) AS d"; 5_000].join(", ");
        assert!(judge_depth(&format!("SELECT {wide} FROM t WHERE x IN ({})", chain(",", 20_000))).is_ok());
        assert!(judge_depth(&format!("SELECT CASE {} END", "WHEN a THEN 1 ".repeat(5_000))).is_ok());
        assert!(judge_depth(&format!("SELECT '{}'", "+".repeat(5_000))).is_ok());
    }
}
