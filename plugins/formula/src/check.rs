//! An expression to a checked one: names, types, units of numbers, and that no number outgrows the arithmetic.

use crate::columns::{self, Unit, WITHHELD};
use crate::number::{Decimal, SCALE};
use crate::parse::parse;
use crate::problem::{Problem, Span, closest};
use crate::program::{Mode, Number, Test, Text, TextTest};
use crate::syntax::{Comparison, Kind, Node};
use crate::wide::DIGITS_MAX;

mod functions;

/// Digits before and after the point that a number can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    whole: u32,
    decimals: u32,
}

/// A number with what it counts and how long it can get.
#[derive(Clone, Debug)]
pub(crate) struct Sized {
    number: Number,
    unit: Unit,
    size: Size,
}

/// An expression of one type.
#[derive(Clone, Debug)]
enum Typed {
    Text(Text),
    Number(Sized),
    Test(Test),
    /// Any of the first two.
    Null,
}

impl Typed {
    const fn told(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Test(_) => "a condition",
            Self::Null => "null",
        }
    }
}

type Checked<T> = Result<T, Problem>;

/// Digits of any amount: 38 and one that arithmetic may carry into.
const COLUMN: Size = Size { whole: 21, decimals: 18 };

impl Size {
    fn of(number: Decimal) -> Self {
        let digits = number.units.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
        let decimals = u32::from(number.scale);
        Self { whole: digits.saturating_sub(decimals).max(1), decimals }
    }

    fn larger(self, other: Self) -> Self {
        Self { whole: self.whole.max(other.whole), decimals: self.decimals.max(other.decimals) }
    }

    /// # Errors
    /// When it is longer than the arithmetic is wide.
    fn checked(self, span: Span) -> Checked<Self> {
        if self.whole + self.decimals <= DIGITS_MAX {
            return Ok(self);
        }
        let advice = "multiply at most three amounts, and use round() or div() on what you multiply further";
        Err(Problem::at(span, format!("this can need {} digits, and the most is {DIGITS_MAX}: {advice}", self.whole + self.decimals)))
    }
}

/// # Errors
/// Where the text is no condition.
pub(crate) fn condition(text: &str) -> Checked<Test> {
    test(&parse(text)?)
}

/// # Errors
/// Where the text is no amount of money.
pub(crate) fn amount(text: &str) -> Checked<Number> {
    let node = parse(text)?;
    let Some(sized) = maybe_number(&node)? else { return Ok(Number::Null) };
    match sized.unit {
        Unit::Number => {
            Err(Problem::at(node.span, "this is a quantity or a ratio, not an amount of money: multiply it by a price or a cost"))
        }
        Unit::Money | Unit::Plain => Ok(sized.number),
    }
}

/// # Errors
/// Where the text is no text.
pub(crate) fn text(written: &str) -> Checked<Text> {
    text_of(&parse(written)?)
}

fn typed(node: &Node) -> Checked<Typed> {
    let span = node.span;
    Ok(match &node.kind {
        Kind::Number(number) => Typed::Number(Sized { number: Number::Literal(*number), unit: Unit::Plain, size: Size::of(*number) }),
        Kind::Text(text) => Typed::Text(Text::Literal(text.clone())),
        Kind::Flag(flag) => Typed::Test(Test::Known(*flag)),
        Kind::Null => Typed::Null,
        Kind::Column(name) => column(name, span)?,
        Kind::Negative(inner) => {
            let inner = number_of(inner)?;
            Typed::Number(Sized { number: Number::Negative(Box::new(inner.number)), ..inner })
        }
        Kind::Not(inner) => Typed::Test(test(inner)?.negated()),
        Kind::Sum(terms) => sum(terms, span)?,
        Kind::Product(factors) => Typed::Number(product(factors)?),
        Kind::All(nodes) => Typed::Test(Test::All(nodes.iter().map(test).collect::<Checked<_>>()?)),
        Kind::Any(nodes) => Typed::Test(Test::Any(nodes.iter().map(test).collect::<Checked<_>>()?)),
        Kind::Compared(comparison, left, right) => Typed::Test(compared(*comparison, left, right, span)?),
        Kind::In(value, list, negated) => Typed::Test(listed(value, list, *negated)?),
        Kind::IsNull(value, negated) => Typed::Test(is_null(value, *negated)?),
        Kind::Call(name, arguments) => functions::call(name, arguments, span)?,
    })
}

