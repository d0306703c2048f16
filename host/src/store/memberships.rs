//! Memberships: what a person is in an organisation. Somebody may be in the MSP's and in several tenants'.
//!
//! The last Owner of an organisation stays: nobody could let anybody in after them. Sessions and tokens are tied to a membership and end
//! with it.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::{ABSENT, AccountKey, DbRow, Result, Store, StoreError, Tx, User, View, unchanged, unique};
use crate::clock::Moment;
use crate::domain::access::{Organisation, Role};

/// Cost centers of one membership at most: a tenant has dozens.
const MAX_COST_CENTERS: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Membership {
    pub user_id: String,
    /// `msp`, or a tenant's id.
    pub organisation: Organisation,
    pub role: Role,
    /// Only these cost centers; null for all of the organisation.
    pub cost_centers: Option<Vec<String>>,
    pub created_by: String,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// What a caller sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipFields {
    pub organisation: Organisation,
    pub role: Role,
    pub cost_centers: Option<Vec<String>>,
}

impl MembershipFields {
    /// The cost centers in their order, checked: they are the organisation's own.
    pub(super) async fn checked(&self, tx: &mut Tx) -> Result<Vec<String>> {
        if let Some(tenant) = self.organisation.tenant() {
            let known: Option<String> =
                sqlx::query_scalar("SELECT id FROM tenants WHERE id = $1").bind(tenant).fetch_optional(&mut **tx).await?;
            known.ok_or_else(|| StoreError::not_found("tenant", tenant))?;
        }
        let Some(ids) = &self.cost_centers else { return Ok(Vec::new()) };
        let Some(tenant) = self.organisation.tenant() else {
            return Err(StoreError::Invalid("the MSP has no cost centers: they are of tenants".to_owned()));
        };
        if self.role == Role::Owner {
            return Err(StoreError::Invalid("an Owner cannot be limited to cost centers".to_owned()));
        }
        if ids.is_empty() || ids.len() > MAX_COST_CENTERS {
            return Err(StoreError::Invalid(format!("name 1 to {MAX_COST_CENTERS} cost centers, or none at all for the whole tenant")));
        }
        let ids: BTreeSet<&String> = ids.iter().collect();
        for id in &ids {
            let known: Option<String> = sqlx::query_scalar("SELECT id FROM cost_centers WHERE id = $1 AND tenant_id = $2")
                .bind(id.as_str())
                .bind(tenant)
                .fetch_optional(&mut **tx)
                .await?;
            known.ok_or_else(|| StoreError::not_found("cost center", id))?;
        }
        Ok(ids.into_iter().cloned().collect())
    }
}

/// A row of `memberships`; the cost centers are rows of their own.
struct Stored {
    membership: Membership,
    limited: bool,
}

impl FromRow<'_, DbRow> for Stored {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let membership = Membership {
            user_id: row.try_get("user_id")?,
            organisation: row.try_get("organisation")?,
            role: row.try_get("role")?,
            cost_centers: None,
            created_by: row.try_get("created_by")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        };
        Ok(Self { membership, limited: row.try_get::<i64, _>("limited")? != 0 })
    }
}

impl Store {
    /// Refuses an organisation that the caller does not see, in the words of one that is not there.
    pub(super) fn see_organisation(&self, organisation: &Organisation) -> Result<()> {
        match (&self.view, organisation) {
            (View::Tenant(_), Organisation::Msp) => Err(StoreError::not_found("organisation", organisation.name())),
            (_, Organisation::Msp) => Ok(()),
            (_, Organisation::Tenant(id)) => self.see_tenant(id),
        }
    }

    /// What a person is, where; of it what the caller sees.
    pub async fn memberships(&self, user_id: &str) -> Result<Vec<Membership>> {
        let rows: Vec<Stored> = sqlx::query_as("SELECT * FROM memberships WHERE user_id = $1 ORDER BY organisation")
            .bind(user_id)
            .fetch_all(&self.read)
            .await?;
        let mut memberships = Vec::with_capacity(rows.len());
        for row in rows.into_iter().filter(|row| self.see_organisation(&row.membership.organisation).is_ok()) {
            let centers = centers().bind(user_id).bind(row.membership.organisation.name());
            let cost_centers = if row.limited { Some(centers.fetch_all(&self.read).await?) } else { None };
            memberships.push(Membership { cost_centers, ..row.membership });
        }
        Ok(memberships)
    }

