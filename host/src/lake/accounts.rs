//! Charges of some accounts only: for people who are limited to a part of a tenant.

use std::collections::{BTreeSet, HashMap};

use super::error::LakeError;
use super::overlay::OverlayReader;
use super::reader::SnapshotReader;
use super::zip::read_rated;
use crate::domain::charge::CUSTOMER_COST;
use crate::domain::columns::{Batch, NULL_CODE, TextColumn};
use crate::domain::money::Amount;

/// Billing account and sub account; the latter is empty for charges that name none.
pub type Accounts = BTreeSet<(String, String)>;

/// What tells a charge's account.
pub(super) const ACCOUNT_COLUMNS: [&str; 2] = ["BillingAccountId", "SubAccountId"];

/// The rows of a batch that are of these accounts. The batch has [`ACCOUNT_COLUMNS`].
pub(super) fn rows_of(batch: &Batch, accounts: &Accounts) -> Vec<u32> {
    let (Some(billing), Some(sub)) = (batch.text(ACCOUNT_COLUMNS[0]), batch.text(ACCOUNT_COLUMNS[1])) else { return Vec::new() };
    let text = |column: &TextColumn, code: u32| if code == NULL_CODE { String::new() } else { column.values.get(code).to_owned() };
    let mut known: HashMap<(u32, u32), bool> = HashMap::new();
    let mut is_theirs = |row: usize| {
        let codes = (billing.codes[row], sub.codes[row]);
        *known.entry(codes).or_insert_with(|| accounts.contains(&(text(billing, codes.0), text(sub, codes.1))))
    };
    (0..u32::try_from(batch.rows).unwrap_or(u32::MAX)).filter(|row| is_theirs(*row as usize)).collect()
}

/// What is charged for these accounts, to the last digit, lines that rules added aside.
pub fn charged_for(sources: &[(&SnapshotReader, &OverlayReader)], accounts: &Accounts) -> Result<Amount, LakeError> {
    let mut sum = Amount::ZERO;
    for (snapshot, overlay) in sources {
        for (group, _) in overlay.groups() {
            let batch = read_rated(snapshot, overlay, group, &[ACCOUNT_COLUMNS[0], ACCOUNT_COLUMNS[1], CUSTOMER_COST])?;
            let Some(charged) = batch.money(CUSTOMER_COST) else { continue };
            for row in rows_of(&batch, accounts) {
                let amount = charged.get(row as usize).unwrap_or(Amount::ZERO);
                sum = sum.checked_add(amount).ok_or_else(|| LakeError::batch(CUSTOMER_COST, "the sum passes 38 digits"))?;
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::columns::Column;

    #[test]
    fn an_account_is_known_by_both_its_names() {
        let mut batch = Batch::new(5);
        let text = |values: [Option<&str>; 5]| Column::Text(TextColumn::from_rows(values));
        batch.push(ACCOUNT_COLUMNS[0], text([Some("9"), Some("9"), Some("8"), Some("9"), Some("9")]));
        batch.push(ACCOUNT_COLUMNS[1], text([Some("a"), Some("b"), Some("a"), None, Some("a")]));
        let of = |accounts: &[(&str, &str)]| {
            rows_of(&batch, &accounts.iter().map(|(billing, sub)| ((*billing).to_owned(), (*sub).to_owned())).collect())
        };
        assert_eq!(of(&[("9", "a")]), [0, 4]);
        assert_eq!(of(&[("9", "")]), [3], "what names no sub account");
        assert_eq!(of(&[("8", "a"), ("9", "b")]), [1, 2]);
        assert!(of(&[]).is_empty());
    }
}
