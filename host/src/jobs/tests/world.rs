//! A daemon without its HTTP face, in a temporary folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;
use crate::depot::Remote;
use crate::events::Events;
use crate::jobs::place::{self, PlaceError};
use crate::jobs::{Change, DataDir, Jobs, Options, Wake};
use crate::plugins::{Deployed, Plugins};
use crate::sandbox::tests::guest::Guest;
use crate::sandbox::{Compile, Limits, Sandbox, SandboxOptions};
use crate::store::{
    Assign, AssignmentFields, Integration, IntegrationFields, IntegrationKind, Origin, PageRequest, Rule, RuleFields, Run, RunFilter,
    Store, SubaccountFilter, Tenant, TenantFields,
};

/// Nothing here takes longer than a moment; a hang must end.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct World {
    pub(super) store: Store,
    pub(super) plugins: Arc<Plugins>,
    pub(super) jobs: Arc<Jobs>,
    pub(super) data: Arc<DataDir>,
    pub(super) events: Events,
    /// Last, so that everything in it is closed before it goes.
    pub(super) folder: Arc<tempfile::TempDir>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::open(Arc::new(tempfile::tempdir().unwrap()), None).await.unwrap()
    }

    /// With the files of its folder in a bucket as well, if it may have it.
    pub(super) async fn with_bucket(folder: Arc<tempfile::TempDir>, bucket: &Remote) -> Result<Self, PlaceError> {
        Self::open(folder, Some(bucket)).await
    }

    pub(super) async fn open(folder: Arc<tempfile::TempDir>, bucket: Option<&Remote>) -> Result<Self, PlaceError> {
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        let store = Store::open_file(&data.database(), Clock::system()).await.unwrap();
        let data = match bucket {
            Some(bucket) => place::take(&store, data, bucket.clone(), u64::MAX).await?,
            None => place::settle(&store, data, None).await?,
        };
        Ok(Self::begin(folder, data, store).await)
    }

    /// With this clock until it is restarted.
    pub(super) async fn with_clock(clock: Clock) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        let store = Store::open_file(&data.database(), clock).await.unwrap();
        Self::begin(folder, data, store).await
    }

    /// On a database of its own, PostgreSQL for one.
    pub(super) async fn on(database: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        let store = Store::open(database, Clock::system()).await.unwrap();
        Self::begin(folder, data, store).await
    }

    async fn begin(folder: Arc<tempfile::TempDir>, data: DataDir, store: Store) -> Self {
        let data = Arc::new(data);
        let limits = Limits { instances: 8, ..Limits::default() };
        let options = SandboxOptions { cache_dir: Some(data.compiled()), limits, compile: Compile::InProcess };
        let sandbox = Sandbox::new(options).unwrap();
        let (events, wake) = (Events::new(), Wake::default());
        let woken = wake.clone();
        let plugins =
            Plugins::open(data.component_files().clone(), sandbox, store.clone(), events.clone(), move || woken.now()).await.unwrap();
        let options = Options { workers: 2, ..Options::default() };
        let jobs = Jobs::start(store.clone(), Arc::clone(&plugins), Arc::clone(&data), events.clone(), wake, options).await.unwrap();
        Self { store, plugins, jobs, data, events, folder }
    }

    /// Stops the daemon and leaves its folder.
    pub(super) async fn stop(self) -> Arc<tempfile::TempDir> {
        self.jobs.stop().await;
        self.store.close().await;
        self.folder
    }

    pub(super) async fn restart(self) -> Self {
        let folder = self.stop().await;
        Self::restart_from(folder).await
    }

    pub(super) async fn restart_from(folder: Arc<tempfile::TempDir>) -> Self {
        Self::open(folder, None).await.unwrap()
    }

    pub(super) async fn idle(&self) {
        tokio::time::timeout(PATIENCE, self.jobs.idle()).await.expect("the daemon is still working");
    }

    pub(super) async fn changed(&self, change: Change) {
        self.jobs.poke(change);
        self.idle().await;
    }

    /// Writes a FOCUS bill: (period, account, service, billed) a line.
    pub(super) fn write_bill(&self, name: &str, lines: &[(&str, &str, &str, &str)]) -> PathBuf {
        self.write_bill_in("USD", name, lines)
    }

    pub(super) fn write_bill_in(&self, currency: &str, name: &str, lines: &[(&str, &str, &str, &str)]) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut text = "BillingAccountId,SubAccountId,SubAccountName,ServiceProviderName,BillingPeriodStart,BillingPeriodEnd,\
                        ChargePeriodStart,ChargePeriodEnd,BillingCurrency,ChargeCategory,ServiceName,ListCost,BilledCost,EffectiveCost\n"
            .to_owned();
        for (period, account, service, billed) in lines {
            let start = format!("{period}-01T00:00:00Z");
            text.push_str(&format!(
                "payer-{name},{account},Account {account},AWS,{start},{start},{start},{start},{currency},Usage,{service},{billed},{billed},{billed}\n"
            ));
        }
        std::fs::write(folder.join("bill.csv"), text).unwrap();
        folder
    }

    pub(super) async fn integration(&self, name: &str) -> Integration {
        let location = self.folder.path().join(name).display().to_string();
        let fields = IntegrationFields { name: name.to_owned(), kind: IntegrationKind::Folder, location, ..IntegrationFields::default() };
        let integration = self.store.integration_create(&fields).await.unwrap();
        self.changed(Change::Integrations).await;
        self.store.integration(&integration.id).await.unwrap()
    }

    /// A new tenant that holds these accounts.
    pub(super) async fn tenant(&self, name: &str, accounts: &[&str]) -> Tenant {
        let tenant = self.store.tenant_create(&TenantFields { name: name.to_owned(), ..TenantFields::default() }).await.unwrap();
        if !accounts.is_empty() {
            self.give(accounts, Some(&tenant)).await;
        }
        tenant
    }

    pub(super) async fn give(&self, accounts: &[&str], tenant: Option<&Tenant>) {
        self.store.subaccounts_assign(&self.wanted(accounts, tenant, None).await).await.unwrap();
        self.changed(Change::Subaccounts).await;
    }

    /// Gives accounts to a tenant from a billing period on, away from whoever holds them.
    pub(super) async fn hand_over(&self, accounts: &[&str], from: &Tenant, to: &Tenant, period: &str) {
        let assign = self.wanted(accounts, Some(to), Some(period)).await;
        self.store.subaccounts_assign(&Assign { from_tenant_id: Some(from.id.clone()), ..assign }).await.unwrap();
        self.changed(Change::Subaccounts).await;
    }

    pub(super) async fn wanted(&self, accounts: &[&str], to: Option<&Tenant>, from_period: Option<&str>) -> Assign {
        let all = self.store.subaccounts(&SubaccountFilter::default(), &PageRequest::largest()).await.unwrap().items;
        let subaccounts: Vec<String> = all.into_iter().filter(|s| accounts.contains(&s.sub_account_id.as_str())).map(|s| s.id).collect();
        assert_eq!(subaccounts.len(), accounts.len(), "{accounts:?}");
        let from_period = from_period.map(|period| period.parse().unwrap());
        Assign { subaccounts, tenant_id: to.map(|tenant| tenant.id.clone()), from_period, ..Assign::default() }
    }

    pub(super) async fn deploy(&self, component: &[u8]) -> Deployed {
        let deployed = self.plugins.deploy(component.to_vec(), Origin::Upload, "upload").await.unwrap();
        self.idle().await;
        deployed
    }

    pub(super) async fn rule(&self, title: &str) -> Rule {
        let fields = RuleFields { title: title.to_owned(), plugin: "fixture".to_owned(), pinned_digest: None, config: json!({}) };
        self.store.rule_create(&fields).await.unwrap()
    }

    /// Puts the rule on the tenant's chain, or on everyone's.
    pub(super) async fn assign(&self, rule: &Rule, tenant: Option<&Tenant>) {
        let fields = AssignmentFields {
            rule_id: rule.id.clone(),
            tenant_id: tenant.map(|t| t.id.clone()),
            position: None,
            from_period: None,
            to_period: None,
        };
        self.store.assignment_create(&fields, None).await.unwrap();
        self.changed(Change::Assignments).await;
    }

    /// What is published of a tenant, in the order of periods.
    pub(super) async fn published(&self, tenant: &Tenant) -> Vec<Run> {
        self.store.published_runs(Some(&tenant.id), None).await.unwrap()
    }

    /// What the tenant is charged in its only month.
    pub(super) async fn charged(&self, tenant: &Tenant) -> String {
        let runs = self.published(tenant).await;
        assert_eq!(runs.len(), 1);
        runs[0].charged.unwrap().to_string()
    }

    pub(super) async fn all_runs(&self) -> Vec<Run> {
        self.store.runs(&RunFilter::default(), &PageRequest::largest()).await.unwrap().items
    }

    pub(super) async fn run_ids(&self) -> Vec<String> {
        self.all_runs().await.into_iter().map(|run| run.id).collect()
    }
}

