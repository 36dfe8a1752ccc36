//! The syntax tree of an expression; every node has its span in the text.

use std::ops::Range;

/// A node and its span.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Bytes in the text, without enclosing parentheses.
    pub(super) span: Range<usize>,
    /// The kind of node.
    pub(super) kind: Kind,
}

/// A name and its span.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Identifier {
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Bool(bool),
    Text(String),
    Null,
    List(Vec<Node>),
    /// A fact, or a variable of an enclosing macro.
    Name(String),
    Field(Box<Node>, Identifier),
    Index(Box<Node>, Box<Node>),
    /// `has(operand.field)`
    Has(Box<Node>, Identifier),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    /// `condition ? yes : no`
    If(Box<Node>, Box<Node>, Box<Node>),
    /// A function with all its arguments, a receiver first.
    Call(Function, Vec<Node>),
    /// A macro over the elements of a list or the keys of a map.
    Comprehension(Box<Comprehension>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comprehension {
    pub(super) quantifier: Quantifier,
    pub(super) range: Node,
    pub(super) variable: Identifier,
    /// The condition on each element; `map` with two arguments has none.
    pub(super) condition: Option<Node>,
    /// The result of `map` for each element.
    pub(super) result: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Operator {
    /// The spelling.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Abs,
    Least,
    Greatest,
}

impl Function {
    /// Every function.
    pub(super) const ALL: [Self; 7] =
        [Self::Size, Self::Contains, Self::StartsWith, Self::EndsWith, Self::Abs, Self::Least, Self::Greatest];

    /// The spelling.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Abs => "math.abs",
            Self::Least => "math.least",
            Self::Greatest => "math.greatest",
        }
    }
}

impl Node {
    /// The clauses joined by top-level `&&`, in order.
    pub(super) fn clauses(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Binary(Operator::And, left, right) => {
                let mut clauses = left.clauses();
                clauses.extend(right.clauses());
                clauses
            }
            _ => vec![self],
        }
    }

    /// The number of nodes on the longest path down, including itself.
    pub(super) fn depth(&self) -> usize {
        1 + self.children().into_iter().map(Self::depth).max().unwrap_or(0)
    }

    fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Number(_) | Kind::Bool(_) | Kind::Text(_) | Kind::Null | Kind::Name(_) => Vec::new(),
            Kind::Field(inner, _) | Kind::Has(inner, _) | Kind::Not(inner) | Kind::Negate(inner) => vec![inner],
            Kind::Index(left, right) | Kind::Binary(_, left, right) => vec![left, right],
            Kind::If(condition, yes, no) => vec![condition, yes, no],
            Kind::List(nodes) | Kind::Call(_, nodes) => nodes.iter().collect(),
            Kind::Comprehension(comprehension) => std::iter::once(&comprehension.range)
                .chain(&comprehension.condition)
                .chain(&comprehension.result)
                .collect(),
        }
    }

    /// Whether it names the fact `root`.
    pub(super) fn names(&self, root: &str) -> bool {
        let mut found = false;
        self.free_names(&mut Vec::new(), &mut |name, _| found |= name == root);
        found
    }

    /// Visits every name that no enclosing macro binds.
    pub(super) fn free_names<'a>(&'a self, bound: &mut Vec<&'a str>, visit: &mut dyn FnMut(&'a str, &'a Range<usize>)) {
        match &self.kind {
            Kind::Name(name) if !bound.contains(&name.as_str()) => visit(name, &self.span),
            Kind::Comprehension(comprehension) => {
                comprehension.range.free_names(bound, visit);
                bound.push(&comprehension.variable.text);
                for node in comprehension.condition.iter().chain(&comprehension.result) {
                    node.free_names(bound, visit);
                }
                bound.pop();
            }
            _ => {
                for child in self.children() {
                    child.free_names(bound, visit);
                }
            }
        }
    }
}
