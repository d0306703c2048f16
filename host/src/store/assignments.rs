//! Assignments: which rule applies to whom, from when to when, in which order; and the chain that follows for a tenant's month.

use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::tenants::managed_customer;
use super::values::{flag, json};
use super::{DbRow, Page, PageRequest, Result, Store, StoreError, Tx, list_tag, unchanged};
use crate::clock::Moment;
use crate::domain::period::Period;

/// Assignments at most: moving one renumbers those behind it.
const MAX_ASSIGNMENTS: i64 = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Assignment {
    pub id: String,
    pub rule_id: String,
    /// None assigns the rule to all tenants.
    pub tenant_id: Option<String>,
    /// From 1, one list for all tenants.
    pub position: i64,
    /// First period in which it is effective; none has no beginning.
    pub from_period: Option<Period>,
    /// Last period in which it is effective; none has no end.
    pub to_period: Option<Period>,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// What a caller sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentFields {
    pub rule_id: String,
    pub tenant_id: Option<String>,
    /// None puts a new one last and leaves an old one where it is; a number behind the last means last.
    pub position: Option<i64>,
    pub from_period: Option<Period>,
    pub to_period: Option<Period>,
}

/// One rule of a tenant's chain, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChainLink {
    pub assignment_id: String,
    pub rule_id: String,
    pub title: String,
    pub plugin: String,
    /// The pinned version, or the one active now.
    pub digest: String,
    /// Whether the plugin is disabled: the run must fail, not go on without the rule.
    pub disabled: bool,
    #[schema(value_type = Object)]
    pub config: Value,
}

impl FromRow<'_, DbRow> for ChainLink {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            assignment_id: row.try_get("assignment_id")?,
            rule_id: row.try_get("rule_id")?,
            title: row.try_get("title")?,
            plugin: row.try_get("plugin")?,
            digest: row.try_get("digest")?,
            disabled: flag(row, "disabled")?,
            config: json(row, "config")?,
        })
    }
}

/// A rule and where it applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedRule {
    pub link: ChainLink,
    /// None is all tenants.
    pub tenant_id: Option<String>,
    pub from_period: Option<Period>,
    pub to_period: Option<Period>,
}

impl AssignedRule {
    pub fn applies(&self, tenant_id: &str, period: Period) -> bool {
        self.tenant_id.as_deref().is_none_or(|only| only == tenant_id)
            && self.from_period.is_none_or(|from| from <= period)
            && self.to_period.is_none_or(|to| to >= period)
    }
}

impl FromRow<'_, DbRow> for AssignedRule {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        Ok(Self {
            link: ChainLink::from_row(row)?,
            tenant_id: row.try_get("tenant_id")?,
            from_period: row.try_get("from_period")?,
            to_period: row.try_get("to_period")?,
        })
    }
}

impl AssignmentFields {
    async fn check(&self, tx: &mut Tx) -> Result<()> {
        if let (Some(from), Some(to)) = (self.from_period, self.to_period)
            && from > to
        {
            return Err(StoreError::Invalid(format!("the assignment ends in {to}, before it begins in {from}")));
        }
        if self.position.is_some_and(|position| position < 1) {
            return Err(StoreError::Invalid("positions count from 1".to_owned()));
        }
        let rule: Option<i64> =
            sqlx::query_scalar("SELECT version FROM rules WHERE id = $1").bind(&self.rule_id).fetch_optional(&mut **tx).await?;
        rule.ok_or_else(|| StoreError::Invalid(format!("there is no rule {}", self.rule_id)))?;
        if let Some(tenant) = &self.tenant_id {
            match managed_customer(tx, tenant).await {
                Err(StoreError::NotFound { .. }) => return Err(StoreError::Invalid(format!("there is no tenant {tenant}"))),
                known => known?,
            };
        }
        Ok(())
    }
}

impl Store {
    /// If asked, only while the others are in the order in which the caller read them.
    pub async fn assignment_create(&self, fields: &AssignmentFields, expected: Option<i64>) -> Result<Assignment> {
        let mut tx = self.begin().await?;
        unchanged("order of", "assignments", order_tag(&mut tx).await?, expected)?;
        let assignment = self.assign(&mut tx, fields).await?;
        tx.commit().await?;
        Ok(assignment)
    }

    /// All of them or none, one after the other; `expected` as for one.
    pub async fn assignments_create(&self, all: &[AssignmentFields], expected: Option<i64>) -> Result<Vec<Assignment>> {
        let mut tx = self.begin().await?;
        unchanged("order of", "assignments", order_tag(&mut tx).await?, expected)?;
        let mut created = Vec::with_capacity(all.len());
        for fields in all {
            created.push(self.assign(&mut tx, fields).await?);
        }
        tx.commit().await?;
        Ok(created)
    }

