//! Canonical columns on their way to a batch, and the checks that every bill must pass whatever its format.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::BillError;
use super::raw::{Cells, Raw};
use super::report::{Notes, Sums};
use crate::domain::charge::{Kind, NO_CURRENCY, STORED};
use crate::domain::columns::{Batch, Column, MoneyColumn, NULL_CODE, NULL_TIME, TextColumn, TimeColumn};
use crate::domain::money;
use crate::domain::period::Period;

/// The stored columns that a mapping has filled; the others become null.
pub(super) struct Charges {
    rows: usize,
    columns: BTreeMap<&'static str, Column>,
}

impl Charges {
    pub(super) const fn new(rows: usize) -> Self {
        Self { rows, columns: BTreeMap::new() }
    }

    pub(super) fn text(&mut self, name: &'static str, column: Option<TextColumn>) {
        self.set(name, Kind::Text, column.map(Column::Text));
    }

    pub(super) fn money(&mut self, name: &'static str, units: Option<Vec<i128>>) {
        self.set(name, Kind::Money, units.map(|units| Column::Money(MoneyColumn { units })));
    }

    pub(super) fn time(&mut self, name: &'static str, micros: Option<Vec<i64>>) {
        self.set(name, Kind::Time, micros.map(|micros| Column::Time(TimeColumn { micros })));
    }

    pub(super) fn constant(&mut self, name: &'static str, value: &str) {
        let column = TextColumn::constant(Some(value), self.rows);
        self.text(name, Some(column));
    }

    fn set(&mut self, name: &'static str, kind: Kind, column: Option<Column>) {
        debug_assert!(STORED.contains(&(name, kind)), "{name} is not stored so");
        if let Some(column) = column {
            self.columns.insert(name, column);
        }
    }

    pub(super) fn stored_text(&self, name: &str) -> Option<&TextColumn> {
        match self.columns.get(name) {
            Some(Column::Text(column)) => Some(column),
            _ => None,
        }
    }

    fn stored_money(&self, name: &str) -> Option<&[i128]> {
        match self.columns.get(name) {
            Some(Column::Money(column)) => Some(&column.units),
            _ => None,
        }
    }

    /// The batch: all stored columns, then the source's own that no canonical column carries.
    pub(super) fn finish(
        mut self,
        raw: Raw<'_>,
        native: &[Arc<str>],
        currency_column: Option<&str>,
        notes: &mut Notes,
    ) -> Result<Batch, BillError> {
        if !self.columns.contains_key("BillingCurrency") {
            self.constant("BillingCurrency", NO_CURRENCY);
        }
        self.check_period(&raw)?;
        self.check_currency(&raw, currency_column, notes)?;
        self.count(notes)?;
        let mut batch = Batch::new(self.rows);
        for (name, kind) in STORED {
            let column = self.columns.remove(name).unwrap_or_else(|| match kind {
                Kind::Text => Column::Text(TextColumn::constant(None, self.rows)),
                Kind::Money => Column::Money(MoneyColumn { units: vec![money::NULL; self.rows] }),
                Kind::Time => Column::Time(TimeColumn { micros: vec![NULL_TIME; self.rows] }),
            });
            batch.push(*name, column);
        }
        for (cells, name) in raw.cells.into_iter().zip(native) {
            if let Cells::Text(column) = cells {
                batch.push(Arc::clone(name), Column::Text(column));
            }
        }
        Ok(batch)
    }

    fn stored_times(&self, name: &str) -> Option<&[i64]> {
        match self.columns.get(name) {
            Some(Column::Time(column)) => Some(&column.micros),
            _ => None,
        }
    }

    /// Every row is of a billing period, its own or that of its charge.
    fn check_period(&self, raw: &Raw<'_>) -> Result<(), BillError> {
        let (own, charged) = (self.stored_times("BillingPeriodStart"), self.stored_times("ChargePeriodStart"));
        let mut last = NULL_TIME;
        for row in 0..self.rows {
            let of = |column: Option<&[i64]>| column.map(|micros| micros[row]).filter(|micros| *micros != NULL_TIME);
            let micros = of(own).or_else(|| of(charged)).unwrap_or(NULL_TIME);
            if micros == NULL_TIME || (micros != last && Period::of_micros(micros).is_none()) {
                return Err(BillError::NoPeriod { place: raw.place(row, None) });
            }
            last = micros;
        }
        Ok(())
    }

    /// Every row has a currency of three capital letters, and a billing account has one. Chunks are compared by the importer.
    fn check_currency(&self, raw: &Raw<'_>, column: Option<&str>, notes: &mut Notes) -> Result<(), BillError> {
        let (currency, account) = (self.stored_text("BillingCurrency"), self.stored_text("BillingAccountId"));
        let Some(currency) = currency else { return Ok(()) };
        let mut last = None;
        for row in 0..self.rows {
            let pair = (account.map_or(NULL_CODE, |a| a.codes[row]), currency.codes[row]);
            if last == Some(pair) {
                continue;
            }
            last = Some(pair);
            let code = currency.get(row).unwrap_or_default();
            if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
                return Err(BillError::Currency { place: raw.place(row, column), value: code.to_owned() });
            }
            let account = account.and_then(|a| a.get(row)).unwrap_or_default();
            match notes.currencies.get(account) {
                None => {
                    notes.currencies.insert(account.to_owned(), (code.to_owned(), raw.place(row, column)));
                    if !account.is_empty() {
                        notes.payers.insert(account.to_owned());
                    }
                }
                Some((first, _)) if first != code => {
                    return Err(BillError::MixedCurrency {
                        place: raw.place(row, column),
                        account: account.into(),
                        first: first.as_str().into(),
                        second: code.into(),
                    });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn count(&self, notes: &mut Notes) -> Result<(), BillError> {
        notes.rows += self.rows as u64;
        if let Some(types) = self.stored_text("x_SourceLineType") {
            let mut rows = vec![0_u64; types.values.len() + 1];
            for code in &types.codes {
                let slot = if *code == NULL_CODE { types.values.len() } else { *code as usize };
                rows[slot] += 1;
            }
            for (name, rows) in types.values.iter().chain([""]).zip(rows) {
                if rows > 0 {
                    *notes.line_types.entry(name.to_owned()).or_default() += rows;
                }
            }
        } else {
            *notes.line_types.entry(String::new()).or_default() += self.rows as u64;
        }
        let Some(currency) = self.stored_text("BillingCurrency") else { return Ok(()) };
        let mut sums = vec![Sums::default(); currency.values.len()];
        let (billed, effective, list) =
            (self.stored_money("BilledCost"), self.stored_money("EffectiveCost"), self.stored_money("ListCost"));
        for (row, code) in currency.codes.iter().enumerate() {
            let Some(sum) = sums.get_mut(*code as usize) else { continue };
            sum.rows += 1;
            for (total, units, column) in [
                (&mut sum.billed, billed, "BilledCost"),
                (&mut sum.effective, effective, "EffectiveCost"),
                (&mut sum.list, list, "ListCost"),
            ] {
                let units = units.map_or(0, |units| units[row]);
                if units != money::NULL {
                    *total = total.checked_add(units).ok_or_else(|| BillError::SumTooLarge { column: column.to_owned() })?;
                }
            }
        }
        for (name, sum) in currency.values.iter().zip(sums) {
            if sum.rows > 0 {
                let total = notes.totals.entry(name.to_owned()).or_default();
                total.rows += sum.rows;
                total.billed += sum.billed;
                total.effective += sum.effective;
                total.list += sum.list;
            }
        }
        Ok(())
    }
}
