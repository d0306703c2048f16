//! The functions of a formula.

use super::{Checked, Size, Sized, Typed, common, digits, mode, number_of, of_text, test, text_of, typed};
use crate::columns::Unit;
use crate::problem::{Problem, Span, closest};
use crate::program::{Mode, Number, Test, Text, TextTest};
use crate::syntax::{Kind, Node};

/// Names, how they are called, and the fewest and most arguments.
const FUNCTIONS: [(&str, &str, usize, usize); 13] = [
    ("abs", "abs(number)", 1, 1),
    ("case", "case(text, value, result, ..., otherwise)", 4, usize::MAX),
    ("coalesce", "coalesce(first, second, ...)", 2, usize::MAX),
    ("contains", "contains(text, part, ...)", 2, usize::MAX),
    ("div", "div(number, divisor, digits) or div(number, divisor, digits, 'half-even')", 3, 4),
    ("ends_with", "ends_with(text, end, ...)", 2, usize::MAX),
    ("if", "if(condition, value, ..., otherwise)", 3, usize::MAX),
    ("lower", "lower(text)", 1, 1),
    ("max", "max(number, number, ...)", 2, usize::MAX),
    ("min", "min(number, number, ...)", 2, usize::MAX),
    ("round", "round(number, digits) or round(number, digits, 'half-even')", 2, 3),
    ("starts_with", "starts_with(text, start, ...)", 2, usize::MAX),
    ("upper", "upper(text)", 1, 1),
];

