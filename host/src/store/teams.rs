//! Teams of the MSP: who is in one sees only the tenants of their teams. Owners see all, in whatever team they are.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::{Page, PageRequest, Result, Store, StoreError, Tx, checked_name, unchanged, unique};
use crate::clock::Moment;

/// People, or tenants, of one team at most.
const MAX_MEMBERS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Team {
    pub id: String,
    pub name: String,
    /// Ids of people of the MSP.
    pub members: Vec<String>,
    /// Ids of the tenants that they see.
    pub tenants: Vec<String>,
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// What a caller sets, as a whole.
#[derive(Clone, Debug)]
pub struct TeamFields {
    pub name: String,
    pub members: Vec<String>,
    pub tenants: Vec<String>,
}

#[derive(FromRow)]
struct Stored {
    id: String,
    name: String,
    version: i64,
    created_at: Moment,
    updated_at: Moment,
}

const MEMBERS: &str = "SELECT user_id FROM team_members WHERE team_id = $1 ORDER BY user_id";
const TENANTS: &str = "SELECT tenant_id FROM team_tenants WHERE team_id = $1 ORDER BY tenant_id";

impl Store {
    pub async fn team_create(&self, fields: &TeamFields) -> Result<Team> {
        let (name, name_key) = checked_name("a team's name", &fields.name)?;
        let mut tx = self.begin().await?;
        let stored: Stored = sqlx::query_as(
            "INSERT INTO teams (id, name, name_key, version, created_at, updated_at) VALUES ($1, $2, $3, 1, $4, $4) RETURNING *",
        )
        .bind(self.clock.id("tem"))
        .bind(&name)
        .bind(name_key)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| unique(error, |_| format!("a team named {name} exists already")))?;
        let team = put(&mut tx, stored, fields).await?;
        self.audit(&mut tx, "create", "team", &team.id, NOTHING, Some(&team)).await?;
        tx.commit().await?;
        Ok(team)
    }

    pub async fn team(&self, id: &str) -> Result<Team> {
        let found: Option<Stored> = sqlx::query_as("SELECT * FROM teams WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        self.whole(found.ok_or_else(|| StoreError::not_found("team", id))?).await
    }

    pub async fn teams(&self, page: &PageRequest) -> Result<Page<Team>> {
        let stored: Vec<Stored> = sqlx::query_as("SELECT * FROM teams WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(page.after())
            .bind(page.fetch())
            .fetch_all(&self.read)
            .await?;
        let mut teams = Vec::with_capacity(stored.len());
        for team in stored {
            teams.push(self.whole(team).await?);
        }
        Ok(page.page(teams, |team: &Team| team.id.clone()))
    }

    async fn whole(&self, team: Stored) -> Result<Team> {
        let members = sqlx::query_scalar(MEMBERS).bind(&team.id).fetch_all(&self.read).await?;
        let tenants = sqlx::query_scalar(TENANTS).bind(&team.id).fetch_all(&self.read).await?;
        let Stored { id, name, version, created_at, updated_at } = team;
        Ok(Team { id, name, members, tenants, version, created_at, updated_at })
    }

    pub async fn team_update(&self, id: &str, fields: &TeamFields, expected: Option<i64>) -> Result<Team> {
        let (name, name_key) = checked_name("a team's name", &fields.name)?;
        let before = self.team(id).await?;
        let mut tx = self.begin().await?;
        let current: Option<i64> = sqlx::query_scalar("SELECT version FROM teams WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        unchanged("team", id, current.ok_or_else(|| StoreError::not_found("team", id))?, expected)?;
        let stored: Stored =
            sqlx::query_as("UPDATE teams SET name = $2, name_key = $3, version = version + 1, updated_at = $4 WHERE id = $1 RETURNING *")
                .bind(id)
                .bind(&name)
                .bind(name_key)
                .bind(self.clock.now())
                .fetch_one(&mut *tx)
                .await
                .map_err(|error| unique(error, |_| format!("a team named {name} exists already")))?;
        let after = put(&mut tx, stored, fields).await?;
        self.audit(&mut tx, "update", "team", id, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Removes a team without members: whoever leaves their last team sees every tenant, and that shall not happen by the way.
    pub async fn team_delete(&self, id: &str, expected: Option<i64>) -> Result<()> {
        let before = self.team(id).await?;
        let mut tx = self.begin().await?;
        let current: Option<i64> = sqlx::query_scalar("SELECT version FROM teams WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        unchanged("team", id, current.ok_or_else(|| StoreError::not_found("team", id))?, expected)?;
        let members: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM team_members WHERE team_id = $1").bind(id).fetch_one(&mut *tx).await?;
        if members > 0 {
            let text =
                format!("the team {} has {members} members, who might see more tenants without it: take them out first", before.name);
            return Err(StoreError::Conflict(text));
        }
        sqlx::query("DELETE FROM teams WHERE id = $1").bind(id).execute(&mut *tx).await?;
        self.audit(&mut tx, "delete", "team", id, Some(&before), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The tenants of all teams of a person; none for who is in no team.
    pub async fn team_tenants_of(&self, user_id: &str) -> Result<Option<Vec<String>>> {
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT m.team_id, t.tenant_id FROM team_members m LEFT JOIN team_tenants t ON t.team_id = m.team_id WHERE m.user_id = $1",
        )
        .bind(user_id)
        .fetch_all(&self.read)
        .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let tenants: BTreeSet<String> = rows.into_iter().filter_map(|(_, tenant)| tenant).collect();
        Ok(Some(tenants.into_iter().collect()))
    }
}

async fn put(tx: &mut Tx, team: Stored, fields: &TeamFields) -> Result<Team> {
    if fields.members.len() > MAX_MEMBERS || fields.tenants.len() > MAX_MEMBERS {
        return Err(StoreError::Invalid(format!("a team has at most {MAX_MEMBERS} members and tenants")));
    }
    sqlx::query("DELETE FROM team_members WHERE team_id = $1").bind(&team.id).execute(&mut **tx).await?;
    sqlx::query("DELETE FROM team_tenants WHERE team_id = $1").bind(&team.id).execute(&mut **tx).await?;
    let members: BTreeSet<&String> = fields.members.iter().collect();
    for user in &members {
        let known: Option<String> = sqlx::query_scalar("SELECT user_id FROM memberships WHERE user_id = $1 AND organisation = 'msp'")
            .bind(user.as_str())
            .fetch_optional(&mut **tx)
            .await?;
        known.ok_or_else(|| StoreError::not_found("user of the MSP", user))?;
        let added = sqlx::query("INSERT INTO team_members (team_id, user_id) VALUES ($1, $2)").bind(&team.id).bind(user.as_str());
        added.execute(&mut **tx).await?;
    }
    let tenants: BTreeSet<&String> = fields.tenants.iter().collect();
    for tenant in &tenants {
        let known: Option<String> =
            sqlx::query_scalar("SELECT id FROM tenants WHERE id = $1").bind(tenant.as_str()).fetch_optional(&mut **tx).await?;
        known.ok_or_else(|| StoreError::not_found("tenant", tenant))?;
        let added = sqlx::query("INSERT INTO team_tenants (team_id, tenant_id) VALUES ($1, $2)").bind(&team.id).bind(tenant.as_str());
        added.execute(&mut **tx).await?;
    }
    let own = |ids: BTreeSet<&String>| ids.into_iter().cloned().collect();
    let Stored { id, name, version, created_at, updated_at } = team;
    Ok(Team { id, name, members: own(members), tenants: own(tenants), version, created_at, updated_at })
}
