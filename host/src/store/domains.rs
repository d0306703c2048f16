//! The MSP's mail domains: where the contacts of its tenants must be. While none is set, any address passes.

use std::collections::BTreeSet;

use super::audit::NOTHING;
use super::tags::tag_of;
use super::values::to_json;
use super::{MAX_NAME, Result, Store, StoreError, Tx, unchanged};

/// The setting's name.
const DOMAINS: &str = "domains";

/// Domains at most: an MSP has a handful.
const MAX_DOMAINS: usize = 100;

/// Tenants that a refusal names.
const TOLD: usize = 5;

pub(super) fn checked_email(text: &str) -> Result<String> {
    let well_formed = text.len() <= MAX_NAME
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    if well_formed { Ok(text.to_owned()) } else { Err(StoreError::Invalid(format!("{text:?} is not an e-mail address"))) }
}

fn checked_domain(text: &str) -> Result<String> {
    let domain = text.trim().to_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let well_formed = domain.len() <= MAX_NAME && domain.contains('.') && domain.split('.').all(label);
    if well_formed { Ok(domain) } else { Err(StoreError::Invalid(format!("{text:?} is not a domain such as msp.example"))) }
}

/// What follows the `@`; a plus-alias is before it.
fn is_on(email: &str, domains: &BTreeSet<String>) -> bool {
    domains.is_empty() || email.rsplit_once('@').is_some_and(|(_, host)| domains.contains(&host.to_lowercase()))
}

async fn stored(tx: &mut Tx) -> Result<Option<BTreeSet<String>>> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(DOMAINS).fetch_optional(&mut **tx).await?;
    let read = |text: String| serde_json::from_str(&text).map_err(|error| StoreError::Corrupt(format!("the domains: {error}")));
    text.map(read).transpose()
}

/// Refuses a contact elsewhere.
pub(super) async fn on_our_domains(tx: &mut Tx, email: Option<&str>) -> Result<()> {
    let domains = stored(tx).await?.unwrap_or_default();
    match email {
        Some(email) if !is_on(email, &domains) => {
            let known: Vec<&str> = domains.iter().map(String::as_str).collect();
            Err(StoreError::Invalid(format!("the contact {email} is on none of the MSP's domains: {}", known.join(", "))))
        }
        _ => Ok(()),
    }
}

impl Store {
    /// In the order of the alphabet; none means that any address passes.
    pub async fn domains(&self) -> Result<Vec<String>> {
        Ok(stored(&mut self.read.begin().await?).await?.unwrap_or_default().into_iter().collect())
    }

    /// Sets all of them. Refused while a tenant's contact would be elsewhere.
    pub async fn domains_set(&self, domains: &[String], expected: Option<i64>) -> Result<Vec<String>> {
        if domains.len() > MAX_DOMAINS {
            return Err(StoreError::Invalid(format!("{} domains; at most {MAX_DOMAINS}", domains.len())));
        }
        let domains = domains.iter().map(|domain| checked_domain(domain)).collect::<Result<BTreeSet<String>>>()?;
        let mut tx = self.begin().await?;
        let before = stored(&mut tx).await?;
        unchanged("setting", DOMAINS, tag_of(before.iter().flatten().map(String::as_str)), expected)?;
        let contacts: Vec<(String, String)> =
            sqlx::query_as("SELECT name, contact_email FROM tenants WHERE contact_email IS NOT NULL ORDER BY name")
                .fetch_all(&mut *tx)
                .await?;
        let elsewhere: Vec<String> =
            contacts.into_iter().filter(|(_, email)| !is_on(email, &domains)).map(|(name, email)| format!("{name} ({email})")).collect();
        if !elsewhere.is_empty() {
            let more = elsewhere.len().saturating_sub(TOLD);
            let told = elsewhere.into_iter().take(TOLD).collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return Err(StoreError::Conflict(format!("tenants have their contact on another domain: {told}{more}; change those first")));
        }
        sqlx::query(
            "INSERT INTO settings (name, value, updated_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET value = $2, updated_at = $3",
        )
        .bind(DOMAINS)
        .bind(to_json(&domains)?)
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await?;
        match before {
            Some(before) => self.audit(&mut tx, "update", "setting", DOMAINS, Some(&before), Some(&domains)).await?,
            None => self.audit(&mut tx, "update", "setting", DOMAINS, NOTHING, Some(&domains)).await?,
        }
        tx.commit().await?;
        Ok(domains.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_a_dot_and_proper_labels() {
        assert_eq!(checked_domain(" MSP.Example ").unwrap(), "msp.example");
        for text in ["", "msp", "msp..example", "-a.example", "a_b.example", "msp.example/x", "@msp.example"] {
            assert!(checked_domain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_plus_alias_is_on_its_domain_and_a_subdomain_is_another() {
        let domains = BTreeSet::from(["msp.example".to_owned()]);
        assert!(is_on("cloud+acme@MSP.example", &domains));
        assert!(!is_on("cloud@sub.msp.example", &domains) && !is_on("msp.example@elsewhere.example", &domains));
        assert!(is_on("anybody@anywhere.example", &BTreeSet::new()));
    }
}
