//! How long the other tenants wait when one tenant's rules misbehave: from a change of their rule to the published result, beside nobody,
//! beside a neighbour of ten times their size whose rule behaves well, and beside one whose rule loops, fills memory or is slow. The
//! neighbour's rule is changed again with every one of theirs. They wait beside nobody and beside the neighbour in turns, so that both
//! meet the same machine and the same history. What its first run costs, before anybody knows how it behaves, is told by itself: the
//! median of as many as there are turns.
//! `cargo bench --bench neighbours [-- ROUNDS]`.

#![allow(clippy::print_stdout)] // the result is what it is for

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rerate::cli::serve::{Daemon, Settings};
use rerate::events::Event;
use rerate::jobs::Change;
use rerate::sandbox::Compile;
use rerate::store::{
    AssignmentFields, IntegrationFields, IntegrationKind, Origin, PageRequest, Rule, RuleFields, RunState, SubaccountFilter, Tenant,
    TenantFields,
};
use serde_json::json;

/// Changes measured beside each neighbour, and as many beside nobody.
const ROUNDS: usize = 400;
/// How often a neighbour moves in and out again.
const BLOCKS: usize = 5;
/// Tenants that are measured in turn, and charges of each; the neighbour has ten times as many.
const TENANTS: usize = 8;
const CHARGES: usize = 2_000;

/// The neighbour's rule: what people call it, and the plugin. The first behaves well: what a neighbour of that size costs in any case.
const NEIGHBOURS: [(&str, &str); 5] = [
    ("a rule that behaves well", "markup"),
    ("an endless loop", "loops"),
    ("an endless loop in row logic", "loops-per-row"),
    ("a memory bomb", "allocates"),
    ("a slow formula", "formula"),
];

