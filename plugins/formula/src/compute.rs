//! What is left of a formula, for one charge's amounts.

use rerate_rule::{Overflow, Row, Units};

use crate::number::{Int, Value};
use crate::program::{Number, Test};
use crate::syntax::Comparison;

/// Amounts by their position in [`columns::NUMBERS`](crate::columns::NUMBERS), as 10^-scale.
pub(crate) struct Amounts<'a, N: Units> {
    pub(crate) row: &'a Row<'a, N>,
    /// Where the plan's `reads` have the column.
    pub(crate) places: &'a [u8],
}

type Computed<I> = Result<Option<Value<I>>, Overflow>;

impl<N: Units> Amounts<'_, N> {
    fn get<I: Int>(&self, column: u8) -> Option<Value<I>> {
        let place = self.places.iter().position(|place| *place == column)?;
        let units = self.row.get(place)?;
        Some(Value { units: I::of(units.to_i128()), scale: u32::from(self.row.scale()) })
    }

    /// Null wherever a part of it is null, except by `coalesce` and where a condition passes it by.
    ///
    /// # Errors
    /// [`Overflow`] beyond the width of `I`.
    pub(crate) fn number<I: Int>(&self, number: &Number) -> Computed<I> {
        Ok(match number {
            Number::Literal(number) => Some(number.value()),
            Number::Null => None,
            Number::Column(column) => self.get(*column),
            Number::Negative(part) => self.number::<I>(part)?.map(|value| value.negative()),
            Number::Sum(parts) => self.fold(parts, Value::plus)?,
            Number::Product(parts) => self.fold(parts, Value::times)?,
            Number::Over(left, right, digits, mode) => match (self.number::<I>(left)?, self.number::<I>(right)?) {
                (Some(left), Some(right)) => left.over(&right, *digits, mode.rounding())?,
                _ => None,
            },
            Number::Rounded(part, digits, mode) => match self.number::<I>(part)? {
                Some(value) => Some(value.rounded(*digits, mode.rounding())?),
                None => None,
            },
            Number::Least(parts) => self.fold(parts, |a, b| Ok(if b.order(a)?.is_lt() { b.clone() } else { a.clone() }))?,
            Number::Greatest(parts) => self.fold(parts, |a, b| Ok(if b.order(a)?.is_gt() { b.clone() } else { a.clone() }))?,
            Number::Absolute(part) => self.number::<I>(part)?.map(|value| if value.units.is_negative() { value.negative() } else { value }),
            Number::Coalesce(parts) => {
                for part in parts {
                    if let Some(value) = self.number(part)? {
                        return Ok(Some(value));
                    }
                }
                None
            }
            Number::If(branches, otherwise) => {
                for (test, value) in branches {
                    if self.holds::<I>(test)? {
                        return self.number(value);
                    }
                }
                self.number(otherwise)?
            }
            // Folded away with the text of the combination.
            Number::Case(..) => None,
        })
    }

    fn fold<I: Int>(&self, parts: &[Number], join: impl Fn(&Value<I>, &Value<I>) -> Result<Value<I>, Overflow>) -> Computed<I> {
        let mut folded: Option<Value<I>> = None;
        for part in parts {
            let Some(value) = self.number(part)? else { return Ok(None) };
            folded = Some(match folded {
                Some(folded) => join(&folded, &value)?,
                None => value,
            });
        }
        Ok(folded)
    }

    /// # Errors
    /// [`Overflow`] beyond the width of `I`.
    pub(crate) fn holds<I: Int>(&self, test: &Test) -> Result<bool, Overflow> {
        Ok(match test {
            Test::Known(known) => *known,
            Test::All(tests) => {
                for test in tests {
                    if !self.holds::<I>(test)? {
                        return Ok(false);
                    }
                }
                true
            }
            Test::Any(tests) => {
                for test in tests {
                    if self.holds::<I>(test)? {
                        return Ok(true);
                    }
                }
                false
            }
            Test::Not(test) => !self.holds::<I>(test)?,
            Test::Compared(comparison, left, right) => match (self.number::<I>(left)?, self.number::<I>(right)?) {
                (Some(left), Some(right)) => comparison.holds(left.order(&right)?),
                _ => *comparison == Comparison::Unequal,
            },
            Test::NumberIn(number, list) => {
                let Some(value) = self.number::<I>(number)? else { return Ok(false) };
                for item in list {
                    if let Some(item) = self.number::<I>(item)?
                        && item.order(&value)?.is_eq()
                    {
                        return Ok(true);
                    }
                }
                false
            }
            Test::NullNumber(number) => self.number::<I>(number)?.is_none(),
            // Folded away with the text of the combination.
            Test::Text(_) => false,
        })
    }
}