    /// Whether these could be created.
    pub async fn assignments_check(&self, all: &[AssignmentFields]) -> Result<()> {
        let mut tx = self.read.begin().await?;
        for fields in all {
            self.check_assignment(&mut tx, fields).await?;
        }
        Ok(())
    }

    /// Whether it makes sense, and reaches none but tenants that the caller sees.
    async fn check_assignment(&self, tx: &mut Tx, fields: &AssignmentFields) -> Result<()> {
        self.reach(fields.tenant_id.as_deref())?;
        fields.check(tx).await
    }

    /// Within a transaction, if the caller may change it.
    async fn changeable(&self, tx: &mut Tx, id: &str) -> Result<Assignment> {
        let found: Option<Assignment> =
            sqlx::query_as("SELECT * FROM assignments WHERE id = $1").bind(id).fetch_optional(&mut **tx).await?;
        let found = found.filter(|found| self.sees_assignment(found)).ok_or_else(|| StoreError::not_found("assignment", id))?;
        self.reach(found.tenant_id.as_deref())?;
        Ok(found)
    }

    fn sees_assignment(&self, assignment: &Assignment) -> bool {
        assignment.tenant_id.as_deref().is_none_or(|tenant| self.view.sees(tenant))
    }

    async fn assign(&self, tx: &mut Tx, fields: &AssignmentFields) -> Result<Assignment> {
        self.check_assignment(tx, fields).await?;
        let present: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM assignments").fetch_one(&mut **tx).await?;
        if present >= MAX_ASSIGNMENTS {
            return Err(StoreError::Conflict(format!("there are {MAX_ASSIGNMENTS} assignments already")));
        }
        let position = fields.position.unwrap_or(i64::MAX).min(present + 1);
        sqlx::query("UPDATE assignments SET position = position + 1 WHERE position >= $1").bind(position).execute(&mut **tx).await?;
        let assignment: Assignment = sqlx::query_as(
            "INSERT INTO assignments (id, rule_id, tenant_id, position, from_period, to_period, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7) RETURNING *",
        )
        .bind(self.clock.id("asg"))
        .bind(&fields.rule_id)
        .bind(&fields.tenant_id)
        .bind(position)
        .bind(fields.from_period)
        .bind(fields.to_period)
        .bind(self.clock.now())
        .fetch_one(&mut **tx)
        .await?;
        self.audit(tx, "create", "assignment", &assignment.id, NOTHING, Some(&assignment)).await?;
        Ok(assignment)
    }

