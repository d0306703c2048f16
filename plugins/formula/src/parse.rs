//! Words to an expression. The grammar is written out in `docs/formula.md`.

use crate::lex::{Token, words};
use crate::problem::{Problem, Span};
use crate::syntax::{Comparison, Kind, Node};

/// Characters of one text: several screens, and what a person can still review.
pub(crate) const LENGTH_MAX: usize = 4_000;
/// Parentheses, calls and signs inside one another. A component's stack is 128 KiB, and every level takes a part of it.
const DEPTH_MAX: u32 = 32;
/// Parts of one text. Each is worked through for every charge that no closed form describes.
const NODES_MAX: u32 = 500;

/// # Errors
/// Where the text stops making sense.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    if text.chars().nth(LENGTH_MAX).is_some() {
        return Err(Problem::at(Span { start: 1, end: 1 }, format!("longer than {LENGTH_MAX} characters: split it into cases")));
    }
    let mut parser = Parser { tokens: words(text)?, next: 0, depth: 0, nodes: 0 };
    let node = parser.any()?;
    match parser.peek() {
        Token::End => Ok(node),
        found => Err(Problem::at(parser.span(), format!("expected an operator or the end, found {}", found.told()))),
    }
}

struct Parser {
    /// Ends with [`Token::End`].
    tokens: Vec<(Token, Span)>,
    next: usize,
    depth: u32,
    nodes: u32,
}