/// A rule that keeps every charge as it is. Different numbers give components of different digests.
pub(super) fn keeping(number: u8) -> Vec<u8> {
    Guest::adjustment().extra(&numbered(number)).build()
}

/// A rule that charges nothing for anything.
pub(super) fn zeroing(number: u8) -> Vec<u8> {
    let decide = format!("{} (i32.store8 (i32.load offset=4 (local.get $ret)) (i32.const 1))", Guest::decisions("(i32.const 1)"));
    Guest::adjustment().decide(&decide).extra(&numbered(number)).build()
}

/// A rule that is in an endless loop as soon as it sees a charge.
pub(super) fn looping() -> Vec<u8> {
    Guest::adjustment().decide("(loop $forever (br $forever)) (unreachable)").extra(&numbered(99)).build()
}

/// A rule that keeps every charge, and takes a second of a processor to say so: division is slow and counts as one instruction.
pub(super) fn pondering() -> Vec<u8> {
    let divided = (0..8).fold("(global.get $number)".to_owned(), |number, _| format!("(i64.div_u {number} (global.get $one))"));
    let count = format!(
        "(block (result i32)
            (local.set $ret (i32.const 30000000))
            (loop $again
                (global.set $number {divided})
                (br_if $again (local.tee $ret (i32.sub (local.get $ret) (i32.const 1)))))
            (i32.const 1))"
    );
    let globals = "(global $number (mut i64) (i64.const -1)) (global $one (mut i64) (i64.const 1))";
    Guest::adjustment().decide(&Guest::decisions(&count)).extra(&(globals.to_owned() + &numbered(7))).build()
}

