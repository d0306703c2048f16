//! Signing in through an organisation's own provider: its settings, and who its subjects are.
//!
//! Each organisation's provider is believed about that organisation only. Somebody who is known elsewhere already is not let in by their
//! address: whoever gave themselves the address there would come in as well.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row};
use utoipa::ToSchema;

use super::audit::NOTHING;
use super::memberships::{keep_an_owner, memberships_of};
use super::values::{json, to_json};
use super::{
    DbRow, MAX_NAME, MAX_TEXT, MembershipFields, Result, Store, StoreError, Tx, User, UserFields, UserState, checked_name, unchanged,
};
use crate::clock::Moment;
use crate::domain::access::{Organisation, Role};

/// Groups that one organisation gives roles to: a handful, and some for history's sake.
const MAX_ROLES: usize = 200;

/// Scopes that are asked for beside `openid`.
const MAX_SCOPES: usize = 20;

/// What the people of one of the provider's groups are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRole {
    /// As the provider writes it.
    pub group: String,
    pub role: Role,
}

/// How an organisation's people sign in beside their passwords, or instead of them. The client's secret is never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SignIn {
    /// `msp`, or a tenant's id.
    pub organisation: Organisation,
    pub issuer: String,
    pub client_id: String,
    /// Whether a secret is kept; a public client has none.
    pub has_secret: bool,
    /// Beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists a person's groups: a name, or a path with dots.
    pub group_claim: String,
    /// The first whose group a person is in says what they are.
    pub roles: Vec<GroupRole>,
    /// Whether passwords are refused for this organisation.
    pub enforced: bool,
    /// Whether people become members at their first sign-in.
    pub just_in_time: bool,
    /// Whether an address counts that the provider does not say it has checked.
    pub unverified_email: bool,
    /// Counts changes.
    pub version: i64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

impl FromRow<'_, DbRow> for SignIn {
    fn from_row(row: &DbRow) -> sqlx::Result<Self> {
        let flag = |column: &str| row.try_get::<i64, _>(column).map(|value| value != 0);
        Ok(Self {
            organisation: row.try_get("organisation")?,
            issuer: row.try_get("issuer")?,
            client_id: row.try_get("client_id")?,
            has_secret: row.try_get::<Option<String>, _>("client_secret")?.is_some(),
            scopes: json(row, "scopes")?,
            group_claim: row.try_get("group_claim")?,
            roles: json(row, "roles")?,
            enforced: flag("enforced")?,
            just_in_time: flag("just_in_time")?,
            unverified_email: flag("unverified_email")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// What a caller sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInFields {
    pub issuer: String,
    pub client_id: String,
    pub secret: ClientSecret,
    pub scopes: Vec<String>,
    pub group_claim: String,
    pub roles: Vec<GroupRole>,
    pub enforced: bool,
    pub just_in_time: bool,
    pub unverified_email: bool,
}

/// What becomes of the client's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientSecret {
    /// It stays, as long as the issuer does: a new issuer must not be sent the old one's.
    Keep,
    None,
    /// Sealed.
    Sealed(String),
}

/// Somebody as their organisation's provider vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
    pub groups: Vec<String>,
}

/// Whether somebody is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    In(Box<User>),
    /// Why not, in words for the person.
    Refused(String),
}

impl SignIn {
    /// What somebody of these groups is.
    pub fn role_of(&self, groups: &[String]) -> Option<Role> {
        self.roles.iter().find(|mapped| groups.contains(&mapped.group)).map(|mapped| mapped.role)
    }
}

