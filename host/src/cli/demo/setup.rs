//! Makes the sample's tenants, rules and integrations, as handlers of the HTTP interface do, and waits for what follows from them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cli::serve::Daemon;
use crate::cli::{Failure, output};
use crate::events::Event;
use crate::generate::sample::Sample;
use crate::jobs::Change;
use crate::store::{
    AssignmentFields, IntegrationFields, IntegrationFilter, IntegrationKind, IntegrationStatus, PageRequest, RuleFields, RunFilter,
    RunState, SubaccountFilter, TenantFields,
};

/// How long the two long parts took.
pub(super) struct Times {
    pub(super) import: Duration,
    pub(super) rate: Duration,
}

pub(super) async fn make(daemon: &Daemon, sample: &Sample, folder: &Path) -> Result<Times, Failure> {
    let tenants = tenants(daemon, sample).await?;
    chains(daemon, sample, &tenants).await?;
    let started = Instant::now();
    for integration in &sample.integrations {
        let location = std::path::absolute(folder.join(&integration.folder))?;
        let fields = IntegrationFields {
            name: integration.name.to_owned(),
            kind: IntegrationKind::Folder,
            location: location.display().to_string(),
            ..IntegrationFields::default()
        };
        let integration = daemon.store.integration_create(&fields).await?;
        daemon.jobs.poke(Change::Refresh { integration_id: integration.id });
    }
    settled(daemon, "Importing").await?;
    let import = started.elapsed();
    let started = Instant::now();
    give_subaccounts(daemon, sample, &tenants).await?;
    settled(daemon, "Rating").await?;
    Ok(Times { import, rate: started.elapsed() })
}

/// By name, their ids.
async fn tenants(daemon: &Daemon, sample: &Sample) -> Result<BTreeMap<&'static str, String>, Failure> {
    let mut ids = BTreeMap::new();
    for tenant in &sample.tenants {
        let fields =
            TenantFields { name: tenant.name.to_owned(), contact_email: Some(tenant.contact_email.to_owned()), ..TenantFields::default() };
        ids.insert(tenant.name, daemon.store.tenant_create(&fields).await?.id);
    }
    daemon.jobs.poke(Change::Tenants);
    Ok(ids)
}

/// Rules in the order of the chain, each assigned to its tenants or to all.
async fn chains(daemon: &Daemon, sample: &Sample, tenants: &BTreeMap<&'static str, String>) -> Result<(), Failure> {
    for rule in &sample.rules {
        daemon
            .plugins
            .configure(rule.plugin, None, &rule.config)
            .await
            .map_err(|error| Failure::run(format!("{}: {error}", rule.title)))?;
        let fields =
            RuleFields { title: rule.title.to_owned(), plugin: rule.plugin.to_owned(), pinned_digest: None, config: rule.config.clone() };
        let made = daemon.store.rule_create(&fields).await?;
        let whom: Vec<Option<String>> = match &rule.tenants {
            Some(names) => names.iter().map(|name| tenants.get(name).cloned()).collect(),
            None => vec![None],
        };
        for tenant_id in whom {
            let fields = AssignmentFields { rule_id: made.id.clone(), tenant_id, position: None, from_period: None, to_period: None };
            daemon.store.assignment_create(&fields, None).await?;
        }
    }
    daemon.jobs.poke(Change::Assignments);
    Ok(())
}

async fn give_subaccounts(daemon: &Daemon, sample: &Sample, tenants: &BTreeMap<&'static str, String>) -> Result<(), Failure> {
    let mut found = BTreeMap::new();
    let mut after = None;
    loop {
        let page = daemon.store.subaccounts(&SubaccountFilter::default(), &PageRequest::new(Some(1_000), after)).await?;
        found.extend(page.items.into_iter().map(|subaccount| (subaccount.sub_account_id, subaccount.id)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for tenant in &sample.tenants {
        let ids: Vec<String> = tenant.subaccounts.iter().filter_map(|account| found.get(account).cloned()).collect();
        if ids.len() != tenant.subaccounts.len() {
            return Err(Failure::run(format!("not every subaccount of {} was found in the bills", tenant.name)));
        }
        daemon.store.subaccounts_move(&ids, tenants.get(tenant.name).map(String::as_str)).await?;
    }
    daemon.jobs.poke(Change::Subaccounts);
    Ok(())
}

/// Waits until the daemon has nothing left to do, under a bar that its events move. What failed is an error here.
pub(super) async fn settled(daemon: &Daemon, title: &str) -> Result<(), Failure> {
    let mut events = daemon.events.subscribe();
    let mut bar = None;
    let idle = daemon.jobs.idle();
    tokio::pin!(idle);
    loop {
        tokio::select! {
            () = &mut idle => break,
            event = events.recv() => {
                let (position, of_bytes) = match event {
                    Ok(Event::Import { position, .. }) => (position, true),
                    Ok(Event::Rating { position, .. }) => (position, false),
                    Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
                };
                let bar = bar.get_or_insert_with(|| output::Bar::new(title, of_bytes));
                bar.set(position.done, position.total, position.rows);
            }
        }
    }
    drop(bar);
    for integration in daemon.store.integrations(&IntegrationFilter::default(), &PageRequest::largest()).await?.items {
        if integration.status == IntegrationStatus::Error {
            return Err(Failure::run(format!("{}: {}", integration.name, integration.error.unwrap_or_default())));
        }
    }
    let failed = RunFilter { state: Some(RunState::Failed), ..RunFilter::default() };
    for run in daemon.store.runs(&failed, &PageRequest::largest()).await?.items {
        let latest = daemon.store.run_latest(&run.tenant_id, run.period, &run.currency).await?;
        if latest.is_some_and(|latest| latest.id == run.id) {
            let tenant = daemon.store.tenant(&run.tenant_id).await?;
            let reason = run.failure.unwrap_or_default();
            return Err(Failure::run(format!("the {} run of {} failed: {reason}", run.period, tenant.name)));
        }
    }
    Ok(())
}
