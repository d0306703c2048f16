//! How long from a component's arrival in the plugins folder to the first charges rated by it: the whole daemon, compiling in a child
//! process, as in service. `cargo bench --bench reload`.

#![allow(clippy::print_stdout)] // the result is what it is for

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rerate::cli::serve::{Daemon, Settings};
use rerate::events::Event;
use rerate::jobs::Change;
use rerate::plugins::builtin::builtin;
use rerate::sandbox::Compile;
use rerate::store::{
    AssignmentFields, IntegrationFields, IntegrationKind, PageRequest, RuleFields, RunState, SubaccountFilter, TenantFields,
};

/// Deployments measured. Each is a component that the daemon has never seen.
const ROUNDS: u32 = 31;

/// What the issue asks for.
const TARGET: Duration = Duration::from_millis(150);

/// The built-in rule that stands for an author's.
const PLUGIN: &str = "exclusion";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut times = runtime.block_on(measure(folder.path()));
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let size = builtin(PLUGIN).map_or(0, |builtin| builtin.component.len()) / 1024;
    println!("{ROUNDS} components of {size} KiB, from the file's arrival to the first charges rated by it:");
    println!(
        "median {median:?}, best {:?}, worst {worst:?}; target {TARGET:?}: {}",
        times[0],
        if median < TARGET { "met" } else { "missed" }
    );
}

async fn measure(folder: &Path) -> Vec<Duration> {
    let settings = Settings {
        data: folder.join("data"),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        compile: Compile::Child(PathBuf::from(env!("CARGO_BIN_EXE_rerate"))),
        ..Settings::default()
    };
    let daemon = Daemon::start(settings).await.unwrap_or_else(|failure| panic!("{}", failure.message()));
    prepare(&daemon, folder).await;
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        times.push(deploy(&daemon, round).await);
        daemon.jobs.idle().await;
    }
    daemon.stop().await.unwrap_or_else(|failure| panic!("{}", failure.message()));
    times
}

/// A bill of a thousand lines, a tenant that holds it, and a rule of the plugin on its chain.
async fn prepare(daemon: &Daemon, folder: &Path) {
    let bills = folder.join("bills");
    std::fs::create_dir_all(&bills).expect("a folder for the bill");
    let mut text = "BillingAccountId,SubAccountId,ServiceProviderName,BillingPeriodStart,ChargePeriodStart,BillingCurrency,\
                    ChargeCategory,ServiceName,BilledCost\n"
        .to_owned();
    for line in 0..1_000 {
        text.push_str(&format!("999,111,AWS,2026-09-01T00:00:00Z,2026-09-02T00:00:00Z,USD,Usage,Service {},0.{line:03}\n", line % 50));
    }
    std::fs::write(bills.join("bill.csv"), text).expect("the bill");
    let store = &daemon.store;
    let fields = IntegrationFields {
        name: "bench".to_owned(),
        kind: IntegrationKind::Folder,
        location: bills.display().to_string(),
        ..IntegrationFields::default()
    };
    store.integration_create(&fields).await.expect("an integration");
    daemon.jobs.poke(Change::Integrations);
    daemon.jobs.idle().await;
    let tenant = store.tenant_create(&TenantFields { name: "Acme".to_owned(), ..TenantFields::default() }).await.expect("a tenant");
    let found = store.subaccounts(&SubaccountFilter::default(), &PageRequest::largest()).await.expect("the subaccount").items;
    store.subaccounts_move(&[found[0].id.clone()], Some(&tenant.id)).await.expect("a holder");
    let config = serde_json::json!({"where": [{"column": "ServiceName", "is_in": ["Service 7"]}]});
    let rule = RuleFields { title: "Rule".to_owned(), plugin: PLUGIN.to_owned(), pinned_digest: None, config };
    let rule = store.rule_create(&rule).await.expect("a rule");
    let assignment = AssignmentFields { rule_id: rule.id, tenant_id: Some(tenant.id), position: None, from_period: None, to_period: None };
    store.assignment_create(&assignment, None).await.expect("an assignment");
    daemon.jobs.poke(Change::Assignments);
    daemon.jobs.idle().await;
}

/// Drops a component into the folder and waits until its result is published.
async fn deploy(daemon: &Daemon, round: u32) -> Duration {
    let mut events = daemon.events.subscribe();
    let component = marked(round);
    let digest = rerate::plugins::digest_of(&component);
    let (hidden, place) = (daemon.data.plugins().join(".next"), daemon.data.plugins().join("rule.wasm"));
    std::fs::write(&hidden, component).expect("the component");
    let begun = Instant::now();
    std::fs::rename(hidden, place).expect("the component's place");
    loop {
        if let Event::Run { id, state, reason, .. } = events.recv().await.expect("an event")
            && state != RunState::Queued.name()
            && state != RunState::Running.name()
        {
            let took = begun.elapsed();
            assert_eq!(state, RunState::Done.name(), "{reason:?}");
            let run = daemon.store.run(&id).await.expect("the run");
            assert_eq!(run.chain[0].digest, digest);
            assert!(run.charges == 1_000 && run.dropped == 20, "{run:?}");
            return took;
        }
    }
}

/// The plugin with a custom section of its own: the same code under a digest that no cache knows.
fn marked(round: u32) -> Vec<u8> {
    let mut component = builtin(PLUGIN).expect("a built-in rule").component.to_vec();
    // Section 0, its length, the length of its name, its name, its content.
    component.extend([0, 6, 1, b'b']);
    component.extend(round.to_le_bytes());
    component
}
