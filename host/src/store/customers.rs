//! Customers that a partner's bill names: they become tenants that hold their subscriptions, where the integration is set so.
//!
//! What a bill names is in its snapshot's report, so that this is worked out from what is stored: whatever stopped the daemon between an
//! import and this, the next look finds the same. Only what nobody ever held is given to somebody: what people decided since stays.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::integrations::{find, shortened};
use super::roster::{Column, tenant_where};
use super::tenants::managed_customer;
use super::{AccountKey, Actor, Assign, MAX_TEXT, Result, Store, StoreError, TenantFields, Tx};

/// Customers of whom a notice tells.
const TOLD: usize = 20;

/// Where a snapshot's report has them.
pub const CUSTOMERS: &str = "customers";

/// A customer as a bill names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledCustomer {
    /// The provider's id: a customer is known by it, whatever its name.
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Its subscriptions: billing account and sub account.
    pub subaccounts: BTreeSet<AccountKey>,
}

/// What was done about the customers of an integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomersAdmitted {
    /// Tenants that were made.
    pub created: usize,
    /// Subscriptions that were given to their customers.
    pub assigned: usize,
}

impl Store {
    /// Makes tenants of the customers that the integration's published bills name and gives them their subscriptions, all in one
    /// transaction, as far as it is set so. What cannot be done for one customer is told in the integration's `notice`.
    pub async fn customers_admit(&self, integration_id: &str) -> Result<CustomersAdmitted> {
        let mut tx = self.begin().await?;
        let integration = find(&mut tx, integration_id).await?;
        let mut done = CustomersAdmitted::default();
        let mut faults = Vec::new();
        if integration.create_tenants {
            let store = self.by_actor(&Actor::named(&format!("import of {}", integration.name)));
            for customer in billed_customers(&mut tx, integration_id).await?.into_values() {
                match store.admit(&mut tx, integration_id, &customer).await {
                    Ok(admitted) => {
                        done.created += admitted.created;
                        done.assigned += admitted.assigned;
                    }
                    // Each is found out before anything is written for the customer.
                    Err(StoreError::Conflict(reason) | StoreError::Invalid(reason)) => {
                        faults.push(format!("the customer {} ({}): {reason}", customer.name, customer.id));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let more = faults.len().saturating_sub(TOLD);
        faults.truncate(TOLD);
        if more > 0 {
            faults.push(format!("and {more} more customers"));
        }
        let notice = (!faults.is_empty()).then(|| shortened(&faults.join("; "), MAX_TEXT));
        if notice != integration.notice {
            let told = sqlx::query("UPDATE integrations SET notice = $2 WHERE id = $1").bind(integration_id).bind(notice);
            told.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(done)
    }

    /// Puts the customers that a snapshot names into its report, for whom they were not looked for when it was imported. None takes them out.
    pub async fn snapshot_customers_put(&self, snapshot_id: &str, customers: &[BilledCustomer]) -> Result<()> {
        let mut tx = self.begin().await?;
        let found: Option<String> =
            sqlx::query_scalar("SELECT report FROM snapshots WHERE id = $1").bind(snapshot_id).fetch_optional(&mut *tx).await?;
        let Some(report) = found else { return Ok(()) }; // its integration was deleted meanwhile
        let mut report: Value = serde_json::from_str(&report).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        if let Some(fields) = report.as_object_mut() {
            fields.remove(CUSTOMERS);
            if !customers.is_empty() {
                fields
                    .insert(CUSTOMERS.to_owned(), serde_json::to_value(customers).map_err(|error| StoreError::Corrupt(error.to_string()))?);
            }
        }
        sqlx::query("UPDATE snapshots SET report = $2 WHERE id = $1").bind(snapshot_id).bind(report.to_string()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn admit(&self, tx: &mut Tx, integration_id: &str, customer: &BilledCustomer) -> Result<CustomersAdmitted> {
        let subaccounts = never_held(tx, integration_id, &customer.subaccounts).await?;
        let nothing = CustomersAdmitted::default();
        if subaccounts.is_empty() {
            return Ok(nothing); // also of a tenant that was deleted: it does not come back
        }
        let known = tenant_where(tx, Column::ExternalId, &customer.id).await?;
        let (tenant, created) = match known {
            Some(tenant) => (managed_customer(tx, &tenant.id).await?, 0),
            None => {
                if let Some(other) = tenant_where(tx, Column::Name, &customer.name.trim().to_lowercase()).await? {
                    let (name, id) = (other.name, &customer.id);
                    let known =
                        other.external_id.map_or_else(|| format!("set its external id to {id}"), |its| format!("it is the customer {its}"));
                    return Err(StoreError::Conflict(format!("a tenant named {name} exists already; {known}, or rename it")));
                }
                let fields = TenantFields {
                    name: customer.name.clone(),
                    external_id: Some(customer.id.clone()),
                    domain: customer.domain.clone(),
                    ..TenantFields::default()
                };
                (self.create_tenant(tx, &fields).await?, 1)
            }
        };
        let wanted = Assign { subaccounts, tenant_id: Some(tenant.id), ..Assign::default() };
        let assigned = self.assign_within(tx, &wanted).await?.len();
        Ok(CustomersAdmitted { created, assigned })
    }
}

/// What all published bills of an integration say, by the customers' ids; the newest month's name counts.
async fn billed_customers(tx: &mut Tx, integration_id: &str) -> Result<BTreeMap<String, BilledCustomer>> {
    let reports: Vec<String> =
        sqlx::query_scalar("SELECT report FROM snapshots WHERE integration_id = $1 AND state = 'published' ORDER BY period")
            .bind(integration_id)
            .fetch_all(&mut **tx)
            .await?;
    let mut customers: BTreeMap<String, BilledCustomer> = BTreeMap::new();
    for report in reports {
        let mut report: Value = serde_json::from_str(&report).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let Some(billed) = report.get_mut(CUSTOMERS).map(Value::take) else { continue };
        let billed: Vec<BilledCustomer> = serde_json::from_value(billed).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        for customer in billed {
            let known = customers.entry(customer.id.clone()).or_default();
            let mut subaccounts = std::mem::take(&mut known.subaccounts);
            subaccounts.extend(customer.subaccounts.iter().cloned());
            let domain = customer.domain.clone().or_else(|| known.domain.take());
            *known = BilledCustomer { subaccounts, domain, ..customer };
        }
    }
    Ok(customers)
}

/// Of these subaccounts the ids of those that were never given to anybody.
async fn never_held(tx: &mut Tx, integration_id: &str, accounts: &BTreeSet<AccountKey>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (billing, sub) in accounts {
        let free: Option<String> = sqlx::query_scalar(
            "SELECT s.id FROM subaccounts s WHERE s.integration_id = $1 AND s.billing_account_id = $2 AND s.sub_account_id = $3 \
             AND NOT EXISTS (SELECT 1 FROM subaccount_holders h WHERE h.subaccount_id = s.id)",
        )
        .bind(integration_id)
        .bind(billing)
        .bind(sub)
        .fetch_optional(&mut **tx)
        .await?;
        found.extend(free);
    }
    Ok(found)
}