impl SignInFields {
    fn checked(&self) -> Result<()> {
        checked_name("the client's id", &self.client_id)?;
        checked_name("the claim of groups", &self.group_claim)?;
        if self.issuer.len() > MAX_TEXT {
            return Err(StoreError::Invalid(format!("the issuer is longer than {MAX_TEXT} bytes")));
        }
        if self.roles.len() > MAX_ROLES || self.scopes.len() > MAX_SCOPES {
            return Err(StoreError::Invalid(format!("name at most {MAX_ROLES} groups and {MAX_SCOPES} scopes")));
        }
        for mapped in &self.roles {
            checked_name("a group", &mapped.group)?;
        }
        let is_scope = |scope: &String| !scope.is_empty() && scope.len() <= MAX_NAME && scope.bytes().all(|byte| byte.is_ascii_graphic());
        match self.scopes.iter().find(|scope| !is_scope(scope)) {
            Some(scope) => Err(StoreError::Invalid(format!("{scope:?} is not a scope"))),
            None if self.just_in_time && self.roles.is_empty() => {
                Err(StoreError::Invalid("people who become members at their first sign-in need roles: map a group to one".to_owned()))
            }
            None => Ok(()),
        }
    }
}

impl Store {
    /// An organisation's settings, if it has any.
    pub async fn sign_in_find(&self, organisation: &Organisation) -> Result<Option<SignIn>> {
        self.see_organisation(organisation)?;
        Ok(sqlx::query_as("SELECT * FROM sign_in WHERE organisation = $1").bind(organisation).fetch_optional(&self.read).await?)
    }

    pub async fn sign_in(&self, organisation: &Organisation) -> Result<SignIn> {
        self.sign_in_find(organisation).await?.ok_or_else(|| StoreError::not_found("sign-in provider of", organisation.name()))
    }

    /// The client's secret as it is sealed: for talking to the provider only.
    pub async fn sign_in_secret(&self, organisation: &Organisation) -> Result<Option<String>> {
        let found: Option<Option<String>> = sqlx::query_scalar("SELECT client_secret FROM sign_in WHERE organisation = $1")
            .bind(organisation)
            .fetch_optional(&self.read)
            .await?;
        Ok(found.flatten())
    }

    /// Seals every client's secret again: all or none. Gives how many.
    pub async fn sign_in_seal_again<E>(
        &self,
        again: impl Fn(&Organisation, &str) -> std::result::Result<String, E>,
    ) -> Result<std::result::Result<u64, E>> {
        let mut tx = self.begin().await?;
        let all: Vec<(Organisation, String)> =
            sqlx::query_as("SELECT organisation, client_secret FROM sign_in WHERE client_secret IS NOT NULL ORDER BY organisation")
                .fetch_all(&mut *tx)
                .await?;
        let mut done = 0;
        for (organisation, sealed) in all {
            let sealed = match again(&organisation, &sealed) {
                Ok(sealed) => sealed,
                Err(error) => return Ok(Err(error)),
            };
            let change = sqlx::query("UPDATE sign_in SET client_secret = $2 WHERE organisation = $1").bind(&organisation).bind(sealed);
            change.execute(&mut *tx).await?;
            done += 1;
        }
        self.audit(&mut tx, "rotate", "sign-in", "all", NOTHING, Some(&done)).await?;
        tx.commit().await?;
        Ok(Ok(done))
    }