fn main() {
    let rounds = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(ROUNDS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    runtime.block_on(measure(folder.path(), rounds));
}

/// Who is there, and the rule of each.
struct World {
    daemon: Daemon,
    tenants: Vec<(Tenant, Rule)>,
    neighbour: Tenant,
    changes: usize,
}

async fn measure(folder: &Path, rounds: usize) {
    let settings = Settings {
        data: folder.join("data"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        compile: Compile::Child(PathBuf::from(env!("CARGO_BIN_EXE_rerate"))),
        ..Settings::default()
    };
    let daemon = Daemon::start(settings).await.unwrap_or_else(|failure| panic!("{}", failure.message()));
    let mut world = World::prepare(daemon, folder).await;
    world.rounds(rounds.div_ceil(5), None).await;
    println!("{TENANTS} tenants of {CHARGES} charges, {rounds} changes of a rule beside each, to the published result:");
    for (name, plugin) in NEIGHBOURS {
        let (mut alone, mut beside, mut first) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..BLOCKS {
            alone.extend(world.rounds(rounds.div_ceil(BLOCKS), None).await);
            let (rule, wait) = world.move_in(name, plugin).await;
            first.push(wait);
            beside.extend(world.rounds(rounds.div_ceil(BLOCKS), Some(&rule)).await);
            world.daemon.jobs.idle().await;
            world.move_out(&rule).await;
        }
        let (alone, beside, first) = (Waits::of(alone), Waits::of(beside), Waits::of(first));
        println!("{:<29} p50 {:>7.1?}   p99 {:>7.1?}   worst {:>7.1?}", "nobody", alone.median, alone.p99, alone.worst);
        let (p50, p99) = (ratio(beside.median, alone.median), ratio(beside.p99, alone.p99));
        println!(
            "{name:<29} p50 {:>7.1?}   p99 {:>7.1?}   worst {:>7.1?}   ratio {p50}, {p99}   at its first run {:.1?}",
            beside.median, beside.p99, beside.worst, first.median
        );
    }
    world.daemon.stop().await.unwrap_or_else(|failure| panic!("{}", failure.message()));
}

/// What the neighbour's rule is configured with: nothing, unless it is a built-in one.
fn config(plugin: &str) -> serde_json::Value {
    match plugin {
        "markup" => json!({ "percent": "7" }),
        "formula" => json!({ "amount": vec!["div(BilledCost * 1.2345678901234567, 3.7, 18)"; 40].join(" + ") }),
        _ => json!({}),
    }
}

struct Waits {
    median: Duration,
    p99: Duration,
    worst: Duration,
}

impl Waits {
    fn of(mut waits: Vec<Duration>) -> Self {
        waits.sort();
        let last = waits.len() - 1;
        Self { median: waits[waits.len() / 2], p99: waits[(waits.len() * 99 / 100).min(last)], worst: waits[last] }
    }
}

/// In hundredths, since nothing here computes with floats.
fn ratio(with: Duration, without: Duration) -> String {
    let hundredths = with.as_micros() * 100 / without.as_micros().max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

impl World {
    async fn prepare(daemon: Daemon, folder: &Path) -> Self {
        let bills = folder.join("bills");
        std::fs::create_dir_all(&bills).expect("a folder for the bill");
        let mut text = "BillingAccountId,SubAccountId,ServiceProviderName,BillingPeriodStart,ChargePeriodStart,BillingCurrency,\
                        ChargeCategory,ServiceName,ListCost,BilledCost\n"
            .to_owned();
        for account in 0..=TENANTS {
            for line in 0..if account == TENANTS { CHARGES * 10 } else { CHARGES } {
                text.push_str(&format!(
                    "999,{account},AWS,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,Service {},1.{line:05},0.{line:05}\n",
                    line % 50
                ));
            }
        }
        std::fs::write(bills.join("bill.csv"), text).expect("the bill");
        let fields = IntegrationFields {
            name: "bench".to_owned(),
            kind: IntegrationKind::Folder,
            location: bills.display().to_string(),
            ..IntegrationFields::default()
        };
        daemon.store.integration_create(&fields).await.expect("an integration");
        daemon.jobs.poke(Change::Integrations);
        daemon.jobs.idle().await;
        let mut tenants = Vec::new();
        for account in 0..=TENANTS {
            let name = if account == TENANTS { "Neighbour".to_owned() } else { format!("Tenant {account}") };
            let tenant = daemon.store.tenant_create(&TenantFields { name, ..TenantFields::default() }).await.expect("a tenant");
            let found = daemon.store.subaccounts(&SubaccountFilter::default(), &PageRequest::largest()).await.expect("subaccounts").items;
            let own = found.into_iter().find(|found| found.sub_account_id == account.to_string()).expect("the subaccount");
            daemon.store.subaccounts_move(&[own.id], Some(&tenant.id)).await.expect("a holder");
            tenants.push(tenant);
        }
        let neighbour = tenants.pop().expect("the neighbour");
        let mut world = Self { daemon, tenants: Vec::new(), neighbour, changes: 0 };
        for (number, tenant) in tenants.into_iter().enumerate() {
            let rule = world.assign(&format!("Markup {number}"), "markup", json!({"percent": "5"}), &tenant).await;
            world.tenants.push((tenant, rule));
        }
        world.daemon.jobs.poke(Change::Assignments);
        for (_, plugin) in NEIGHBOURS.into_iter().filter(|(_, plugin)| config(plugin) == json!({})) {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/dist").join(format!("{plugin}.wasm"));
            let component = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            world.daemon.plugins.deploy(component, Origin::Upload, plugin).await.unwrap_or_else(|error| panic!("{plugin}: {error}"));
        }
        world.daemon.jobs.idle().await;
        world
    }

    async fn assign(&self, title: &str, plugin: &str, config: serde_json::Value, tenant: &Tenant) -> Rule {
        let store = &self.daemon.store;
        let fields = RuleFields { title: title.to_owned(), plugin: plugin.to_owned(), pinned_digest: None, config };
        let rule = store.rule_create(&fields).await.expect("a rule");
        let (rule_id, tenant_id) = (rule.id.clone(), Some(tenant.id.clone()));
        let fields = AssignmentFields { rule_id, tenant_id, position: None, from_period: None, to_period: None };
        store.assignment_create(&fields, None).await.expect("an assignment");
        rule
    }

    /// Gives the neighbour its rule, and how long another's change waits that comes with it. Before, the neighbour is rated under one that
    /// nobody can complain of, so that nothing is known against it.
    async fn move_in(&mut self, name: &str, plugin: &str) -> (Rule, Duration) {
        self.changes += 1;
        let percent = format!("{}.{:03}", self.changes / 1_000 + 1, self.changes % 1_000);
        let harmless = self.assign(&format!("harmless {}", self.changes), "markup", json!({ "percent": percent }), &self.neighbour).await;
        self.daemon.jobs.poke(Change::Assignments);
        self.daemon.jobs.idle().await;
        self.move_out(&harmless).await;
        let rule = self.assign(&format!("{name} {}", self.changes), plugin, config(plugin), &self.neighbour).await;
        let wait = self.rounds(1, None).await[0];
        self.daemon.jobs.idle().await;
        (rule, wait)
    }

    async fn move_out(&self, rule: &Rule) {
        let assigned = self.daemon.store.assignments(Some(&rule.id), None, &PageRequest::largest()).await.expect("assignments").items;
        for assignment in assigned {
            self.daemon.store.assignment_delete(&assignment.id, None).await.expect("the assignment");
        }
        self.daemon.jobs.poke(Change::Assignments);
        self.daemon.jobs.idle().await;
    }

    /// Changes one tenant's rule after the other, and the neighbour's with each.
    async fn rounds(&mut self, rounds: usize, beside: Option<&Rule>) -> Vec<Duration> {
        let mut waits = Vec::with_capacity(rounds);
        for round in 0..rounds {
            self.changes += 1;
            let (tenant, rule) = &self.tenants[round % self.tenants.len()];
            let mut events = self.daemon.events.subscribe();
            if let Some(rule) = beside {
                let title = format!("{} {}", rule.plugin, self.changes);
                self.change(rule, title, rule.config.clone()).await;
            }
            let percent = format!("{}.{:03}", self.changes / 1_000 + 1, self.changes % 1_000);
            self.change(rule, rule.title.clone(), json!({ "percent": percent })).await;
            let begun = Instant::now();
            self.daemon.jobs.poke(Change::Rules);
            waits.push(loop {
                let Ok(event) = events.recv().await else { continue };
                if let Event::Run { tenant: whose, state, reason, .. } = event
                    && whose == tenant.id
                    && state != RunState::Queued.name()
                    && state != RunState::Running.name()
                {
                    assert_eq!(state, RunState::Done.name(), "{reason:?}");
                    break begun.elapsed();
                }
            });
        }
        waits
    }

    async fn change(&self, rule: &Rule, title: String, config: serde_json::Value) {
        let fields = RuleFields { title, plugin: rule.plugin.clone(), pinned_digest: None, config };
        self.daemon.store.rule_update(&rule.id, &fields, None).await.expect("the rule");
    }
}
