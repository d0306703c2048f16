//! What one tenant's rules may use: instructions, time, memory, and runs at the same time.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{Result, Store, StoreError, unchanged};
use crate::clock::Moment;

/// Instructions of one run. Twenty million charges through twenty rules of an interpreter, each at 4,900 a charge, are this many; compiled
/// rules use a hundredth.
pub const DEFAULT_FUEL: i64 = 2_000_000_000_000;
/// Processor time inside rules of one run, added up over threads: half an hour is what a month may take before a person should look.
pub const DEFAULT_TIME_MS: i64 = 30 * 60 * 1_000;
/// Memory of one instance of a rule: what the sandbox has room for, and what a Python rule works within.
pub const DEFAULT_MEMORY_MIB: i64 = 64;
/// Runs at the same time: a month in a few currencies, and one that is rated aside.
pub const DEFAULT_CONCURRENT_RUNS: i64 = 8;

/// Least that can be set: below it no rule starts.
const LEAST: (i64, i64, i64, i64) = (1_000_000, 10, 1, 1);
/// Most that can be set. A thousand times the default is no bound any more, and still counts without overflowing.
const MOST: (i64, i64, i64, i64) = (DEFAULT_FUEL * 1_000, DEFAULT_TIME_MS * 1_000, DEFAULT_MEMORY_MIB, 1_000);

/// Bounds of each run of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct TenantQuota {
    pub tenant_id: String,
    /// Instructions that all rules of one run may use together; about one per WebAssembly instruction.
    pub fuel: i64,
    /// Processor time inside the rules of one run, added up over threads, in milliseconds.
    pub time_ms: i64,
    /// Memory of one instance of a rule.
    pub memory_mib: i64,
    /// Runs that may be rated at the same time; others wait.
    pub concurrent_runs: i64,
    /// Counts changes; zero as long as the defaults hold.
    pub version: i64,
    /// Absent as long as the defaults hold.
    pub updated_at: Option<Moment>,
}

/// What a caller sets; what is absent is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaFields {
    pub fuel: Option<i64>,
    pub time_ms: Option<i64>,
    pub memory_mib: Option<i64>,
    pub concurrent_runs: Option<i64>,
}

impl TenantQuota {
    /// As long as nobody sets anything.
    pub fn default_of(tenant_id: &str) -> Self {
        Self {
            tenant_id: tenant_id.to_owned(),
            fuel: DEFAULT_FUEL,
            time_ms: DEFAULT_TIME_MS,
            memory_mib: DEFAULT_MEMORY_MIB,
            concurrent_runs: DEFAULT_CONCURRENT_RUNS,
            version: 0,
            updated_at: None,
        }
    }
}

fn within(name: &str, value: Option<i64>, default: i64, least: i64, most: i64) -> Result<i64> {
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(StoreError::Invalid(format!("{name} is {value}; it can be {least} to {most}")))
    }
}

impl Store {
    /// A tenant's quota; the defaults where none was set.
    pub async fn quota(&self, tenant_id: &str) -> Result<TenantQuota> {
        self.tenant(tenant_id).await?;
        let found = sqlx::query_as("SELECT * FROM tenant_quotas WHERE tenant_id = $1").bind(tenant_id).fetch_optional(&self.read).await?;
        Ok(found.unwrap_or_else(|| TenantQuota::default_of(tenant_id)))
    }

    /// All that were set, by tenant.
    pub async fn quotas(&self) -> Result<BTreeMap<String, TenantQuota>> {
        let quotas: Vec<TenantQuota> = sqlx::query_as("SELECT * FROM tenant_quotas").fetch_all(&self.read).await?;
        Ok(quotas.into_iter().map(|quota| (quota.tenant_id.clone(), quota)).collect())
    }

    /// Sets a tenant's quota as a whole. It counts from the next run on.
    pub async fn quota_put(&self, tenant_id: &str, fields: &QuotaFields, expected: Option<i64>) -> Result<TenantQuota> {
        self.see_tenant(tenant_id)?;
        let fuel = within("fuel", fields.fuel, DEFAULT_FUEL, LEAST.0, MOST.0)?;
        let time_ms = within("time_ms", fields.time_ms, DEFAULT_TIME_MS, LEAST.1, MOST.1)?;
        let memory_mib = within("memory_mib", fields.memory_mib, DEFAULT_MEMORY_MIB, LEAST.2, MOST.2)?;
        let concurrent = within("concurrent_runs", fields.concurrent_runs, DEFAULT_CONCURRENT_RUNS, LEAST.3, MOST.3)?;
        let mut tx = self.begin().await?;
        super::tenants::managed(&mut tx, tenant_id).await?;
        let found: Option<TenantQuota> =
            sqlx::query_as("SELECT * FROM tenant_quotas WHERE tenant_id = $1").bind(tenant_id).fetch_optional(&mut *tx).await?;
        let before = found.unwrap_or_else(|| TenantQuota::default_of(tenant_id));
        unchanged("quota of tenant", tenant_id, before.version, expected)?;
        let quota: TenantQuota = sqlx::query_as(
            "INSERT INTO tenant_quotas (tenant_id, fuel, time_ms, memory_mib, concurrent_runs, version, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id) DO UPDATE SET fuel = $2, time_ms = $3, memory_mib = $4, \
             concurrent_runs = $5, version = $6, updated_at = $7 RETURNING *",
        )
        .bind(tenant_id)
        .bind(fuel)
        .bind(time_ms)
        .bind(memory_mib)
        .bind(concurrent)
        .bind(before.version + 1)
        .bind(self.clock.now())
        .fetch_one(&mut *tx)
        .await?;
        self.audit(&mut tx, "update", "quota", tenant_id, Some(&before), Some(&quota)).await?;
        tx.commit().await?;
        Ok(quota)
    }
}
