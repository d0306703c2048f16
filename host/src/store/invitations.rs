//! Invitations: one-time links that make somebody a member. The link's secret is known by its SHA-256 only.

use serde::Serialize;
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::domains::checked_email;
use super::values::{json, to_json};
use super::{DbRow, Membership, MembershipFields, Page, PageRequest, Result, Store, StoreError, User, UserFields, unchanged};
use crate::clock::Moment;
use crate::domain::access::{Organisation, Role};

/// How long a link opens, in milliseconds: a week.
const VALID_MILLIS: i64 = 7 * 24 * 60 * 60 * 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invitation {
    pub id: String,
    pub email: String,
    pub organisation: Organisation,
    pub role: Role,
    /// Only these cost centers; null for all of the organisation.
    pub cost_centers: Option<Vec<String>>,
    pub created_by: String,
    pub created_at: Moment,
    pub expires_at: Moment,
}

impl FromRow<'_, DbRow> for Invitation {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let limited = row.try_get::<i64, _>("limited")? != 0;
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            organisation: row.try_get("organisation")?,
            role: row.try_get("role")?,
            cost_centers: if limited { Some(json(row, "cost_centers")?) } else { None },
            created_by: row.try_get("created_by")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
        })
    }
}

/// What a caller sets.
#[derive(Clone, Debug)]
pub struct InvitationFields {
    pub email: String,
    pub membership: MembershipFields,
    /// SHA-256 of the link's secret, in hexadecimal.
    pub sha256: String,
}

/// What somebody who accepts says of themselves.
#[derive(Clone, Debug)]
pub struct NewPerson {
    pub name: String,
    /// None of a person who is known, and who has shown it.
    pub password_hash: Option<String>,
}

impl Store {
    /// Invites somebody. An invitation of the same person to the same organisation is replaced: its link opens nothing any more.
    pub async fn invitation_create(&self, fields: &InvitationFields) -> Result<Invitation> {
        self.see_organisation(&fields.membership.organisation)?;
        let email = checked_email(fields.email.trim())?;
        let membership = &fields.membership;
        let now = self.clock.now();
        let mut tx = self.begin().await?;
        let cost_centers = membership.checked(&mut tx).await?;
        let member: Option<String> = sqlx::query_scalar(
            "SELECT m.user_id FROM memberships m JOIN users u ON u.id = m.user_id WHERE u.email_key = $1 AND m.organisation = $2",
        )
        .bind(email.to_lowercase())
        .bind(&membership.organisation)
        .fetch_optional(&mut *tx)
        .await?;
        if member.is_some() {
            return Err(StoreError::Conflict(format!("{email} is a member of {} already", membership.organisation)));
        }
        sqlx::query("DELETE FROM invitations WHERE (email_key = $1 AND organisation = $2) OR expires_at <= $3")
            .bind(email.to_lowercase())
            .bind(&membership.organisation)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        let invitation: Invitation = sqlx::query_as(
            "INSERT INTO invitations (id, email, email_key, organisation, tenant_id, role, limited, cost_centers, sha256, created_by, \
             created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *",
        )
        .bind(self.clock.id("inv"))
        .bind(&email)
        .bind(email.to_lowercase())
        .bind(&membership.organisation)
        .bind(membership.organisation.tenant())
        .bind(membership.role)
        .bind(i64::from(membership.cost_centers.is_some()))
        .bind(to_json(&cost_centers)?)
        .bind(&fields.sha256)
        .bind(self.actor.creator_in(&membership.organisation))
        .bind(now)
        .bind(Moment(now.0 + VALID_MILLIS))
        .fetch_one(&mut *tx)
        .await?;
        self.audit(&mut tx, "create", "invitation", &invitation.id, NOTHING, Some(&invitation)).await?;
        tx.commit().await?;
        Ok(invitation)
    }

