//! Row logic's view of a batch of amounts.

use crate::exact::{Factor, Overflow, Rounding, Units};
use crate::money::{Money, SCALE};
use crate::rule::Failure;

/// A column of amounts, `units * 10^-scale`; the smallest representable integer is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoneyColumn {
    Narrow { scale: u8, units: Vec<i64> },
    Wide { scale: u8, units: Vec<i128> },
}

/// One row of the plan's `reads`. All its amounts count 10^-scale of the same scale.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, N> {
    columns: &'a [Vec<N>],
    index: usize,
    scale: u8,
}

impl<N: Units> Row<'_, N> {
    /// An amount by its position in the plan's `reads`; `None` is null.
    #[inline]
    pub fn get(&self, position: usize) -> Option<N> {
        let units = self.columns[position][self.index];
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
pub(crate) struct Rows<N> {
    columns: Vec<Vec<N>>,
    pub(crate) scale: u8,
}

impl<N: Units> Rows<N> {
    /// Calls `each` for every row; a slot a row.
    pub(crate) fn apply(
        &self,
        slots: &[u32],
        mut each: impl FnMut(u32, &Row<'_, N>) -> Result<Option<N>, Failure>,
    ) -> Result<Vec<N>, Failure> {
        if self.columns.iter().any(|column| column.len() != slots.len()) {
            return Err(Failure::invalid("the daemon sent columns of different lengths"));
        }
        let mut amounts = Vec::with_capacity(slots.len());
        for (index, slot) in slots.iter().enumerate() {
            let row = Row { columns: &self.columns, index, scale: self.scale };
            amounts.push(each(*slot, &row)?.unwrap_or(N::NULL));
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
                MoneyColumn::Narrow { scale: from, units } => Some(raise(units, scale - from)),
                MoneyColumn::Wide { .. } => None,
            });
            return Ok(Self::Narrow(Rows { columns: columns.collect::<Result<_, _>>()?, scale }));
        }
        let columns = columns.into_iter().map(|column| match column {
            MoneyColumn::Narrow { scale, units } => raise(units.into_iter().map(widened).collect(), SCALE - scale),
            MoneyColumn::Wide { scale, units } => raise(units, SCALE - scale),
        });
        Ok(Self::Wide(Rows { columns: columns.collect::<Result<_, _>>()?, scale: SCALE }))
    }
}

fn widened(units: i64) -> i128 {
    if units == i64::NULL { i128::NULL } else { i128::from(units) }
}

fn raise<N: Units>(mut column: Vec<N>, exponent: u8) -> Result<Vec<N>, Overflow> {
    if exponent > 0 {
        for units in &mut column {
            if *units != N::NULL {
                *units = units.raised(exponent)?;
            }
        }
    }
    Ok(column)
}