type Parsed = Result<Node, Problem>;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn span(&self) -> Span {
        self.tokens[self.next].1
    }

    /// The end stays where it is.
    fn step(&mut self) -> Span {
        let span = self.span();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        span
    }

    fn takes(&mut self, sign: &str) -> bool {
        let taken = matches!(self.peek(), Token::Sign(found) if *found == sign);
        if taken {
            self.step();
        }
        taken
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let taken = self.is_word(word);
        if taken {
            self.step();
        }
        taken
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn expect(&mut self, sign: &str) -> Result<Span, Problem> {
        let span = self.span();
        if self.takes(sign) {
            return Ok(span);
        }
        Err(Problem::at(span, format!("expected \"{sign}\", found {}", self.peek().told())))
    }

    fn node(&mut self, kind: Kind, span: Span) -> Parsed {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Problem::at(span, format!("more than {NODES_MAX} parts: split it into cases")));
        }
        Ok(Node { kind, span })
    }

    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Problem::at(self.span(), format!("nested more than {DEPTH_MAX} deep")));
        }
        let node = parse(self);
        self.depth -= 1;
        node
    }

    fn any(&mut self) -> Parsed {
        self.chain("or", Self::all, Kind::Any)
    }

    fn all(&mut self) -> Parsed {
        self.chain("and", Self::not, Kind::All)
    }

    /// `one word one word one`, flat, so that its length costs no depth.
    fn chain(&mut self, word: &str, mut one: impl FnMut(&mut Self) -> Parsed, kind: fn(Vec<Node>) -> Kind) -> Parsed {
        let first = one(self)?;
        let mut nodes = vec![first];
        while self.takes_word(word) {
            nodes.push(one(self)?);
        }
        match nodes.len() {
            1 => Ok(nodes.remove(0)),
            last => {
                let span = nodes[0].span.to(nodes[last - 1].span);
                self.node(kind(nodes), span)
            }
        }
    }

    fn not(&mut self) -> Parsed {
        if !self.is_word("not") {
            return self.comparison();
        }
        let start = self.step();
        let inner = self.deeper(Self::not)?;
        let span = start.to(inner.span);
        self.node(Kind::Not(Box::new(inner)), span)
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        if let Token::Sign(sign) = self.peek()
            && let Some(comparison) = Comparison::of(sign)
        {
            self.step();
            let right = self.sum()?;
            if matches!(self.peek(), Token::Sign(sign) if Comparison::of(sign).is_some()) {
                return Err(Problem::at(self.span(), "comparisons do not chain: write a < b and b < c"));
            }
            let span = left.span.to(right.span);
            return self.node(Kind::Compared(comparison, Box::new(left), Box::new(right)), span);
        }
        if self.takes_word("is") {
            let negated = self.takes_word("not");
            let end = self.span();
            if !self.takes_word("null") {
                return Err(Problem::at(end, format!("expected null after is, found {}", self.peek().told())));
            }
            let span = left.span.to(end);
            return self.node(Kind::IsNull(Box::new(left), negated), span);
        }
        let negated = self.is_word("not")
            && matches!(self.tokens.get(self.next + 1), Some((Token::Word(word), _)) if word.eq_ignore_ascii_case("in"));
        if negated {
            self.step();
        }
        if self.takes_word("in") {
            self.expect("(")?;
            let (items, end) = self.arguments()?;
            let span = left.span.to(end);
            if items.is_empty() {
                return Err(Problem::at(span, "the list of values is empty"));
            }
            return self.node(Kind::In(Box::new(left), items, negated), span);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        self.signed(Self::product, ["+", "-"], Kind::Sum)
    }

    fn product(&mut self) -> Parsed {
        self.signed(Self::unary, ["*", "/"], Kind::Product)
    }

    fn signed(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Parsed,
        [plain, inverse]: [&str; 2],
        kind: fn(Vec<(bool, Node)>) -> Kind,
    ) -> Parsed {
        let first = one(self)?;
        let mut nodes = vec![(false, first)];
        loop {
            let inverted = if self.takes(plain) {
                false
            } else if self.takes(inverse) {
                true
            } else {
                break;
            };
            nodes.push((inverted, one(self)?));
        }
        match nodes.len() {
            1 => Ok(nodes.remove(0).1),
            last => {
                let span = nodes[0].1.span.to(nodes[last - 1].1.span);
                self.node(kind(nodes), span)
            }
        }
    }

    fn unary(&mut self) -> Parsed {
        if !matches!(self.peek(), Token::Sign("-")) {
            return self.value();
        }
        let start = self.step();
        let inner = self.deeper(Self::unary)?;
        let span = start.to(inner.span);
        self.node(Kind::Negative(Box::new(inner)), span)
    }

    fn value(&mut self) -> Parsed {
        let span = self.span();
        let token = self.peek().clone();
        match token {
            Token::Number(number) => {
                self.step();
                self.node(Kind::Number(number), span)
            }
            Token::Text(text) => {
                self.step();
                self.node(Kind::Text(text), span)
            }
            Token::Column(name) => {
                self.step();
                self.node(Kind::Column(name), span)
            }
            Token::Sign("(") => {
                self.step();
                let inner = self.deeper(Self::any)?;
                let end = self.expect(")")?;
                Ok(Node { kind: inner.kind, span: span.to(end) })
            }
            Token::Word(word) => self.word(word),
            found => Err(Problem::at(span, format!("expected a value, found {}", found.told()))),
        }
    }

    fn word(&mut self, word: String) -> Parsed {
        let span = self.span();
        let lower = word.to_ascii_lowercase();
        if matches!(lower.as_str(), "and" | "or" | "not" | "in" | "is") {
            return Err(Problem::at(span, format!("expected a value, found {word}")));
        }
        self.step();
        if self.takes("(") {
            let (arguments, end) = self.arguments()?;
            return self.node(Kind::Call(lower, arguments), span.to(end));
        }
        let kind = match lower.as_str() {
            "true" => Kind::Flag(true),
            "false" => Kind::Flag(false),
            "null" => Kind::Null,
            _ => Kind::Column(word),
        };
        self.node(kind, span)
    }

    /// After the opening parenthesis, up to and with the closing one.
    fn arguments(&mut self) -> Result<(Vec<Node>, Span), Problem> {
        let mut nodes = Vec::new();
        let end = self.span();
        if self.takes(")") {
            return Ok((nodes, end));
        }
        loop {
            nodes.push(self.deeper(Self::any)?);
            let end = self.span();
            if self.takes(")") {
                return Ok((nodes, end));
            }
            if !self.takes(",") {
                return Err(Problem::at(end, format!("expected \",\" or \")\", found {}", self.peek().told())));
            }
        }
    }
}
