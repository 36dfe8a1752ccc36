//! The tree of an expression; every node knows its bytes in the text.

use std::ops::Range;

/// One node and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Bytes in the text; parentheses around it are not part of it.
    pub(super) span: Range<usize>,
    /// What it is.
    pub(super) kind: Kind,
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
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
    /// A fact, or a variable of a macro around it.
    Name(String),
    Field(Box<Node>, Word),
    Index(Box<Node>, Box<Node>),
    /// `has(operand.field)`
    Has(Box<Node>, Word),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    /// `condition ? yes : no`
    If(Box<Node>, Box<Node>, Box<Node>),
    /// A function with all its arguments, a receiver first.
    Call(Function, Vec<Node>),
    /// A macro over the elements of a list or the keys of a map.
    Each(Box<Each>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Each {
    pub(super) quantifier: Quantifier,
    pub(super) range: Node,
    pub(super) variable: Word,
    /// What is asked of each element; `map` with two arguments asks nothing.
    pub(super) condition: Option<Node>,
    /// What `map` makes of each element.
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
    /// As it is written.
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

    /// As it is written.
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

    /// The nodes on the longest way down, itself among them.
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
            Kind::Each(each) => std::iter::once(&each.range).chain(&each.condition).chain(&each.result).collect(),
        }
    }

    /// Whether the fact `root` is named in it.
    pub(super) fn names(&self, root: &str) -> bool {
        let mut found = false;
        self.free_names(&mut Vec::new(), &mut |name, _| found |= name == root);
        found
    }

    /// Visits every name that no macro around it binds.
    pub(super) fn free_names<'a>(&'a self, bound: &mut Vec<&'a str>, visit: &mut dyn FnMut(&'a str, &'a Range<usize>)) {
        match &self.kind {
            Kind::Name(name) if !bound.contains(&name.as_str()) => visit(name, &self.span),
            Kind::Each(each) => {
                each.range.free_names(bound, visit);
                bound.push(&each.variable.text);
                for node in each.condition.iter().chain(&each.result) {
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
