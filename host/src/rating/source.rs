//! What the source holds of a month, by tenant and in all: the two must be the same to the last digit.

use std::collections::BTreeMap;

use crate::domain::columns::Batch;
use crate::domain::money::Amount;

use super::month::MonthError;
use super::outcome::SplitTotal;
use super::split::{Share, money_of, sum_by_text};

/// Sums by currency and tenant, and beside them the plain sum of the source.
#[derive(Default)]
pub(super) struct SplitTotals {
    parts: BTreeMap<(String, Option<usize>), (u64, Amount)>,
    source: BTreeMap<String, Amount>,
}

impl SplitTotals {
    pub(super) fn add(&mut self, batch: &Batch, shares: &[Share]) -> Result<(), MonthError> {
        for share in shares {
            self.add_part((share.currency.clone(), share.tenant), share.rows.len() as u64, share.billed)?;
        }
        let costs = money_of(batch, "BilledCost").unwrap_or_default();
        let of_currency = sum_by_text(batch.text("BillingCurrency"), costs).map_err(|_| MonthError::SumOutOfRange)?;
        of_currency.into_iter().try_for_each(|(currency, total)| self.add_source(currency, total))
    }

    fn add_part(&mut self, key: (String, Option<usize>), rows: u64, billed: Amount) -> Result<(), MonthError> {
        let entry = self.parts.entry(key).or_default();
        *entry = (entry.0 + rows, entry.1.checked_add(billed).ok_or(MonthError::SumOutOfRange)?);
        Ok(())
    }

    fn add_source(&mut self, currency: String, total: Amount) -> Result<(), MonthError> {
        let entry = self.source.entry(currency).or_default();
        *entry = entry.checked_add(total).ok_or(MonthError::SumOutOfRange)?;
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<(), MonthError> {
        for (key, (rows, billed)) in other.parts {
            self.add_part(key, rows, billed)?;
        }
        other.source.into_iter().try_for_each(|(currency, total)| self.add_source(currency, total))
    }

    /// Checks that tenants and unassigned are the source, to the last digit.
    pub(super) fn finish(self) -> Result<Vec<SplitTotal>, MonthError> {
        for (currency, source_total) in &self.source {
            let mut parts = self.parts.iter().filter(|((c, _), _)| c == currency);
            let parts = parts.try_fold(Amount::ZERO, |sum, (_, (_, billed))| sum.checked_add(*billed)).ok_or(MonthError::SumOutOfRange)?;
            if parts != *source_total {
                return Err(MonthError::SplitDoesNotAddUp { currency: currency.clone(), parts, source_total: *source_total });
            }
        }
        let total = |((currency, tenant), (rows, billed))| SplitTotal { tenant, currency, rows, billed };
        Ok(self.parts.into_iter().map(total).collect())
    }
}