pub(super) fn call(name: &str, arguments: &[Node], span: Span) -> Checked<Typed> {
    let Some((_, usage, fewest, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
        let names = || FUNCTIONS.iter().map(|(name, ..)| *name);
        let advice = match closest(name, names()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(Problem::at(span, format!("there is no function {name}; {advice}")));
    };
    if arguments.len() < *fewest || arguments.len() > *most {
        return Err(Problem::at(span, format!("expected {usage}, found {} arguments", arguments.len())));
    }
    Ok(match name {
        "min" => Typed::Number(several(arguments, Number::Least)?),
        "max" => Typed::Number(several(arguments, Number::Greatest)?),
        "abs" => {
            let number = number_of(&arguments[0])?;
            Typed::Number(Sized { number: Number::Absolute(Box::new(number.number)), ..number })
        }
        "round" => {
            let (number, digits, mode) = (number_of(&arguments[0])?, digits(&arguments[1])?, mode(arguments.get(2))?);
            let size = Size { whole: number.size.whole + 1, decimals: number.size.decimals.min(u32::from(digits)) };
            Typed::Number(Sized { number: Number::Rounded(Box::new(number.number), digits, mode), unit: number.unit, size })
        }
        "div" => {
            let (left, right) = (number_of(&arguments[0])?, number_of(&arguments[1])?);
            Typed::Number(divided(left, right, digits(&arguments[2])?, mode(arguments.get(3))?, span)?)
        }
        "coalesce" => match alternatives(&arguments.iter().collect::<Vec<_>>())? {
            Alternatives::Texts(texts) => Typed::Text(Text::Coalesce(texts)),
            Alternatives::Numbers(numbers, unit, size) => Typed::Number(Sized { number: Number::Coalesce(numbers), unit, size }),
        },
        "if" => if_else(arguments, span)?,
        "case" => {
            if !arguments.len().is_multiple_of(2) {
                return Err(Problem::at(span, format!("expected {usage}: the last value, for everything else, is missing")));
            }
            by_case(text_of(&arguments[0])?, &arguments[1..])?
        }
        "lower" => Typed::Text(Text::Lower(Box::new(text_of(&arguments[0])?))),
        "upper" => Typed::Text(Text::Upper(Box::new(text_of(&arguments[0])?))),
        "starts_with" => Typed::Test(parts(arguments, TextTest::StartsWith)?),
        "ends_with" => Typed::Test(parts(arguments, TextTest::EndsWith)?),
        _ => Typed::Test(parts(arguments, TextTest::Contains)?),
    })
}

fn several(arguments: &[Node], kind: fn(Vec<Number>) -> Number) -> Checked<Sized> {
    let mut unit = Unit::Plain;
    let mut size = Size { whole: 1, decimals: 0 };
    let mut numbers = Vec::with_capacity(arguments.len());
    for node in arguments {
        let number = number_of(node)?;
        unit = common(unit, number.unit, node.span)?;
        size = size.larger(number.size).checked(node.span)?;
        numbers.push(number.number);
    }
    Ok(Sized { number: kind(numbers), unit, size })
}

fn divided(left: Sized, right: Sized, digits: u8, mode: Mode, span: Span) -> Checked<Sized> {
    let unit = match (left.unit, right.unit) {
        (Unit::Money, Unit::Money) => Unit::Number,
        (Unit::Plain | Unit::Number, Unit::Money) => {
            return Err(Problem::at(span, "this divides a plain number by money; div(money, money, digits) gives a ratio"));
        }
        (Unit::Plain, Unit::Plain) => Unit::Plain,
        (Unit::Money, _) => Unit::Money,
        _ => Unit::Number,
    };
    let wanted = u32::from(digits) + right.size.decimals;
    // Both sides as integers, as the division takes them.
    Size { whole: left.size.whole, decimals: left.size.decimals.max(wanted) }.checked(span)?;
    Size { whole: right.size.whole, decimals: right.size.decimals.max(left.size.decimals) }.checked(span)?;
    let size = Size { whole: left.size.whole + right.size.decimals + 1, decimals: u32::from(digits) }.checked(span)?;
    Ok(Sized { number: Number::Over(Box::new(left.number), Box::new(right.number), digits, mode), unit, size })
}

fn if_else(arguments: &[Node], span: Span) -> Checked<Typed> {
    if arguments.len().is_multiple_of(2) {
        return Err(Problem::at(span, "expected if(condition, value, ..., otherwise): the last value, for everything else, is missing"));
    }
    let (tests, values) = paired(arguments);
    let spans: Vec<Span> = tests.iter().map(|node| node.span).collect();
    let tests = tests.into_iter().map(test).collect::<Checked<Vec<_>>>()?;
    Ok(match alternatives(&values)? {
        Alternatives::Texts(mut texts) => {
            let otherwise = texts.pop().unwrap_or(Text::Null);
            let tests = tests.into_iter().zip(spans).map(|(test, span)| of_text(test, span)).collect::<Checked<Vec<_>>>()?;
            Typed::Text(Text::If(tests.into_iter().zip(texts).collect(), Box::new(otherwise)))
        }
        Alternatives::Numbers(mut numbers, unit, size) => {
            let otherwise = numbers.pop().unwrap_or(Number::Null);
            Typed::Number(Sized { number: Number::If(tests.into_iter().zip(numbers).collect(), Box::new(otherwise)), unit, size })
        }
    })
}

/// The arguments of `case` after its first.
fn by_case(value: Text, arguments: &[Node]) -> Checked<Typed> {
    let (keys, values) = paired(arguments);
    let keys = keys.into_iter().map(text_of).collect::<Checked<Vec<_>>>()?;
    Ok(match alternatives(&values)? {
        Alternatives::Texts(mut texts) => {
            let otherwise = texts.pop().unwrap_or(Text::Null);
            Typed::Text(Text::Case(Box::new(value), keys.into_iter().zip(texts).collect(), Box::new(otherwise)))
        }
        Alternatives::Numbers(mut numbers, unit, size) => {
            let otherwise = numbers.pop().unwrap_or(Number::Null);
            Typed::Number(Sized { number: Number::Case(value, keys.into_iter().zip(numbers).collect(), Box::new(otherwise)), unit, size })
        }
    })
}

/// Every other one, and the rest with the one that is left at the end.
fn paired(arguments: &[Node]) -> (Vec<&Node>, Vec<&Node>) {
    let last = arguments.len().saturating_sub(1);
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    for (index, node) in arguments.iter().enumerate() {
        if index % 2 == 0 && index != last { firsts.push(node) } else { seconds.push(node) }
    }
    (firsts, seconds)
}

/// Values of one type, of which one is chosen.
enum Alternatives {
    Texts(Vec<Text>),
    Numbers(Vec<Number>, Unit, Size),
}

fn alternatives(nodes: &[&Node]) -> Checked<Alternatives> {
    let values = nodes.iter().map(|node| Ok((typed(node)?, node.span))).collect::<Checked<Vec<_>>>()?;
    if values.iter().any(|(value, _)| matches!(value, Typed::Text(_))) {
        let text = |(value, span)| match value {
            Typed::Text(text) => Ok(text),
            Typed::Null => Ok(Text::Null),
            other => super::expected("text, as the other values are", &other, span),
        };
        return Ok(Alternatives::Texts(values.into_iter().map(text).collect::<Checked<_>>()?));
    }
    let (mut unit, mut size) = (Unit::Plain, Size { whole: 1, decimals: 0 });
    let mut numbers = Vec::new();
    for (value, span) in values {
        numbers.push(match value {
            Typed::Null => Number::Null,
            Typed::Number(number) => {
                unit = common(unit, number.unit, span)?;
                size = size.larger(number.size).checked(span)?;
                number.number
            }
            other => return super::expected("a number or a text", &other, span),
        });
    }
    Ok(Alternatives::Numbers(numbers, unit, size))
}

fn parts(arguments: &[Node], kind: fn(Text, Vec<Text>) -> TextTest) -> Checked<Test> {
    let value = text_of(&arguments[0])?;
    let mut list = Vec::new();
    for node in &arguments[1..] {
        match &node.kind {
            Kind::Text(text) if text.is_empty() => return Err(Problem::at(node.span, "every text has '' in it; use is not null")),
            _ => list.push(text_of(node)?),
        }
    }
    Ok(Test::Text(kind(value, list)))
}