    /// What a person is in one organisation.
    pub async fn membership(&self, user_id: &str, organisation: &Organisation) -> Result<Option<Membership>> {
        Ok(self.memberships(user_id).await?.into_iter().find(|membership| membership.organisation == *organisation))
    }

    /// Changes what a member is, or makes a known person one.
    pub async fn membership_set(&self, user_id: &str, fields: &MembershipFields, expected: Option<i64>) -> Result<Membership> {
        self.see_organisation(&fields.organisation)?;
        let user = self.user(user_id).await?;
        let mut tx = self.begin().await?;
        let before = memberships_of(&mut tx, user_id).await?.into_iter().find(|known| known.organisation == fields.organisation);
        unchanged("membership", user_id, before.as_ref().map_or(ABSENT, Membership::tag), expected)?;
        let after = match before {
            None if fields.organisation == Organisation::Msp => return Err(super::users::known_already(&user.email)),
            None => insert_membership(self, &mut tx, &user, fields).await?,
            Some(before) => {
                keep_an_owner(&mut tx, &before, Some(fields.role)).await?;
                let cost_centers = fields.checked(&mut tx).await?;
                sqlx::query("UPDATE memberships SET role = $3, limited = $4, updated_at = $5 WHERE user_id = $1 AND organisation = $2")
                    .bind(user_id)
                    .bind(&fields.organisation)
                    .bind(fields.role)
                    .bind(i64::from(fields.cost_centers.is_some()))
                    .bind(self.clock.now())
                    .execute(&mut *tx)
                    .await?;
                put_centers(&mut tx, user_id, &fields.organisation, &cost_centers).await?;
                let after = one(&mut tx, user_id, &fields.organisation).await?;
                self.audit(&mut tx, "update", "membership", user_id, Some(&before), Some(&after)).await?;
                after
            }
        };
        tx.commit().await?;
        Ok(after)
    }

