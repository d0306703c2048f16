//! Virtual integrations: a named view of some subaccounts, or of the charges that meet conditions. What they show is computed elsewhere,
//! from the snapshots, each time; nothing of it is stored, so a view that goes leaves nothing behind.

use serde::Serialize;
use sqlx::{FromRow, Row};

use super::audit::NOTHING;
use super::values::{json, to_json};
use super::{DbRow, MAX_TEXT, Page, PageRequest, Result, Store, StoreError, Tx, checked_name, containing, unchanged, unique};
use crate::clock::Moment;
use crate::domain::charge::{Kind, NATIVE_PREFIX, STORED, TAG_PREFIX};
use crate::domain::rule::{Condition, Test};

/// Subaccounts of one view: as many as one call moves.
const MAX_SUBACCOUNTS: usize = 10_000;

/// Conditions of one view, and values of one condition: more is a list of subaccounts.
const MAX_CONDITIONS: usize = 20;
const MAX_VALUES: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VirtualIntegration {
    pub id: String,
    pub name: String,
    /// Ids, sorted; empty where conditions select.
    pub subaccounts: Vec<String>,
    /// All of them must hold; empty where subaccounts are listed.
    pub conditions: Vec<Condition>,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

impl FromRow<'_, DbRow> for VirtualIntegration {
    /// Without its subaccounts, which are rows of their own.
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            subaccounts: Vec::new(),
            conditions: json(row, "conditions")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// What a caller sets: subaccounts or conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualFields {
    pub name: String,
    pub subaccounts: Vec<String>,
    pub conditions: Vec<Condition>,
}

impl VirtualFields {
    fn checked(&self) -> Result<(String, String)> {
        let invalid = |text: String| Err(StoreError::Invalid(text));
        match (self.subaccounts.len(), self.conditions.len()) {
            (0, 0) => return invalid("say which charges: `subaccounts`, or `where` with conditions".to_owned()),
            (1.., 1..) => return invalid("`subaccounts` or `where`, not both".to_owned()),
            (listed, _) if listed > MAX_SUBACCOUNTS => return invalid(format!("{listed} subaccounts; at most {MAX_SUBACCOUNTS}")),
            (_, conditions) if conditions > MAX_CONDITIONS => return invalid(format!("{conditions} conditions; at most {MAX_CONDITIONS}")),
            _ => {}
        }
        for (place, condition) in self.conditions.iter().enumerate() {
            if let Err(reason) = check_condition(condition) {
                return invalid(format!("where[{place}]: {reason}"));
            }
        }
        checked_name("a virtual integration's name", &self.name)
    }
}

fn check_condition(condition: &Condition) -> std::result::Result<(), String> {
    let column = &condition.column;
    let free = column.starts_with(TAG_PREFIX) || column.starts_with(NATIVE_PREFIX);
    match STORED.iter().find(|(name, _)| name == column) {
        Some((_, Kind::Text)) => {}
        Some(_) => return Err(format!("{column} is not a text column")),
        None if free => {}
        None => return Err(format!("bills have no column {column:?}; Tags.<key>, ServiceName, RegionId and the like are known")),
    }
    if column == TAG_PREFIX {
        return Err("Tags. needs the tag's key, as in Tags.team".to_owned());
    }
    let values = match &condition.test {
        Test::IsIn(values) | Test::NotIn(values) | Test::StartsWith(values) => values,
        Test::IsNull | Test::NotNull => return Ok(()),
    };
    if values.is_empty() || values.len() > MAX_VALUES {
        return Err(format!("has 1 to {MAX_VALUES} values"));
    }
    if values.iter().any(|value| value.len() > MAX_TEXT) {
        return Err(format!("a value has at most {MAX_TEXT} bytes"));
    }
    if matches!(&condition.test, Test::StartsWith(values) if values.iter().any(String::is_empty)) {
        return Err("every text starts with \"\"; use not_null".to_owned());
    }
    Ok(())
}

pub(super) async fn find(tx: &mut Tx, id: &str) -> Result<VirtualIntegration> {
    let found: Option<VirtualIntegration> =
        sqlx::query_as("SELECT * FROM virtual_integrations WHERE id = $1").bind(id).fetch_optional(&mut **tx).await?;
    let mut found = found.ok_or_else(|| StoreError::not_found("virtual integration", id))?;
    let listed =
        sqlx::query_scalar("SELECT subaccount_id FROM virtual_integration_subaccounts WHERE virtual_id = $1 ORDER BY subaccount_id");
    found.subaccounts = listed.bind(id).fetch_all(&mut **tx).await?;
    Ok(found)
}

