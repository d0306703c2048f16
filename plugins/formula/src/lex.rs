//! Text to words: where each starts, in characters, so that a complaint can say so.

use crate::number::Decimal;
use crate::problem::{Problem, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Number(Decimal),
    /// In single quotes, a quote in it doubled.
    Text(String),
    /// A column, a function or a keyword; dots belong to it: `Tags.env`.
    Word(String),
    /// A column in brackets, whatever its name: `[Tags.cost-center]`.
    Column(String),
    /// `( ) , + - * / = != < <= > >=`
    Sign(&'static str),
    End,
}

impl Token {
    /// As a complaint calls it.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Number(_) => "a number".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Word(word) => word.clone(),
            Self::Column(name) => format!("[{name}]"),
            Self::Sign(sign) => format!("\"{sign}\""),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Longer signs first.
const SIGNS: [&str; 14] = ["<=", ">=", "!=", "<>", "==", "(", ")", ",", "+", "-", "*", "/", "=", "<"];

/// # Errors
/// At the first character that begins no word.
pub(crate) fn words(text: &str) -> Result<Vec<(Token, Span)>, Problem> {
    let mut lexer = Lexer { rest: text, at: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip(|c| c.is_whitespace());
        let start = lexer.at;
        let token = lexer.token()?;
        let ended = token == Token::End;
        tokens.push((token, Span { start, end: lexer.at }));
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    /// The character that comes next, counted from one.
    at: u32,
}

impl<'a> Lexer<'a> {
    fn skip(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let bytes = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        self.take(bytes)
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.at += u32::try_from(taken.chars().count()).unwrap_or(u32::MAX);
        taken
    }

    fn token(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        let here = |message: &str| Problem::at(Span { start, end: start + 1 }, message);
        match first {
            '\'' => self.text(),
            '[' => {
                let name = self.rest.split_once(']').map(|(name, _)| name.len()).ok_or_else(|| here("this bracket is not closed: ]"))?;
                let name = self.take(name + 1);
                Ok(Token::Column(name[1..name.len() - 1].trim().to_owned()))
            }
            '0'..='9' | '.' => self.number(),
            '"' => Err(here("text is written in single quotes: 'Compute'")),
            '>' => {
                let sign = if self.rest.starts_with(">=") { ">=" } else { ">" };
                self.take(sign.len());
                Ok(Token::Sign(sign))
            }
            _ if first.is_alphabetic() || first == '_' => {
                let word = self.skip(|c| c.is_alphanumeric() || c == '_' || c == '.');
                Ok(Token::Word(word.to_owned()))
            }
            _ => match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
                Some(sign) => {
                    self.take(sign.len());
                    Ok(Token::Sign(match *sign {
                        "<>" => "!=",
                        "==" => "=",
                        other => other,
                    }))
                }
                None => Err(here(&format!("the character {first:?} means nothing here"))),
            },
        }
    }

    fn text(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        self.take(1);
        let mut text = String::new();
        loop {
            text.push_str(self.skip(|c| c != '\''));
            if self.rest.is_empty() {
                return Err(Problem::at(Span { start, end: start + 1 }, "this text does not end: a single quote is missing"));
            }
            self.take(1);
            if !self.rest.starts_with('\'') {
                return Ok(Token::Text(text));
            }
            text.push('\'');
            self.take(1);
        }
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        let digits = self.skip(|c| c.is_ascii_digit() || c == '.');
        let span = Span { start, end: self.at };
        if self.rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return Err(Problem::at(span, "a number is plain digits, such as 12.50; no exponent and no unit follows it"));
        }
        let number = Decimal::read(digits).map_err(|message| Problem::at(span, message))?;
        if self.rest.starts_with('%') {
            self.take(1);
            return number.percent().map(Token::Number).map_err(|message| Problem::at(span, message));
        }
        Ok(Token::Number(number))
    }
}
