//! Parses expressions by precedence.

use std::ops::Range;

use super::lexer::{RESERVED_WORDS, SyntaxError, Token, tokens};
use super::syntax::{Comprehension, Function, Identifier, Kind, Node, Operator, Quantifier};
use super::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};

/// Parses a whole expression.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err((0..text.len(), format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes")));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
    let node = parser.expression()?;
    if *parser.peek() != Token::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    // Operators and fields in a row deepen the tree without nesting.
    if node.depth() > TREE_DEPTH_MAX {
        return Err((0..text.len(), format!("more than {TREE_DEPTH_MAX} operators or fields in a row")));
    }
    Ok(node)
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<(Range<usize>, Token)>,
    at: usize,
    depth: usize,
}

/// How deep a tree may be, so that walking it never exhausts a small stack.
const TREE_DEPTH_MAX: usize = 192;

/// Binary operators from loosest to tightest.
const LEVELS: [&[(&str, Operator)]; 5] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessEqual),
        (">=", Operator::GreaterEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("in", Operator::In),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide)],
];

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    fn span(&self) -> Range<usize> {
        self.tokens[self.at].0.clone()
    }

    fn advance(&mut self) -> Range<usize> {
        let span = self.span();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        span
    }

    fn is(&self, sign: &str) -> bool {
        match self.peek() {
            Token::Sign(found) => *found == sign,
            Token::Name(name) => sign == "in" && name == "in",
            _ => false,
        }
    }

    fn expect(&mut self, sign: &str) -> Result<Range<usize>, SyntaxError> {
        if self.is(sign) { Ok(self.advance()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        let message = match self.peek() {
            Token::End => format!("the expression ends, expected {expected}"),
            Token::Sign("%") => "`%` is not available: every number is a double".to_owned(),
            _ => format!("unexpected `{}`, expected {expected}", &self.text[self.span()]),
        };
        (self.span(), message)
    }

    fn expression(&mut self) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            return Err((self.span(), format!("the expression nests deeper than {EXPRESSION_DEPTH_MAX}")));
        }
        let condition = self.binary(0)?;
        let node = if self.is("?") {
            self.advance();
            let yes = self.binary(0)?;
            self.expect(":")?;
            let no = self.expression()?;
            let span = condition.span.start..no.span.end;
            Node { span, kind: Kind::If(Box::new(condition), Box::new(yes), Box::new(no)) }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn binary(&mut self, level: usize) -> Result<Node, SyntaxError> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.is(sign)) {
            self.advance();
            let right = self.binary(level + 1)?;
            let span = left.span.start..right.span.end;
            left = Node { span, kind: Kind::Binary(*operator, Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, SyntaxError> {
        let sign = if self.is("!") {
            "!"
        } else if self.is("-") {
            "-"
        } else {
            return self.member();
        };
        let start = self.span().start;
        let mut is_odd = false;
        while self.is(sign) {
            self.advance();
            is_odd = !is_odd;
        }
        let inner = self.member()?;
        let span = start..inner.span.end;
        let kind = match (sign, inner.kind) {
            // `-1` is a literal, so that it reads as one value.
            ("-", Kind::Number(value)) => Kind::Number(if is_odd { -value } else { value }),
            ("-", kind) if is_odd => Kind::Negate(Box::new(Node { span: inner.span, kind })),
            ("-", kind) => Kind::Negate(Box::new(Node {
                span: span.clone(),
                kind: Kind::Negate(Box::new(Node { span: inner.span, kind })),
            })),
            (_, kind) if is_odd => Kind::Not(Box::new(Node { span: inner.span, kind })),
            (_, kind) => Kind::Not(Box::new(Node {
                span: span.clone(),
                kind: Kind::Not(Box::new(Node { span: inner.span, kind })),
            })),
        };
        Ok(Node { span, kind })
    }

    fn member(&mut self) -> Result<Node, SyntaxError> {
        let mut node = self.primary()?;
        loop {
            if self.is(".") {
                self.advance();
                let field = self.identifier("the name of a field")?;
                node = if self.is("(") { self.method(node, field)? } else { select(node, field) };
            } else if self.is("[") {
                self.advance();
                let index = self.expression()?;
                let end = self.expect("]")?.end;
                node = Node { span: node.span.start..end, kind: Kind::Index(Box::new(node), Box::new(index)) };
            } else {
                return Ok(node);
            }
        }
    }

    fn identifier(&mut self, expected: &str) -> Result<Identifier, SyntaxError> {
        match self.peek() {
            Token::Name(name) if !matches!(name.as_str(), "true" | "false" | "null" | "in") => {
                let text = name.clone();
                Ok(Identifier { span: self.advance(), text })
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn primary(&mut self) -> Result<Node, SyntaxError> {
        let span = self.span();
        match self.peek().clone() {
            Token::Number(value) => {
                self.advance();
                Ok(Node { span, kind: Kind::Number(value) })
            }
            Token::Text(value) => {
                self.advance();
                Ok(Node { span, kind: Kind::Text(value) })
            }
            Token::Name(name) => self.named(name),
            Token::Sign("(") => {
                self.advance();
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("[") => {
                self.advance();
                let (elements, end) = self.arguments("]")?;
                Ok(Node { span: span.start..end, kind: Kind::List(elements) })
            }
            Token::Sign("{") => Err((span, "map literals are not available in rules".to_owned())),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn named(&mut self, name: String) -> Result<Node, SyntaxError> {
        let literal = match name.as_str() {
            "true" => Some(Kind::Bool(true)),
            "false" => Some(Kind::Bool(false)),
            "null" => Some(Kind::Null),
            _ => None,
        };
        if let Some(kind) = literal {
            return Ok(Node { span: self.advance(), kind });
        }
        if RESERVED_WORDS.contains(&name.as_str()) {
            return Err(self.unexpected("a value"));
        }
        let span = self.advance();
        if self.is("(") {
            return self.function(&Identifier { span, text: name });
        }
        Ok(Node { span, kind: Kind::Name(name) })
    }

    /// Elements up to the closing sign, and where it ends; a list may have a comma after its last.
    fn arguments(&mut self, close: &str) -> Result<(Vec<Node>, usize), SyntaxError> {
        let mut nodes = Vec::new();
        if !self.is(close) {
            loop {
                nodes.push(self.expression()?);
                if !self.is(",") {
                    break;
                }
                self.advance();
                if close == "]" && self.is(close) {
                    break;
                }
            }
        }
        Ok((nodes, self.expect(close)?.end))
    }

    fn function(&mut self, name: &Identifier) -> Result<Node, SyntaxError> {
        self.advance();
        let (mut arguments, end) = self.arguments(")")?;
        let span = name.span.start..end;
        match (name.text.as_str(), arguments.len()) {
            ("size", 1) => Ok(Node { span, kind: Kind::Call(Function::Size, arguments) }),
            ("has", 1) => match arguments.swap_remove(0).kind {
                Kind::Field(operand, field) => Ok(Node { span, kind: Kind::Has(operand, field) }),
                _ => Err((span, "`has` takes a field, such as `has(champion.auc)`".to_owned())),
            },
            ("size" | "has", count) => Err((span, format!("`{}` takes 1 argument, found {count}", name.text))),
            ("double" | "int" | "uint", _) => {
                Err((name.span.clone(), format!("`{}` is not needed: every number is a double", name.text)))
            }
            _ => Err(unknown_function(name)),
        }
    }

    fn method(&mut self, receiver: Node, name: Identifier) -> Result<Node, SyntaxError> {
        self.advance();
        let (mut arguments, end) = self.arguments(")")?;
        let span = receiver.span.start..end;
        let quantifier = match name.text.as_str() {
            "all" => Some(Quantifier::All),
            "exists" => Some(Quantifier::Exists),
            "exists_one" | "existsOne" => Some(Quantifier::ExistsOne),
            "filter" => Some(Quantifier::Filter),
            "map" => Some(Quantifier::Map),
            _ => None,
        };
        if let Some(quantifier) = quantifier {
            return comprehension(quantifier, &name, receiver, arguments, span);
        }
        let is_math = receiver.kind == Kind::Name("math".to_owned());
        let (function, least, most) = match (is_math, name.text.as_str()) {
            (false, "size") => (Function::Size, 0, 0),
            (false, "contains") => (Function::Contains, 1, 1),
            (false, "startsWith") => (Function::StartsWith, 1, 1),
            (false, "endsWith") => (Function::EndsWith, 1, 1),
            (true, "abs") => (Function::Abs, 1, 1),
            (true, "least") => (Function::Least, 1, usize::MAX),
            (true, "greatest") => (Function::Greatest, 1, usize::MAX),
            _ => return Err(unknown_function(&name)),
        };
        if !(least..=most).contains(&arguments.len()) {
            return Err((span, format!("`{}` takes {least} arguments, found {}", function.as_str(), arguments.len())));
        }
        if !is_math {
            arguments.insert(0, receiver);
        }
        Ok(Node { span, kind: Kind::Call(function, arguments) })
    }
}

fn select(operand: Node, field: Identifier) -> Node {
    Node { span: operand.span.start..field.span.end, kind: Kind::Field(Box::new(operand), field) }
}

fn comprehension(
    quantifier: Quantifier,
    name: &Identifier,
    range: Node,
    mut arguments: Vec<Node>,
    span: Range<usize>,
) -> Result<Node, SyntaxError> {
    let is_wrong = arguments.len() != 2 && !(quantifier == Quantifier::Map && arguments.len() == 3);
    if is_wrong {
        let count = arguments.len();
        return Err((
            span,
            format!(
                "`{}` takes a name and a condition, such as `{}(s, s.rows > 0)`; found {count} arguments",
                name.text, name.text
            ),
        ));
    }
    let first = arguments.remove(0);
    let Kind::Name(variable) = first.kind else {
        return Err((first.span, format!("the first argument of `{}` names each element, such as `s`", name.text)));
    };
    let last = arguments.pop();
    let (condition, result) = if quantifier == Quantifier::Map { (arguments.pop(), last) } else { (last, None) };
    let variable = Identifier { span: first.span, text: variable };
    Ok(Node {
        span,
        kind: Kind::Comprehension(Box::new(Comprehension { quantifier, range, variable, condition, result })),
    })
}

fn unknown_function(name: &Identifier) -> SyntaxError {
    const MACROS: [&str; 6] = ["has", "all", "exists", "exists_one", "filter", "map"];
    let known = Function::ALL.into_iter().map(Function::as_str).chain(MACROS);
    let message = match crate::rule::check::nearest(&name.text, known) {
        Some(near) => format!("unknown function `{}`, did you mean `{near}`?", name.text),
        None => format!("unknown function `{}`", name.text),
    };
    (name.span.clone(), message)
}