/// Puts these subaccounts in place of those before; each must be known.
async fn put_subaccounts(tx: &mut Tx, id: &str, subaccounts: &[String]) -> Result<()> {
    sqlx::query("DELETE FROM virtual_integration_subaccounts WHERE virtual_id = $1").bind(id).execute(&mut **tx).await?;
    for subaccount in subaccounts {
        let known: Option<String> =
            sqlx::query_scalar("SELECT id FROM subaccounts WHERE id = $1").bind(subaccount).fetch_optional(&mut **tx).await?;
        if known.is_none() {
            return Err(StoreError::Invalid(format!("subaccounts: there is no subaccount {subaccount}")));
        }
        let put =
            sqlx::query("INSERT INTO virtual_integration_subaccounts (virtual_id, subaccount_id) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        put.bind(id).bind(subaccount).execute(&mut **tx).await?;
    }
    Ok(())
}

fn taken(fields: &VirtualFields) -> String {
    format!("a virtual integration named {} exists already", fields.name.trim())
}

impl Store {
    pub async fn virtual_create(&self, fields: &VirtualFields) -> Result<VirtualIntegration> {
        let (name, name_key) = fields.checked()?;
        let mut tx = self.begin().await?;
        let id: String = sqlx::query_scalar(
            "INSERT INTO virtual_integrations (id, name, name_key, conditions, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, 1, $5, $5) RETURNING id",
        )
        .bind(self.clock.id("vin"))
        .bind(name)
        .bind(name_key)
        .bind(to_json(&fields.conditions)?)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |_| taken(fields)))?;
        put_subaccounts(&mut tx, &id, &fields.subaccounts).await?;
        let made = find(&mut tx, &id).await?;
        self.audit(&mut tx, "create", "virtual-integration", &id, NOTHING, Some(&made)).await?;
        tx.commit().await?;
        Ok(made)
    }

    pub async fn virtual_integration(&self, id: &str) -> Result<VirtualIntegration> {
        if self.view.virtual_integration().is_some_and(|only| **only != *id) {
            return Err(StoreError::not_found("virtual integration", id));
        }
        find(&mut self.read.begin().await?, id).await
    }

    /// Oldest first.
    pub async fn virtual_integrations(&self, search: Option<&str>, page: &PageRequest) -> Result<Page<VirtualIntegration>> {
        let mut tx = self.read.begin().await?;
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM virtual_integrations WHERE id > $1 AND ($2 IS NULL OR name_key LIKE $2 ESCAPE '!') \
             AND ($4 IS NULL OR id = $4) ORDER BY id LIMIT $3",
        )
        .bind(page.after())
        .bind(search.map(containing))
        .bind(page.fetch())
        .bind(self.view.virtual_integration().map(|only| only.to_string()))
        .fetch_all(&mut *tx)
        .await?;
        let mut items = Vec::with_capacity(ids.len());
        for id in ids {
            items.push(find(&mut tx, &id).await?);
        }
        Ok(page.page(items, |found: &VirtualIntegration| found.id.clone()))
    }

    /// Sets all of it; nothing of it counts unless all of it is right.
    pub async fn virtual_update(&self, id: &str, fields: &VirtualFields, expected: Option<i64>) -> Result<VirtualIntegration> {
        let (name, name_key) = fields.checked()?;
        let mut tx = self.begin().await?;
        let before = find(&mut tx, id).await?;
        unchanged("virtual integration", id, before.version, expected)?;
        sqlx::query(
            "UPDATE virtual_integrations SET name = $2, name_key = $3, conditions = $4, version = version + 1, updated_at = $5 WHERE id = $1",
        )
        .bind(id)
        .bind(name)
        .bind(name_key)
        .bind(to_json(&fields.conditions)?)
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await
        .map_err(|error| unique(error, |_| taken(fields)))?;
        put_subaccounts(&mut tx, id, &fields.subaccounts).await?;
        let after = find(&mut tx, id).await?;
        self.audit(&mut tx, "update", "virtual-integration", id, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    pub async fn virtual_delete(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let before = find(&mut tx, id).await?;
        unchanged("virtual integration", id, before.version, expected)?;
        sqlx::query("DELETE FROM virtual_integrations WHERE id = $1").bind(id).execute(&mut *tx).await?;
        self.audit(&mut tx, "delete", "virtual-integration", id, Some(&before), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Its listed subaccounts as their bills name them: (integration, billing account, sub account).
    pub async fn virtual_accounts(&self, id: &str) -> Result<Vec<(String, String, String)>> {
        let found = sqlx::query_as(
            "SELECT s.integration_id, s.billing_account_id, s.sub_account_id FROM virtual_integration_subaccounts v \
             JOIN subaccounts s ON s.id = v.subaccount_id WHERE v.virtual_id = $1",
        );
        Ok(found.bind(id).fetch_all(&self.read).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_name_text_columns_of_the_source_and_have_values() {
        let reason = |column: &str, test| check_condition(&Condition { column: column.to_owned(), test }).err().unwrap_or_default();
        let one = || Test::IsIn(vec!["a".to_owned()]);
        for column in ["Tags.team", "ServiceName", "x_ServiceCode", "x_Native.ResourceGroup", "SubAccountId"] {
            assert_eq!(reason(column, one()), "", "{column}");
        }
        assert!(
            reason("x_AppliedRules", one()).contains("bills have no column") && reason("Nothing", one()).contains("bills have no column")
        );
        assert!(reason("BilledCost", one()).contains("not a text column"));
        assert!(reason("Tags.", one()).contains("needs the tag's key") && reason("Tags.a", Test::IsIn(Vec::new())).contains("1 to 1000"));
        assert!(reason("Tags.a", Test::StartsWith(vec![String::new()])).contains("not_null"));
    }
}
