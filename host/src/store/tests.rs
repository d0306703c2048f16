//! What every store must do, on a fresh database: each test once, run on SQLite and on PostgreSQL.

use serde_json::json;

use super::*;
use crate::clock::Moment;
use crate::domain::access::{Organisation, Role};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rule::{Capability, Manifest, Severity};

struct Fresh {
    store: Store,
    /// To open it again.
    url: String,
    _folder: Option<tempfile::TempDir>,
}

impl std::ops::Deref for Fresh {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// One run at a time, as most tests want it.
impl Store {
    pub(crate) async fn run_enqueue(&self, new: &NewRun) -> Result<Run> {
        self.runs_enqueue(std::slice::from_ref(new)).await?.pop().ok_or_else(|| StoreError::not_found("tenant", &new.tenant_id))
    }

    pub(crate) async fn run_start(&self, id: &str) -> Result<Option<Run>> {
        Ok(self.runs_start(&[id.to_owned()]).await?.pop())
    }

    pub(crate) async fn run_complete(&self, id: &str, result: &RunResult) -> Result<Option<Run>> {
        Ok(self.runs_publish(&[(id.to_owned(), result.clone())], &[]).await?.pop())
    }
}

fn scripted() -> Clock {
    Clock::scripted(Moment(1_700_000_000_000))
}

fn named(name: &str) -> TenantFields {
    TenantFields { name: name.to_owned(), ..TenantFields::default() }
}

/// A token of a service called admin.
fn admin(sha256: &str) -> NewToken {
    NewToken {
        name: "admin".to_owned(),
        sha256: sha256.to_owned(),
        shown: "rrt_1234".to_owned(),
        user_id: None,
        organisation: Organisation::Msp,
        role: Role::Owner,
        virtual_integration_id: None,
        expires_at: None,
    }
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn period(text: &str) -> Period {
    text.parse().unwrap()
}

fn folder(name: &str) -> IntegrationFields {
    let location = format!("/bills/{name}");
    IntegrationFields { name: name.to_owned(), kind: IntegrationKind::Folder, location, ..IntegrationFields::default() }
}

fn account(id: &str, charges: u64, billed: &str) -> SubaccountContent {
    SubaccountContent {
        billing_account_id: "999".to_owned(),
        sub_account_id: id.to_owned(),
        name: format!("account {id}"),
        provider: "AWS".to_owned(),
        currency: "USD".to_owned(),
        charges,
        billed: amount(billed),
    }
}

fn month(month: &str, subaccounts: Vec<SubaccountContent>) -> PeriodContent {
    let billed = subaccounts.iter().fold(Amount::ZERO, |sum, account| sum.checked_add(account.billed).unwrap());
    PeriodContent {
        period: period(month),
        parts: vec![Part { file_name: "0.parquet".to_owned(), rows: 3, bytes: 100 }],
        charges: subaccounts.iter().map(|account| account.charges).sum(),
        totals: vec![CurrencyTotal { currency: "USD".to_owned(), billed }],
        report: json!({"rows": 3}),
        subaccounts,
    }
}

async fn deploy(store: &Store, name: &str, version: &str) -> String {
    let text = |text: &str| text.to_owned();
    let manifest = Manifest { name: text(name), version: text(version), title: text(name), summary: text(""), config_schema: text("{}") };
    let digest = format!("{name}-{version}");
    let new =
        NewVersion { digest: &digest, manifest: &manifest, capabilities: &[Capability::Adjust], size: 30_000, origin: Origin::Upload };
    store.plugin_deploy(new, true, None).await.unwrap();
    digest
}

async fn markup(store: &Store, title: &str) -> Rule {
    let fields = RuleFields { title: title.to_owned(), plugin: "markup".to_owned(), pinned_digest: None, config: json!({"percent": "5"}) };
    store.rule_create(&fields).await.unwrap()
}

fn everywhere(rule: &Rule) -> AssignmentFields {
    AssignmentFields { rule_id: rule.id.clone(), tenant_id: None, position: None, from_period: None, to_period: None }
}

fn run_of(tenant: &Tenant, identity: &str) -> NewRun {
    NewRun {
        tenant_id: tenant.id.clone(),
        period: period("2026-09"),
        currency: "USD".to_owned(),
        identity: identity.to_owned(),
        chain: Vec::new(),
        snapshots: vec!["snp_1".to_owned()],
    }
}

fn charged(text: &str) -> RunResult {
    RunResult { charges: 3, billed: amount("10"), charged: amount(text), ..RunResult::default() }
}

fn message(result: Result<impl std::fmt::Debug>) -> String {
    result.unwrap_err().to_string()
}

// The same files in both: whose `fresh` they see is where they run.
pub(crate) mod naming;
#[allow(clippy::duplicate_mod)]
mod on_postgres;
#[allow(clippy::duplicate_mod)]
mod on_sqlite;
pub(crate) mod server;