fn column(name: &str, span: Span) -> Checked<Typed> {
    if let Some((position, unit)) = columns::number(name) {
        return Ok(Typed::Number(Sized { number: Number::Column(position), unit, size: COLUMN }));
    }
    if columns::is_text(name) {
        return Ok(Typed::Text(Text::Column(name.to_owned())));
    }
    if let Some((_, why)) = WITHHELD.iter().find(|(withheld, _)| *withheld == name) {
        return Err(Problem::at(span, format!("{name} cannot be used: {why}")));
    }
    let advice = match closest(name, columns::names()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!(
            "a text is written in single quotes, '{name}', a tag as Tags.key or [Tags.some-key], a bill's own column as [x_Native.name]"
        ),
    };
    Err(Problem::at(span, format!("there is no column {name}; {advice}")))
}

fn expected<T>(wanted: &str, found: &Typed, span: Span) -> Checked<T> {
    Err(Problem::at(span, format!("expected {wanted}, found {}", found.told())))
}

fn test(node: &Node) -> Checked<Test> {
    match typed(node)? {
        Typed::Test(test) => Ok(test),
        other => expected("a condition, such as ServiceName = 'Amazon EC2'", &other, node.span),
    }
}

/// `None` is null.
fn maybe_number(node: &Node) -> Checked<Option<Sized>> {
    match typed(node)? {
        Typed::Number(number) => Ok(Some(number)),
        Typed::Null => Ok(None),
        other => expected("a number", &other, node.span),
    }
}

fn number_of(node: &Node) -> Checked<Sized> {
    match maybe_number(node)? {
        Some(number) => Ok(number),
        None => Err(Problem::at(node.span, "expected a number, found null, which nothing can be computed with")),
    }
}

fn text_of(node: &Node) -> Checked<Text> {
    match typed(node)? {
        Typed::Text(text) => Ok(text),
        Typed::Null => Ok(Text::Null),
        other => expected("text", &other, node.span),
    }
}

/// The unit of numbers that are added, compared or chosen between.
fn common(left: Unit, right: Unit, span: Span) -> Checked<Unit> {
    match (left, right) {
        (Unit::Plain, unit) | (unit, Unit::Plain) => Ok(unit),
        (left, right) if left == right => Ok(left),
        _ => Err(Problem::at(span, "money and a quantity do not go together here: multiply the quantity by a price")),
    }
}

fn sum(terms: &[(bool, Node)], span: Span) -> Checked<Typed> {
    let mut terms = terms.iter().map(|(subtracted, term)| (*subtracted, term));
    let count = terms.len();
    let Some((_, node)) = terms.next() else { return Ok(Typed::Null) };
    let first = match typed(node)? {
        Typed::Text(first) => return joined(first, terms),
        Typed::Number(first) => first,
        other => return expected("a number or a text", &other, node.span),
    };
    let Sized { number, mut unit, mut size } = first;
    let mut numbers = vec![number];
    for (subtracted, term) in terms {
        let part = number_of(term)?;
        unit = common(unit, part.unit, term.span)?;
        size = size.larger(part.size);
        numbers.push(if subtracted { Number::Negative(Box::new(part.number)) } else { part.number });
    }
    // A sum of n numbers has at most the digits of n more than the largest.
    size.whole += u32::try_from(count).unwrap_or(u32::MAX).ilog10() + 1;
    Ok(Typed::Number(Sized { number: Number::Sum(numbers), unit, size: size.checked(span)? }))
}

fn joined<'a>(first: Text, rest: impl Iterator<Item = (bool, &'a Node)>) -> Checked<Typed> {
    let mut parts = vec![first];
    for (subtracted, term) in rest {
        if subtracted {
            let advice = "text can be joined with +, not subtracted; a name with a hyphen is written [Tags.some-key]";
            return Err(Problem::at(term.span, advice));
        }
        parts.push(text_of(term)?);
    }
    Ok(Typed::Text(Text::Joined(parts)))
}

fn product(factors: &[(bool, Node)]) -> Checked<Sized> {
    let mut product: Option<Sized> = None;
    let mut numbers = Vec::with_capacity(factors.len());
    for (divides, node) in factors {
        let mut factor = number_of(node)?;
        if *divides {
            let literal = if let Number::Literal(literal) = factor.number { literal.inverse() } else { None };
            let Some(inverse) = literal else {
                let advice = "write div(a, b, digits) and say to how many digits, or div(a, b, digits, 'down')";
                return Err(Problem::at(node.span, format!("dividing by this may never end in decimals: {advice}")));
            };
            factor = Sized { number: Number::Literal(inverse), unit: Unit::Plain, size: Size::of(inverse) };
        }
        let (unit, size) = match &product {
            None => (factor.unit, factor.size),
            Some(product) => {
                let size = Size { whole: product.size.whole + factor.size.whole, decimals: product.size.decimals + factor.size.decimals };
                (multiplied(product.unit, factor.unit, node.span)?, size.checked(node.span)?)
            }
        };
        numbers.push(factor.number);
        product = Some(Sized { number: Number::Null, unit, size });
    }
    let (unit, size) = product.map_or((Unit::Plain, COLUMN), |product| (product.unit, product.size));
    Ok(Sized { number: Number::Product(numbers), unit, size })
}