    /// Ends a membership with its sessions and tokens. Who belongs to nothing any more is removed.
    pub async fn membership_remove(&self, user_id: &str, organisation: &Organisation, expected: Option<i64>) -> Result<()> {
        self.see_organisation(organisation)?;
        let user = self.user(user_id).await?;
        let mut tx = self.begin().await?;
        let all = memberships_of(&mut tx, user_id).await?;
        let Some(membership) = all.iter().find(|known| known.organisation == *organisation) else {
            return Err(StoreError::not_found("membership", &format!("of {user_id} in {organisation}")));
        };
        unchanged("membership", user_id, membership.tag(), expected)?;
        keep_an_owner(&mut tx, membership, None).await?;
        sqlx::query("DELETE FROM memberships WHERE user_id = $1 AND organisation = $2")
            .bind(user_id)
            .bind(organisation)
            .execute(&mut *tx)
            .await?;
        self.audit(&mut tx, "delete", "membership", user_id, Some(membership), NOTHING).await?;
        if *organisation == Organisation::Msp {
            sqlx::query("DELETE FROM team_members WHERE user_id = $1").bind(user_id).execute(&mut *tx).await?;
        }
        if all.len() == 1 {
            super::users::end(self, &mut tx, &user).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The subaccounts that a limited membership is limited to, as far as the tenant holds them now; none where it is not limited.
    pub async fn accounts_of(&self, membership: &Membership) -> Result<Option<BTreeSet<AccountKey>>> {
        if membership.cost_centers.is_none() {
            return Ok(None);
        }
        let accounts: Vec<AccountKey> = sqlx::query_as(
            "SELECT DISTINCT s.billing_account_id, s.sub_account_id FROM membership_cost_centers m \
             JOIN cost_center_subaccounts c ON c.cost_center_id = m.cost_center_id JOIN subaccounts s ON s.id = c.subaccount_id \
             WHERE m.user_id = $1 AND m.organisation = $2 AND s.tenant_id = $2",
        )
        .bind(&membership.user_id)
        .bind(&membership.organisation)
        .fetch_all(&self.read)
        .await?;
        Ok(Some(accounts.into_iter().collect()))
    }
}

fn centers<'q>() -> sqlx::query::QueryScalar<'q, super::Db, String, <super::Db as sqlx::Database>::Arguments> {
    sqlx::query_scalar(
        "SELECT cost_center_id FROM membership_cost_centers WHERE user_id = $1 AND organisation = $2 ORDER BY cost_center_id",
    )
}

/// All of a person's, as they are in the transaction.
pub(super) async fn memberships_of(tx: &mut Tx, user_id: &str) -> Result<Vec<Membership>> {
    let rows: Vec<Stored> =
        sqlx::query_as("SELECT * FROM memberships WHERE user_id = $1 ORDER BY organisation").bind(user_id).fetch_all(&mut **tx).await?;
    let mut memberships = Vec::with_capacity(rows.len());
    for row in rows {
        let centers = centers().bind(user_id).bind(row.membership.organisation.name().to_owned());
        let cost_centers = if row.limited { Some(centers.fetch_all(&mut **tx).await?) } else { None };
        memberships.push(Membership { cost_centers, ..row.membership });
    }
    Ok(memberships)
}

async fn one(tx: &mut Tx, user_id: &str, organisation: &Organisation) -> Result<Membership> {
    let all = memberships_of(tx, user_id).await?;
    all.into_iter().find(|known| known.organisation == *organisation).ok_or_else(|| StoreError::not_found("membership", user_id))
}

pub(super) async fn insert_membership(store: &Store, tx: &mut Tx, user: &User, fields: &MembershipFields) -> Result<Membership> {
    let cost_centers = fields.checked(tx).await?;
    sqlx::query(
        "INSERT INTO memberships (user_id, organisation, tenant_id, role, limited, created_by, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
    )
    .bind(&user.id)
    .bind(&fields.organisation)
    .bind(fields.organisation.tenant())
    .bind(fields.role)
    .bind(i64::from(fields.cost_centers.is_some()))
    .bind(store.actor.creator_in(&fields.organisation))
    .bind(store.clock.now())
    .execute(&mut **tx)
    .await
    .map_err(|error| unique(error, |_| format!("{} is a member of {} already", user.email, fields.organisation)))?;
    put_centers(tx, &user.id, &fields.organisation, &cost_centers).await?;
    let membership = one(tx, &user.id, &fields.organisation).await?;
    store.audit(tx, "create", "membership", &user.id, NOTHING, Some(&membership)).await?;
    Ok(membership)
}

async fn put_centers(tx: &mut Tx, user_id: &str, organisation: &Organisation, cost_centers: &[String]) -> Result<()> {
    sqlx::query("DELETE FROM membership_cost_centers WHERE user_id = $1 AND organisation = $2")
        .bind(user_id)
        .bind(organisation)
        .execute(&mut **tx)
        .await?;
    for id in cost_centers {
        sqlx::query("INSERT INTO membership_cost_centers (user_id, organisation, cost_center_id) VALUES ($1, $2, $3)")
            .bind(user_id)
            .bind(organisation)
            .bind(id)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Refuses to take away the last Owner of an organisation; `role` is what they become, none for nothing.
pub(super) async fn keep_an_owner(tx: &mut Tx, membership: &Membership, role: Option<Role>) -> Result<()> {
    if membership.role != Role::Owner || role == Some(Role::Owner) {
        return Ok(());
    }
    let others: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM memberships WHERE organisation = $1 AND role = 'owner' AND user_id <> $2")
        .bind(&membership.organisation)
        .bind(&membership.user_id)
        .fetch_one(&mut **tx)
        .await?;
    if others == 0 {
        let organisation = &membership.organisation;
        return Err(StoreError::Conflict(format!("this is the last Owner of {organisation}: make somebody else one first")));
    }
    Ok(())
}
