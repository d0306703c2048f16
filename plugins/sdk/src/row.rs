//! Row logic's view of a batch of amounts.

use crate::exact::{Factor, Overflow, Rounding, Units};
use crate::money::{Money, SCALE};
use crate::rule::Failure;

/// A column of amounts, `units * 10^-scale`; the smallest representable integer is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoneyColumn {
    Narrow {
        scale: u8,
        units: Vec<i64>,
    },
    /// Two limbs an amount, the lower first: as they cross the boundary, so that nothing is copied inside it.
    Wide {
        scale: u8,
        limbs: Vec<u64>,
    },
}

impl MoneyColumn {
    pub fn wide(scale: u8, units: &[i128]) -> Self {
        let mut limbs = vec![0; units.len() * i128::WORDS];
        for (index, units) in units.iter().enumerate() {
            units.put(&mut limbs, index);
        }
        Self::Wide { scale, limbs }
    }

    /// The amounts of a wide column's limbs.
    pub fn wide_units(limbs: &[u64]) -> impl Iterator<Item = i128> {
        (0..limbs.len() / i128::WORDS).map(|index| i128::at(limbs, index))
    }
}

/// One row of the plan's `reads`. All its amounts count 10^-scale of the same scale.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, N: Units> {
    columns: &'a [Vec<N::Word>],
    index: usize,
    scale: u8,
}

impl<N: Units> Row<'_, N> {
    /// An amount by its position in the plan's `reads`; `None` is null.
    #[inline]
    pub fn get(&self, position: usize) -> Option<N> {
        let units = N::at(&self.columns[position], self.index);
        (units != N::NULL).then_some(units)
    }

    /// Decimals of the row's units: an amount is `units * 10^-scale`.
    pub const fn scale(&self) -> u8 {
        self.scale
    }

    /// `amount * factor`, rounded once to `digits` decimals.
    ///
    /// # Errors
    /// [`Overflow`].
    #[inline]
    pub fn times(&self, amount: N, factor: &Factor, digits: u8, rounding: Rounding) -> Result<N, Overflow> {
        amount.times(factor, self.scale, digits, rounding)
    }

    /// A constant in this row's units.
    ///
    /// # Errors
    /// [`Overflow`].
    #[inline]
    pub fn money(&self, money: Money) -> Result<N, Overflow> {
        N::of_money(money.units(), self.scale)
    }
}

/// Columns of one width at one scale.
pub(crate) struct Rows<N: Units> {
    columns: Vec<Vec<N::Word>>,
    pub(crate) scale: u8,
}

impl<N: Units> Rows<N> {
    /// Calls `each` for every row; a slot a row.
    pub(crate) fn apply(
        &self,
        slots: &[u32],
        mut each: impl FnMut(u32, &Row<'_, N>) -> Result<Option<N>, Failure>,
    ) -> Result<Vec<N::Word>, Failure> {
        if self.columns.iter().any(|column| column.len() != slots.len() * N::WORDS) {
            return Err(Failure::invalid("the daemon sent columns of different lengths"));
        }
        let mut amounts = vec![N::Word::default(); slots.len() * N::WORDS];
        for (index, slot) in slots.iter().enumerate() {
            let row = Row { columns: &self.columns, index, scale: self.scale };
            each(*slot, &row)?.unwrap_or(N::NULL).put(&mut amounts, index);
        }
        Ok(amounts)
    }
}

/// Columns as sent, brought to one width and one scale.
pub(crate) enum Batch {
    Narrow(Rows<i64>),
    Wide(Rows<i128>),
}

impl Batch {
    pub(crate) fn of(columns: Vec<MoneyColumn>) -> Result<Self, Failure> {
        let scales = columns.iter().map(|column| match column {
            MoneyColumn::Narrow { scale, .. } | MoneyColumn::Wide { scale, .. } => *scale,
        });
        let scale = scales.max().unwrap_or(SCALE);
        if scale > SCALE {
            return Err(Failure::invalid("the daemon sent amounts with more than 18 decimals"));
        }
        if columns.iter().all(|column| matches!(column, MoneyColumn::Narrow { .. })) {
            let columns = columns.into_iter().filter_map(|column| match column {
                MoneyColumn::Narrow { scale: from, units } => Some(raise::<i64>(units, scale - from)),
                MoneyColumn::Wide { .. } => None,
            });
            return Ok(Self::Narrow(Rows { columns: columns.collect::<Result<_, _>>()?, scale }));
        }
        let columns = columns.into_iter().map(|column| match column {
            MoneyColumn::Narrow { scale, units } => raise::<i128>(widened(&units), SCALE - scale),
            MoneyColumn::Wide { scale, limbs } => raise::<i128>(limbs, SCALE - scale),
        });
        Ok(Self::Wide(Rows { columns: columns.collect::<Result<_, _>>()?, scale: SCALE }))
    }
}

fn widened(column: &[i64]) -> Vec<u64> {
    let mut limbs = vec![0; column.len() * i128::WORDS];
    for (index, units) in column.iter().enumerate() {
        let wide = if *units == i64::NULL { i128::NULL } else { i128::from(*units) };
        wide.put(&mut limbs, index);
    }
    limbs
}

fn raise<N: Units>(mut column: Vec<N::Word>, exponent: u8) -> Result<Vec<N::Word>, Overflow> {
    if exponent > 0 {
        for index in 0..column.len() / N::WORDS {
            let units = N::at(&column, index);
            if units != N::NULL {
                units.raised(exponent)?.put(&mut column, index);
            }
        }
    }
    Ok(column)
}