    /// Those that still open, oldest first.
    pub async fn invitations(&self, page: &PageRequest) -> Result<Page<Invitation>> {
        let tenant = self.view.tenant().map(|tenant| tenant.id.to_string());
        let items = sqlx::query_as(
            "SELECT * FROM invitations WHERE id > $1 AND expires_at > $2 AND ($3 IS NULL OR organisation = $3) ORDER BY id LIMIT $4",
        )
        .bind(page.after())
        .bind(self.clock.now())
        .bind(tenant)
        .bind(page.fetch())
        .fetch_all(&self.read)
        .await?;
        Ok(page.page(items, |invitation: &Invitation| invitation.id.clone()))
    }

    /// One that still opens.
    pub async fn invitation(&self, id: &str) -> Result<Invitation> {
        let found = sqlx::query_as("SELECT * FROM invitations WHERE id = $1 AND expires_at > $2");
        let found: Option<Invitation> = found.bind(id).bind(self.clock.now()).fetch_optional(&self.read).await?;
        let seen = found.filter(|invitation| self.see_organisation(&invitation.organisation).is_ok());
        seen.ok_or_else(|| StoreError::not_found("invitation", id))
    }

    /// Takes an invitation back: its link opens nothing any more.
    pub async fn invitation_revoke(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let mut tx = self.begin().await?;
        let found: Option<Invitation> = sqlx::query_as("SELECT * FROM invitations WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let invitation = found.filter(|invitation| self.see_organisation(&invitation.organisation).is_ok());
        let invitation = invitation.ok_or_else(|| StoreError::not_found("invitation", id))?;
        unchanged("invitation", id, invitation.tag(), expected)?;
        sqlx::query("DELETE FROM invitations WHERE id = $1").bind(id).execute(&mut *tx).await?;
        self.audit(&mut tx, "delete", "invitation", id, Some(&invitation), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The invitation that a secret opens.
    pub async fn invitation_by_sha256(&self, sha256: &str) -> Result<Option<Invitation>> {
        let found = sqlx::query_as("SELECT * FROM invitations WHERE sha256 = $1 AND expires_at > $2");
        Ok(found.bind(sha256).bind(self.clock.now()).fetch_optional(&self.read).await?)
    }

    /// Makes the invited person a member, once. The store is on behalf of who invited nobody yet: the log names the invited address.
    pub async fn invitation_accept(&self, sha256: &str, person: &NewPerson) -> Result<(User, Membership)> {
        let mut tx = self.begin().await?;
        let used: Option<Invitation> = sqlx::query_as("DELETE FROM invitations WHERE sha256 = $1 AND expires_at > $2 RETURNING *")
            .bind(sha256)
            .bind(self.clock.now())
            .fetch_optional(&mut *tx)
            .await?;
        let invitation =
            used.ok_or_else(|| StoreError::NotFound { noun: "invitation", id: "with this secret, or it was used".to_owned() })?;
        super::tenants::admitted(&mut tx, &invitation.organisation).await?;
        let known: Option<String> = sqlx::query_scalar("SELECT id FROM users WHERE email_key = $1 AND state = 'active'")
            .bind(invitation.email.to_lowercase())
            .fetch_optional(&mut *tx)
            .await?;
        if known.is_some() && person.password_hash.is_some() {
            return Err(super::users::known_already(&invitation.email)); // since the caller looked
        }
        let store = self.by_actor(&super::Actor { name: invitation.email.clone(), ..(*self.actor).clone() });
        let fields = UserFields { email: invitation.email.clone(), name: person.name.clone(), password_hash: person.password_hash.clone() };
        let Invitation { organisation, role, cost_centers, .. } = invitation.clone();
        let added = store.user_add_in(&mut tx, &fields, &MembershipFields { organisation, role, cost_centers }).await?;
        store.audit(&mut tx, "accept", "invitation", &invitation.id, Some(&invitation), NOTHING).await?;
        tx.commit().await?;
        Ok(added)
    }
}
