//! Who holds a subaccount from which billing period on, and who held it before.
//!
//! Every assignment adds a row that holds from its period on, so for a period the newest row counts that does not begin after it. Nothing
//! is ever taken out: what an assignment overrode stays visible as history. How holders follow from rows is worked out by values alone.

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::subaccounts::UNSEEN;
use super::{Page, PageRequest, Result, Store, StoreError, Tx};
use crate::clock::Moment;
use crate::domain::period::Period;

/// A row of the history as it is stored, with the tenant's name.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct HolderRow {
    pub(super) number: i64,
    pub(super) from_period: Option<Period>,
    pub(super) tenant_id: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) assigned_by: String,
    pub(super) at: Moment,
}

/// A time during which one tenant, or nobody, holds a subaccount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch<'a> {
    pub(super) row: &'a HolderRow,
    /// The first period that is not part of it; none where it has no end.
    pub(super) until: Option<Period>,
}

/// An assignment of a subaccount, in the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Held {
    /// Its place among the subaccount's assignments, from 1.
    pub number: i64,
    /// Null for nobody.
    pub tenant_id: Option<String>,
    pub tenant: Option<String>,
    /// The first billing period; null for always.
    pub from_period: Option<Period>,
    /// The first billing period in which a later assignment holds; null where none does.
    pub until_period: Option<Period>,
    /// Whether it holds in any period; false where later assignments took all of them.
    pub in_effect: bool,
    pub assigned_by: String,
    pub at: Moment,
}

/// What is in effect, the latest stretch first. `rows` are the newest first.
pub(super) fn stretches(rows: &[HolderRow]) -> Vec<Stretch<'_>> {
    let mut found: Vec<Stretch<'_>> = Vec::new();
    for row in rows {
        let until = match found.last() {
            None => None,
            // What begins where a newer row begins already, or after it, holds nowhere.
            Some(newer) if newer.row.from_period.is_none() || row.from_period >= newer.row.from_period => continue,
            Some(newer) => newer.row.from_period,
        };
        found.push(Stretch { row, until });
    }
    found
}

/// Who holds the subaccount in some period at or after this one; each tenant once, nobody left out.
pub(super) fn holders_from(rows: &[HolderRow], from: Option<Period>) -> Vec<&HolderRow> {
    let mut found: Vec<&HolderRow> = Vec::new();
    for stretch in stretches(rows) {
        let reaches = match (stretch.until, from) {
            (Some(until), Some(from)) => until > from,
            _ => true,
        };
        let row = stretch.row;
        if reaches && row.tenant_id.is_some() && !found.iter().any(|known| known.tenant_id == row.tenant_id) {
            found.push(row);
        }
    }
    found
}

/// Whether from this period on the subaccount is held by this tenant, or by nobody, already.
pub(super) fn is_held_from(rows: &[HolderRow], from: Option<Period>, tenant_id: Option<&str>) -> bool {
    let found = stretches(rows);
    if found.last().is_none_or(|oldest| oldest.row.from_period.is_some_and(|first| from.is_none_or(|from| from < first)))
        && tenant_id.is_some()
    {
        return false; // nobody holds it at first
    }
    let after = |stretch: &&Stretch<'_>| match (stretch.until, from) {
        (Some(until), Some(from)) => until > from,
        _ => true,
    };
    found.iter().filter(after).all(|stretch| stretch.row.tenant_id.as_deref() == tenant_id)
}

/// The rows of a subaccount, the newest first.
pub(super) async fn rows_of(tx: &mut Tx, subaccount_id: &str) -> Result<Vec<HolderRow>> {
    let rows = sqlx::query_as(
        "SELECT h.number, h.from_period, h.tenant_id, t.name AS tenant, h.assigned_by, h.at \
         FROM subaccount_holders h LEFT JOIN tenants t ON t.id = h.tenant_id WHERE h.subaccount_id = $1 ORDER BY h.number DESC",
    );
    Ok(rows.bind(subaccount_id).fetch_all(&mut **tx).await?)
}