fn multiplied(left: Unit, right: Unit, span: Span) -> Checked<Unit> {
    match (left, right) {
        (Unit::Money, Unit::Money) => {
            Err(Problem::at(span, "this multiplies money by money; a share is a plain number such as 0.95 or 95%"))
        }
        (Unit::Money, _) | (_, Unit::Money) => Ok(Unit::Money),
        // A literal may be a price as well as a factor.
        (Unit::Plain, _) | (_, Unit::Plain) => Ok(Unit::Plain),
        (Unit::Number, Unit::Number) => Ok(Unit::Number),
    }
}

fn compared(comparison: Comparison, left: &Node, right: &Node, span: Span) -> Checked<Test> {
    match (typed(left)?, typed(right)?) {
        (Typed::Null, _) | (_, Typed::Null) => Err(Problem::at(span, "nothing equals null: write is null or is not null")),
        (Typed::Text(a), Typed::Text(b)) => {
            // The literal to the right, so that the daemon can be asked to filter.
            let (value, item) = if matches!(a, Text::Literal(_)) { (b, a) } else { (a, b) };
            match comparison {
                Comparison::Equal => Ok(Test::Text(TextTest::In(value, vec![item]))),
                Comparison::Unequal => Ok(Test::Text(TextTest::NotIn(value, vec![item]))),
                _ => Err(Problem::at(span, "text is compared with = and != only")),
            }
        }
        (Typed::Number(a), Typed::Number(b)) => {
            common(a.unit, b.unit, span)?;
            a.size.larger(b.size).checked(span)?;
            Ok(Test::Compared(comparison, a.number, b.number))
        }
        (Typed::Test(_), _) | (_, Typed::Test(_)) => Err(Problem::at(span, "conditions are joined with and, or and not, not compared")),
        (a, b) => Err(Problem::at(span, format!("{} cannot be compared with {}", a.told(), b.told()))),
    }
}

fn listed(value: &Node, list: &[Node], negated: bool) -> Checked<Test> {
    match typed(value)? {
        Typed::Text(text) => {
            let list = list.iter().map(text_of).collect::<Checked<Vec<_>>>()?;
            Ok(Test::Text(if negated { TextTest::NotIn(text, list) } else { TextTest::In(text, list) }))
        }
        Typed::Number(number) => {
            let item = |node: &Node| {
                let item = number_of(node)?;
                common(number.unit, item.unit, node.span)?;
                number.size.larger(item.size).checked(node.span)?;
                Ok(item.number)
            };
            let items = list.iter().map(item).collect::<Checked<Vec<_>>>()?;
            let test = Test::NumberIn(number.number, items);
            Ok(if negated { test.negated() } else { test })
        }
        other => expected("text or a number before in", &other, value.span),
    }
}

fn is_null(value: &Node, negated: bool) -> Checked<Test> {
    let test = match typed(value)? {
        Typed::Text(text) => Test::Text(TextTest::Null(text)),
        Typed::Number(number) => Test::NullNumber(number.number),
        Typed::Null => Test::Known(true),
        other => return expected("text or a number before is null", &other, value.span),
    };
    Ok(if negated { test.negated() } else { test })
}

/// Text is decided for all charges of a combination at once.
fn of_text(test: Test, span: Span) -> Checked<Test> {
    if test.looks_at_amounts() {
        return Err(Problem::at(span, "text cannot depend on amounts: labels are decided for all charges whose text is the same"));
    }
    Ok(test)
}

/// Digits to which a number is rounded.
fn digits(node: &Node) -> Checked<u8> {
    let digits = match &node.kind {
        Kind::Number(Decimal { units, scale: 0 }) => u8::try_from(*units).ok().filter(|digits| *digits <= SCALE),
        _ => None,
    };
    digits.ok_or_else(|| Problem::at(node.span, "expected the number of decimals, 0 to 18"))
}

fn mode(node: Option<&Node>) -> Checked<Mode> {
    let Some(node) = node else { return Ok(Mode::HalfEven) };
    let found = match &node.kind {
        Kind::Text(text) => Mode::NAMES.iter().find(|(name, _)| name == text),
        _ => None,
    };
    match found {
        Some((_, mode)) => Ok(*mode),
        None => Err(Problem::at(node.span, "expected how to round: 'half-even', 'half-up', 'down' or 'up'")),
    }
}