    /// Sets an organisation's provider as a whole.
    pub async fn sign_in_put(&self, organisation: &Organisation, fields: &SignInFields, expected: Option<i64>) -> Result<SignIn> {
        self.see_organisation(organisation)?;
        fields.checked()?;
        let mut tx = self.begin().await?;
        if let Some(tenant) = organisation.tenant() {
            let known: Option<String> =
                sqlx::query_scalar("SELECT id FROM tenants WHERE id = $1").bind(tenant).fetch_optional(&mut *tx).await?;
            known.ok_or_else(|| StoreError::not_found("tenant", tenant))?;
        }
        let before = stored(&mut tx, organisation).await?;
        let version = before.as_ref().map_or(0, |(before, _)| before.version);
        unchanged("sign-in provider of", organisation.name(), version, expected)?;
        let secret = match (&fields.secret, &before) {
            (ClientSecret::Sealed(sealed), _) => Some(sealed.clone()),
            (ClientSecret::Keep, Some((before, Some(_)))) if before.issuer != fields.issuer => {
                return Err(StoreError::Invalid("the issuer changes: give the client's secret anew, or null for none".to_owned()));
            }
            (ClientSecret::Keep, Some((_, kept))) => kept.clone(),
            (ClientSecret::Keep | ClientSecret::None, _) => None,
        };
        let after: SignIn = sqlx::query_as(
            "INSERT INTO sign_in (organisation, tenant_id, issuer, client_id, client_secret, scopes, group_claim, roles, enforced, \
             just_in_time, unverified_email, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) ON CONFLICT (organisation) DO UPDATE SET \
             issuer = $3, client_id = $4, client_secret = $5, scopes = $6, group_claim = $7, roles = $8, enforced = $9, \
             just_in_time = $10, unverified_email = $11, version = $12, updated_at = $13 RETURNING *",
        )
        .bind(organisation)
        .bind(organisation.tenant())
        .bind(&fields.issuer)
        .bind(fields.client_id.trim())
        .bind(secret)
        .bind(to_json(&fields.scopes)?)
        .bind(fields.group_claim.trim())
        .bind(to_json(&fields.roles)?)
        .bind(i64::from(fields.enforced))
        .bind(i64::from(fields.just_in_time))
        .bind(i64::from(fields.unverified_email))
        .bind(version + 1)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await?;
        let (action, before) = (if version == 0 { "create" } else { "update" }, before.map(|(before, _)| before));
        self.audit(&mut tx, action, "sign-in", organisation.name(), before.as_ref(), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Takes an organisation's provider away, with who its subjects are. Whoever came through it is signed out.
    pub async fn sign_in_delete(&self, organisation: &Organisation, expected: Option<i64>) -> Result<()> {
        self.see_organisation(organisation)?;
        let mut tx = self.begin().await?;
        let before = stored(&mut tx, organisation).await?.map(|(before, _)| before);
        let before = before.ok_or_else(|| StoreError::not_found("sign-in provider of", organisation.name()))?;
        unchanged("sign-in provider of", organisation.name(), before.version, expected)?;
        for statement in [
            "DELETE FROM sessions WHERE organisation = $1 AND issuer IS NOT NULL",
            "DELETE FROM identities WHERE organisation = $1",
            "DELETE FROM sign_in WHERE organisation = $1",
        ] {
            sqlx::query(statement).bind(organisation).execute(&mut *tx).await?;
        }
        self.audit(&mut tx, "delete", "sign-in", organisation.name(), Some(&before), NOTHING).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets in whom an organisation's provider vouches for, by its settings: somebody who came before, a member with that address, or,
    /// just in time, somebody new.
    pub async fn sign_in_admit(&self, settings: &SignIn, vouched: &Vouched) -> Result<Admission> {
        let organisation = &settings.organisation;
        let role = settings.role_of(&vouched.groups);
        let mut tx = self.begin().await?;
        super::tenants::admitted(&mut tx, organisation).await?;
        let known: Option<(String, i64)> =
            sqlx::query_as("SELECT user_id, managed FROM identities WHERE organisation = $1 AND issuer = $2 AND subject = $3")
                .bind(organisation)
                .bind(&vouched.issuer)
                .bind(&vouched.subject)
                .fetch_optional(&mut *tx)
                .await?;
        let admitted = match known {
            Some((user_id, managed)) => self.admit_known(&mut tx, organisation, &user_id, managed != 0, role).await?,
            None => self.admit_new(&mut tx, settings, vouched, role).await?,
        };
        let (user, managed) = match admitted {
            Ok(admitted) => admitted,
            Err(why) => return Ok(Admission::Refused(why)),
        };
        sqlx::query(
            "INSERT INTO identities (organisation, issuer, subject, user_id, managed, created_at, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (organisation, issuer, subject) DO UPDATE SET seen_at = $6",
        )
        .bind(organisation)
        .bind(&vouched.issuer)
        .bind(&vouched.subject)
        .bind(&user.id)
        .bind(i64::from(managed))
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Admission::In(Box::new(user)))
    }

    /// Somebody who came before. One whose groups say what they are is that now, or nothing any more.
    async fn admit_known(
        &self,
        tx: &mut Tx,
        organisation: &Organisation,
        user_id: &str,
        managed: bool,
        role: Option<Role>,
    ) -> Result<Admitted> {
        let user: User = sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(user_id).fetch_one(&mut **tx).await?;
        if user.state != UserState::Active {
            return Ok(Err("you were removed".to_owned()));
        }
        if !managed {
            return Ok(Ok((user, managed)));
        }
        let Some(role) = role else { return Ok(Err(NO_ROLE.to_owned())) };
        let before = memberships_of(tx, user_id).await?.into_iter().find(|known| known.organisation == *organisation);
        let Some(before) = before.filter(|before| before.role != role) else { return Ok(Ok((user, managed))) };
        match keep_an_owner(tx, &before, Some(role)).await {
            // The last Owner stays one, or nobody could let anybody in.
            Err(StoreError::Conflict(_)) => return Ok(Ok((user, managed))),
            kept => kept?,
        }
        // An Owner is never limited to cost centers.
        sqlx::query(
            "UPDATE memberships SET role = $3, limited = CASE WHEN $4 <> 0 THEN 0 ELSE limited END, updated_at = $5 \
             WHERE user_id = $1 AND organisation = $2",
        )
        .bind(user_id)
        .bind(organisation)
        .bind(role)
        .bind(i64::from(role == Role::Owner))
        .bind(self.clock.now())
        .execute(&mut **tx)
        .await?;
        let after = memberships_of(tx, user_id).await?.into_iter().find(|known| known.organisation == *organisation);
        self.audit(tx, "update", "membership", user_id, Some(&before), after.as_ref()).await?;
        Ok(Ok((user, managed)))
    }

    /// Somebody who comes for the first time.
    async fn admit_new(&self, tx: &mut Tx, settings: &SignIn, vouched: &Vouched, role: Option<Role>) -> Result<Admitted> {
        let refused = |why: &str| Ok(Err(why.to_owned()));
        let organisation = &settings.organisation;
        let Some(email) = vouched.email.as_deref() else { return refused("the provider does not tell your e-mail address") };
        if !vouched.email_verified && !settings.unverified_email {
            return refused("the provider does not say that it has checked your e-mail address");
        }
        let known: Option<User> = sqlx::query_as("SELECT * FROM users WHERE email_key = $1 AND state = 'active'")
            .bind(email.trim().to_lowercase())
            .fetch_optional(&mut **tx)
            .await?;
        if let Some(user) = known {
            let member = memberships_of(tx, &user.id).await?.iter().any(|known| known.organisation == *organisation);
            return if member {
                Ok(Ok((user, false)))
            } else {
                refused("your address is known in another organisation: ask for an invitation")
            };
        }
        if !settings.just_in_time {
            return refused("you are not a member: ask for an invitation");
        }
        let Some(role) = role else { return refused(NO_ROLE) };
        let name = vouched.name.as_deref().filter(|name| checked_name("a name", name).is_ok()).unwrap_or(email).to_owned();
        let fields = UserFields { email: email.to_owned(), name, password_hash: None };
        let membership = MembershipFields { organisation: organisation.clone(), role, cost_centers: None };
        match self.user_add_in(tx, &fields, &membership).await {
            Ok((user, _)) => Ok(Ok((user, true))),
            Err(StoreError::Invalid(why)) => Ok(Err(why)),
            Err(error) => Err(error),
        }
    }
}

const NO_ROLE: &str = "none of your groups has a role here: ask an Owner";

/// A person and whether their groups say what they are; or why they are not let in.
type Admitted = std::result::Result<(User, bool), String>;

/// The settings and the sealed secret, as they are in the transaction.
async fn stored(tx: &mut Tx, organisation: &Organisation) -> Result<Option<(SignIn, Option<String>)>> {
    let row = sqlx::query("SELECT * FROM sign_in WHERE organisation = $1").bind(organisation).fetch_optional(&mut **tx).await?;
    match row {
        Some(row) => Ok(Some((SignIn::from_row(&row)?, row.try_get("client_secret")?))),
        None => Ok(None),
    }
}