    pub async fn assignment(&self, id: &str) -> Result<Assignment> {
        let found: Option<Assignment> =
            sqlx::query_as("SELECT * FROM assignments WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        found.filter(|found| self.sees_assignment(found)).ok_or_else(|| StoreError::not_found("assignment", id))
    }

    /// In their order; of one rule, or of what applies to one tenant (its own and those of all), if asked.
    pub async fn assignments(&self, rule_id: Option<&str>, tenant_id: Option<&str>, page: &PageRequest) -> Result<Page<Assignment>> {
        let after = page.after();
        let after: i64 =
            if after.is_empty() { 0 } else { after.parse().map_err(|_| StoreError::Invalid("not a page of this list".to_owned()))? };
        let items = sqlx::query_as(
            "SELECT * FROM assignments WHERE position > $1 AND ($2 IS NULL OR rule_id = $2) \
             AND ($3 IS NULL OR tenant_id IS NULL OR tenant_id = $3) \
             AND ($5 IS NULL OR tenant_id IS NULL OR $5 LIKE '%,' || tenant_id || ',%') ORDER BY position LIMIT $4",
        )
        .bind(after)
        .bind(rule_id)
        .bind(tenant_id)
        .bind(page.fetch())
        .bind(self.view.seen())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |assignment: &Assignment| assignment.position.to_string()))
    }

    pub async fn assignment_update(&self, id: &str, fields: &AssignmentFields, expected: Option<i64>) -> Result<Assignment> {
        let mut tx = self.begin().await?;
        let before = self.changeable(&mut tx, id).await?;
        let old = before.position;
        unchanged("assignment", id, before.version, expected)?;
        self.check_assignment(&mut tx, fields).await?;
        let present: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM assignments").fetch_one(&mut *tx).await?;
        let new = fields.position.unwrap_or(old).min(present);
        sqlx::query("UPDATE assignments SET position = position - 1 WHERE position > $1").bind(old).execute(&mut *tx).await?;
        sqlx::query("UPDATE assignments SET position = position + 1 WHERE position >= $1 AND id <> $2")
            .bind(new)
            .bind(id)
            .execute(&mut *tx)
            .await?;
        let assignment: Assignment = sqlx::query_as(
            "UPDATE assignments SET rule_id = $2, tenant_id = $3, position = $4, from_period = $5, to_period = $6, \
             version = version + 1, updated_at = $7 WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(&fields.rule_id)
        .bind(&fields.tenant_id)
        .bind(new)
        .bind(fields.from_period)
        .bind(fields.to_period)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await?;
        self.audit(&mut tx, "update", "assignment", id, Some(&before), Some(&assignment)).await?;
        tx.commit().await?;
        Ok(assignment)
    }

    /// What tells whether they are in the order in which they were: of all of them, whoever asks.
    pub async fn assignments_order(&self) -> Result<i64> {
        order_tag(&mut self.read.begin().await?).await
    }

    /// Puts the given assignments in the given order, in the places that they have together; the others stay where they are. Gives them and
    /// the tag of the order of all.
    pub async fn assignments_reorder(&self, ids: &[String], expected: Option<i64>) -> Result<(Vec<Assignment>, i64)> {
        self.reach(None)?;
        let mut tx = self.begin().await?;
        unchanged("order of", "assignments", order_tag(&mut tx).await?, expected)?;
        let mut places = Vec::with_capacity(ids.len());
        for id in ids {
            let place: Option<i64> =
                sqlx::query_scalar("SELECT position FROM assignments WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
            places.push(place.ok_or_else(|| StoreError::not_found("assignment", id))?);
        }
        places.sort_unstable();
        if places.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(StoreError::Invalid("an assignment is named twice".to_owned()));
        }
        let now = self.clock.now();
        let mut ordered = Vec::with_capacity(ids.len());
        for (id, place) in ids.iter().zip(places) {
            let assignment = sqlx::query_as(
                "UPDATE assignments SET version = version + CASE WHEN position <> $2 THEN 1 ELSE 0 END, position = $2, updated_at = $3 WHERE id = $1 RETURNING *",
            );
            ordered.push(assignment.bind(id).bind(place).bind(now).fetch_one(&mut *tx).await?);
        }
        self.audit(&mut tx, "order", "assignment", "all", NOTHING, Some(&ids)).await?;
        let order = order_tag(&mut tx).await?;
        tx.commit().await?;
        Ok((ordered, order))
    }

    /// Removes an assignment and returns it.
    pub async fn assignment_delete(&self, id: &str, expected: Option<i64>) -> Result<Assignment> {
        let mut tx = self.begin().await?;
        let assignment = self.changeable(&mut tx, id).await?;
        unchanged("assignment", id, assignment.version, expected)?;
        sqlx::query("DELETE FROM assignments WHERE id = $1").bind(id).execute(&mut *tx).await?;
        close_gaps(&mut tx).await?;
        self.audit(&mut tx, "delete", "assignment", id, Some(&assignment), NOTHING).await?;
        tx.commit().await?;
        Ok(assignment)
    }

    /// The tenant's rules of a period, in the order in which they apply.
    pub async fn chain(&self, tenant_id: &str, period: Period) -> Result<Vec<ChainLink>> {
        let assigned = self.assigned_rules().await?;
        Ok(assigned.into_iter().filter(|rule| rule.applies(tenant_id, period)).map(|rule| rule.link).collect())
    }

    /// A rule as it would stand in a chain; not assigned by anything.
    pub async fn rule_link(&self, rule_id: &str) -> Result<ChainLink> {
        let found = sqlx::query_as(
            "SELECT '' AS assignment_id, r.id AS rule_id, r.title, r.plugin, COALESCE(r.pinned_digest, p.active_digest) AS digest, \
             p.disabled, r.config FROM rules r JOIN plugins p ON p.name = r.plugin WHERE r.id = $1",
        );
        let found = found.bind(rule_id).fetch_optional(&self.read).await?;
        found.ok_or_else(|| StoreError::not_found("rule", rule_id))
    }

    /// Every assigned rule, in the order in which they apply: all chains of all tenants in one read.
    pub async fn assigned_rules(&self) -> Result<Vec<AssignedRule>> {
        let assigned = sqlx::query_as(
            "SELECT a.id AS assignment_id, r.id AS rule_id, r.title, r.plugin, COALESCE(r.pinned_digest, p.active_digest) AS digest, \
             p.disabled, r.config, a.tenant_id, a.from_period, a.to_period \
             FROM assignments a JOIN rules r ON r.id = a.rule_id JOIN plugins p ON p.name = r.plugin ORDER BY a.position",
        );
        Ok(assigned.fetch_all(&self.read).await?)
    }
}

async fn order_tag(tx: &mut Tx) -> Result<i64> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM assignments ORDER BY position").fetch_all(&mut **tx).await?;
    Ok(list_tag(&ids))
}

/// Numbers the list from 1 again, keeping its order.
pub(super) async fn close_gaps(tx: &mut Tx) -> Result<()> {
    let renumber = sqlx::query(
        "UPDATE assignments SET position = numbered.place \
         FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY position) AS place FROM assignments) AS numbered WHERE numbered.id = assignments.id",
    );
    renumber.execute(&mut **tx).await?;
    Ok(())
}