impl Store {
    /// Adds a row to the history and makes the subaccount repeat it.
    pub(super) async fn put_holder(&self, tx: &mut Tx, subaccount_id: &str, tenant_id: Option<&str>, from: Option<Period>) -> Result<()> {
        let now = self.clock.now();
        sqlx::query(
            "INSERT INTO subaccount_holders (subaccount_id, number, from_period, tenant_id, assigned_by, at) \
             VALUES ($1, (SELECT COALESCE(MAX(number), 0) + 1 FROM subaccount_holders WHERE subaccount_id = $1), $2, $3, $4, $5)",
        )
        .bind(subaccount_id)
        .bind(from)
        .bind(tenant_id)
        .bind(&self.actor.name)
        .bind(now)
        .execute(&mut **tx)
        .await?;
        sqlx::query("UPDATE subaccounts SET tenant_id = $2, from_period = $3, updated_at = $4 WHERE id = $1")
            .bind(subaccount_id)
            .bind(tenant_id)
            .bind(from)
            .bind(now)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The assignments of a subaccount, the latest first.
    pub async fn subaccount_history(&self, id: &str, page: &PageRequest) -> Result<Page<Held>> {
        let after = match page.after() {
            "" => i64::MAX,
            number => number.parse().map_err(|_| StoreError::Invalid("not a page of this list".to_owned()))?,
        };
        self.subaccount(id).await?; // before there is a connection: who holds one and waits for another keeps everybody waiting
        let mut tx = self.read.begin().await?;
        let rows = rows_of(&mut tx, id).await?;
        // What is in effect follows from all of them.
        let effective = stretches(&rows);
        let wanted = rows.iter().filter(|row| row.number < after).zip(0..page.fetch());
        let held = wanted.map(|(row, _)| {
            let stretch = effective.iter().find(|stretch| stretch.row.number == row.number);
            let seen = row.tenant_id.as_ref().is_none_or(|holder| self.view.sees(holder));
            Held {
                number: row.number,
                tenant_id: row.tenant_id.clone().filter(|_| seen),
                tenant: if seen { row.tenant.clone() } else { Some(UNSEEN.to_owned()) },
                from_period: row.from_period,
                until_period: stretch.and_then(|stretch| stretch.until),
                in_effect: stretch.is_some(),
                assigned_by: row.assigned_by.clone(),
                at: row.at,
            }
        });
        Ok(page.page(held.collect(), |held: &Held| held.number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (from, tenant), the newest first.
    fn rows(texts: &[(&str, &str)]) -> Vec<HolderRow> {
        let row = |(place, (from, tenant)): (usize, &(&str, &str))| HolderRow {
            number: i64::try_from(texts.len() - place).unwrap(),
            from_period: from.parse().ok(),
            tenant_id: (!tenant.is_empty()).then(|| (*tenant).to_owned()),
            tenant: None,
            assigned_by: "somebody".to_owned(),
            at: Moment(0),
        };
        texts.iter().enumerate().map(row).collect()
    }

    fn told(texts: &[(&str, &str)]) -> Vec<String> {
        let rows = rows(texts);
        let told = stretches(&rows).into_iter().rev().map(|stretch| {
            let period = |period: Option<Period>| period.map_or_else(|| "..".to_owned(), |period| period.to_string());
            format!(
                "{} {} {}",
                period(stretch.row.from_period),
                period(stretch.until),
                stretch.row.tenant_id.as_deref().unwrap_or("nobody")
            )
        });
        told.collect()
    }

    #[test]
    fn a_later_assignment_holds_from_its_period_on_and_takes_what_was_planned_after_it() {
        assert_eq!(told(&[("always", "a")]), [".. .. a"]);
        assert_eq!(told(&[("2026-09", "b"), ("always", "a")]), [".. 2026-09 a", "2026-09 .. b"]);
        assert_eq!(told(&[("2026-07", ""), ("2026-09", "b"), ("always", "a")]), [".. 2026-07 a", "2026-07 .. nobody"]);
        assert_eq!(told(&[("always", "c"), ("2026-09", "b"), ("always", "a")]), [".. .. c"]);
        assert_eq!(told(&[("2026-09", "c"), ("2026-09", "b"), ("2026-08", "a")]), ["2026-08 2026-09 a", "2026-09 .. c"]);
    }

    #[test]
    fn whoever_holds_it_at_or_after_a_period_is_named_once() {
        let rows = rows(&[("2026-10", "a"), ("2026-09", "b"), ("2026-07", ""), ("always", "a")]);
        let names = |from: &str| {
            let held = holders_from(&rows, from.parse().ok());
            held.into_iter().map(|row| row.tenant_id.clone().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names("2026-10"), ["a"]);
        assert_eq!(names("2026-09"), ["a", "b"]);
        assert_eq!(names("2026-08"), ["a", "b"]);
        assert_eq!(names("always"), ["a", "b"]);
    }

    #[test]
    fn an_assignment_that_changes_nothing_is_known_as_one() {
        let moved = rows(&[("2026-09", "b"), ("2026-07", "a")]);
        let held = |from: &str, tenant: &str| is_held_from(&moved, from.parse().ok(), (!tenant.is_empty()).then_some(tenant));
        assert!(held("2026-09", "b") && held("2026-12", "b"));
        assert!(!held("2026-08", "b") && !held("2026-07", "a") && !held("always", "b") && !held("always", ""));
        let fresh = rows(&[]);
        assert!(is_held_from(&fresh, None, None) && !is_held_from(&fresh, None, Some("a")));
        let late = rows(&[("2026-09", "a")]);
        assert!(!is_held_from(&late, None, Some("a")) && !is_held_from(&late, "2026-08".parse().ok(), Some("a")));
        assert!(is_held_from(&late, "2026-09".parse().ok(), Some("a")));
    }
}
