//! Amounts that the daemon computes itself: a share of one column.

use rerate_rule::Rate;

use crate::number::Decimal;
use crate::program::Number;

/// `column * rate`, and nothing added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) column: u8,
    pub(crate) rate: Rate,
}

/// Decimals of a rate in the contract.
const RATE_DECIMALS: u8 = 9;

/// What is left of a formula as a share, if it is one exactly. Every term must be a multiple of the same column: null in one then is null
/// in all, so null stays what the formula makes of it.
pub(crate) fn share(number: &Number) -> Option<Share> {
    let (column, factor) = multiple(number)?;
    let missing = RATE_DECIMALS.checked_sub(factor.scale)?;
    let billionths = factor.units.checked_mul(10_i128.pow(u32::from(missing)))?;
    Some(Share { column, rate: Rate::from_billionths(i64::try_from(billionths).ok()?) })
}

fn multiple(number: &Number) -> Option<(u8, Decimal)> {
    match number {
        Number::Column(column) => Some((*column, Decimal::ONE)),
        Number::Negative(part) => multiple(part).map(|(column, factor)| (column, factor.negative())),
        Number::Sum(parts) => {
            let (first, rest) = parts.split_first()?;
            rest.iter().try_fold(multiple(first)?, |(column, sum), part| {
                let (other, factor) = multiple(part)?;
                (other == column).then_some((column, sum.plus(factor)?))
            })
        }
        Number::Product(parts) => {
            let mut found: Option<u8> = None;
            let mut product = Decimal::ONE;
            for part in parts {
                let factor = match part {
                    Number::Literal(factor) => *factor,
                    other if found.is_none() => {
                        let (column, factor) = multiple(other)?;
                        found = Some(column);
                        factor
                    }
                    _ => return None,
                };
                product = product.times(factor)?;
            }
            found.map(|column| (column, product))
        }
        _ => None,
    }
}