/// A rule that takes eight MiB before it decides anything.
pub(super) fn hoarding() -> Vec<u8> {
    let decide = Guest::decisions("(block (result i32) (drop (memory.grow (i32.const 128))) (i32.const 1))");
    Guest::adjustment().decide(&decide).extra(&numbered(6)).build()
}

/// A rule that keeps every charge and writes two lines while it decides.
pub(super) fn talking() -> Vec<u8> {
    let body = Guest::decisions("(i32.const 1)");
    let (locals, answer) = body.split_at(body.find("(local.set").unwrap());
    let write = "(call $log (i32.const 2048) (i32.const 7)) (call $log (i32.const 2064) (i32.const 5))";
    Guest::adjustment().logs().decide(&format!("{locals}{write}{answer}")).extra(&numbered(5)).build()
}

/// A rule that adds a credit of 10 in every period, less what it credited before, and at least nothing.
pub(super) fn crediting() -> Vec<u8> {
    let configure = "
        (local $ret i32)
        (local.set $ret (call $zeroed (i32.const 64)))
        (i32.store8 offset=44 (local.get $ret) (i32.const 1))
        (local.get $ret)";
    // One line of -10 as long as nothing was credited before: parameters 10 and 11 are the earlier amounts.
    let charge = "
        (local $ret i32) (local $line i32)
        (local.set $ret (call $zeroed (i32.const 12)))
        (if (i32.eqz (local.get 11)) (then
            (local.set $line (call $zeroed (i32.const 56)))
            (i32.store offset=4 (local.get $ret) (local.get $line)) (i32.store offset=8 (local.get $ret) (i32.const 1))
            (i32.store offset=0 (local.get $line) (i32.const 3000)) (i32.store offset=4 (local.get $line) (i32.const 6))
            (i32.store offset=8 (local.get $line) (i32.const 3000)) (i32.store offset=12 (local.get $line) (i32.const 6))
            (i32.store offset=16 (local.get $line) (i32.const 3000)) (i32.store offset=20 (local.get $line) (i32.const 6))
            (i32.store offset=36 (local.get $line) (i32.const 3006)) (i32.store offset=40 (local.get $line) (i32.const 3))
            (i32.store offset=44 (local.get $line) (i32.const 3000)) (i32.store offset=48 (local.get $line) (i32.const 6))))
        (local.get $ret)";
    Guest::charging().configure(configure).charge(charge).extra(r#"(data (i32.const 3000) "Credit-10")"#).build()
}

/// A version number in place of the fixture's own.
fn numbered(number: u8) -> String {
    format!("(data (i32.const 2064) \"1.0.{}\")", number % 10)
}
