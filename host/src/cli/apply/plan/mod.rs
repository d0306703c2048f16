//! What has to be done to a daemon so that it has the file's organisation. Pure: two organisations in, steps out.
//!
//! What a daemon has and the file does not name stays, unless it is to be pruned: leaving a section out must not end a customer. Within
//! what the file does name (a tenant's subaccounts, the list of assignments, a person's roles) it is the whole truth. Names are compared
//! without regard to case, as the daemon does.

mod people;
mod removals;
mod step;
#[cfg(test)]
mod tests;

pub(super) use self::step::{Noun, Removal, Step};
use super::file::{Assignment, CostCenter, Held, Integration, Named, Organisation, Quota, SignIn, Tenant, Virtual, account_key, key, same};
use crate::store::{DEFAULT_CONCURRENT_RUNS, DEFAULT_FUEL, DEFAULT_MEMORY_MIB, DEFAULT_TIME_MS};

/// What the daemon has that a file cannot say.
pub(super) trait Known {
    /// Who holds an account, by name.
    fn holder(&self, account: &Held) -> Option<String>;
    /// Whether a client's secret is kept for this organisation's sign-in.
    fn has_secret(&self, organisation: &str) -> bool;
}

pub(super) fn plan(now: &Organisation, wanted: &Organisation, known: &dyn Known, prune: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(domains) = &wanted.domains
        && Some(sorted(domains)) != now.domains.as_deref().map(sorted)
    {
        steps.push(Step::Domains(domains.clone()));
    }
    let settled = tenants(now, wanted, &mut steps);
    for integration in &wanted.integrations {
        match now.integrations.iter().find(|known| same(&known.name, &integration.name)) {
            None => steps.push(Step::MakeIntegration(integration.clone())),
            Some(known) if !same_integration(known, integration) => steps.push(Step::ChangeIntegration(integration.clone())),
            Some(_) => {}
        }
    }
    for rule in &wanted.rules {
        match now.rules.iter().find(|known| same(&known.title, &rule.title)) {
            None => steps.push(Step::MakeRule(rule.clone())),
            Some(known) if known != rule => steps.push(Step::ChangeRule(rule.clone())),
            Some(_) => {}
        }
    }
    subaccounts(now, wanted, known, &mut steps);
    cost_centers(now, wanted, &mut steps);
    for view in &wanted.virtuals {
        match now.virtuals.iter().find(|known| same(&known.name, &view.name)) {
            None => steps.push(Step::MakeVirtual(view.clone())),
            Some(known) if !same_virtual(known, view) => steps.push(Step::ChangeVirtual(view.clone())),
            Some(_) => {}
        }
    }
    if let Some(assignments) = &wanted.assignments {
        assigned(now.assignments.as_deref().unwrap_or_default(), assignments, &mut steps);
    }
    let stays =
        |organisation: &str| !prune || wanted.tenants.iter().any(|tenant| same(&tenant.name, organisation)) || key(organisation) == "msp";
    people::people(now, wanted, &stays, &mut steps);
    people::teams(now, wanted, &mut steps);
    sign_ins(now, wanted, known, &mut steps);
    keys(now, wanted, &mut steps);
    if let Some(policy) = wanted.signing_policy.filter(|policy| now.signing_policy != Some(*policy)) {
        steps.push(Step::Policy(policy));
    }
    steps.extend(settled);
    if prune {
        removals::removals(now, wanted, &mut steps);
    }
    steps
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| key(name)).collect();
    names.sort();
    names.dedup();
    names
}

fn same_or_none(one: Option<&String>, other: Option<&String>) -> bool {
    one.map(|name| key(name)) == other.map(|name| key(name))
}

/// Tenants that are there at once and active as long as anything of them changes; gives what they become in the end.
fn tenants(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) -> Vec<Step> {
    let mut settled = Vec::new();
    // Organisations first: customers name them.
    let (anchors, customers): (Vec<&Tenant>, Vec<&Tenant>) = wanted.tenants.iter().partition(|tenant| tenant.kind == "organisation");
    for tenant in anchors.into_iter().chain(customers) {
        let known = now.tenants.iter().find(|known| same(&known.name, &tenant.name));
        let set = Step::SetState { tenant: tenant.name.clone(), state: tenant.state.clone() };
        if known.map_or("active", |known| known.state.as_str()) != tenant.state {
            // Nothing of an unlinked tenant can be changed.
            let at_once = tenant.state == "active" || known.is_some_and(|known| known.state == "unlinked");
            if at_once { steps.push(set) } else { settled.push(set) }
        }
        match known {
            None => steps.push(Step::MakeTenant(tenant.clone())),
            Some(known) => {
                let same = known.name == tenant.name
                    && known.contact_email == tenant.contact_email
                    && (tenant.organisation.is_none() || same_or_none(known.organisation.as_ref(), tenant.organisation.as_ref()))
                    && (tenant.external_id.is_none() || known.external_id == tenant.external_id);
                if !same {
                    steps.push(Step::ChangeTenant(tenant.clone()));
                }
            }
        }
        if let Some(quota) = tenant.quota.filter(|quota| whole(Some(*quota)) != whole(known.and_then(|known| known.quota))) {
            steps.push(Step::SetQuota { tenant: tenant.name.clone(), quota });
        }
    }
    settled
}

/// A quota with its defaults.
fn whole(quota: Option<Quota>) -> [i64; 4] {
    let quota = quota.unwrap_or_default();
    [
        quota.fuel.unwrap_or(DEFAULT_FUEL),
        quota.time_ms.unwrap_or(DEFAULT_TIME_MS),
        quota.memory_mib.unwrap_or(DEFAULT_MEMORY_MIB),
        quota.concurrent_runs.unwrap_or(DEFAULT_CONCURRENT_RUNS),
    ]
}

fn same_integration(known: &Integration, wanted: &Integration) -> bool {
    let references = same_or_none(known.owner.as_ref(), wanted.owner.as_ref())
        && same_or_none(known.dedicated_to.as_ref(), wanted.dedicated_to.as_ref());
    let refresh_minutes = wanted.refresh_minutes.or(known.refresh_minutes);
    let (owner, dedicated_to) = (known.owner.clone(), known.dedicated_to.clone());
    references && *known == Integration { refresh_minutes, owner, dedicated_to, ..wanted.clone() }
}

fn subaccounts(now: &Organisation, wanted: &Organisation, known: &dyn Known, steps: &mut Vec<Step>) {
    let listed: Vec<(&Tenant, &Held)> =
        wanted.tenants.iter().flat_map(|tenant| tenant.subaccounts.iter().flatten().map(move |held| (tenant, held))).collect();
    let of = |held: &Held| account_key(&held.integration, &held.account);
    for tenant in wanted.tenants.iter().filter(|tenant| tenant.subaccounts.is_some()) {
        let known = now.tenants.iter().find(|known| same(&known.name, &tenant.name));
        let held = known.and_then(|known| known.subaccounts.as_deref()).unwrap_or_default();
        steps.extend(held.iter().filter(|held| !listed.iter().any(|(_, other)| of(other) == of(held))).cloned().map(Step::Release));
    }
    for (tenant, held) in listed {
        let from_tenant = known.holder(held);
        if from_tenant.as_deref().is_none_or(|holder| !same(holder, &tenant.name)) {
            steps.push(Step::Hold { tenant: tenant.name.clone(), account: held.clone(), from_tenant });
        }
    }
}

fn names(accounts: &[Named]) -> Vec<(String, String)> {
    let mut names: Vec<_> = accounts.iter().map(|account| account_key(&account.integration, &account.account)).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether two cost centers are the same one.
fn is_center(one: &CostCenter, other: &CostCenter) -> bool {
    same(&one.tenant, &other.tenant) && same(&one.name, &other.name)
}

fn cost_centers(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) {
    for center in &wanted.cost_centers {
        match now.cost_centers.iter().find(|known| is_center(known, center)) {
            None => steps.push(Step::MakeCostCenter(center.clone())),
            Some(known) if known.name != center.name || names(&known.subaccounts) != names(&center.subaccounts) => {
                steps.push(Step::ChangeCostCenter(center.clone()));
            }
            Some(_) => {}
        }
    }
}

fn same_virtual(known: &Virtual, wanted: &Virtual) -> bool {
    known.name == wanted.name && names(&known.subaccounts) == names(&wanted.subaccounts) && known.conditions == wanted.conditions
}

/// Whether two assignments say the same.
pub(super) fn same_assignment(one: &Assignment, other: &Assignment) -> bool {
    same(&one.rule, &other.rule) && same_or_none(one.tenant.as_ref(), other.tenant.as_ref()) && (one.from, one.to) == (other.from, other.to)
}

fn assigned(now: &[Assignment], wanted: &[Assignment], steps: &mut Vec<Step>) {
    let mut left: Vec<&Assignment> = wanted.iter().collect();
    let mut kept = Vec::new();
    for (place, assignment) in now.iter().enumerate() {
        match left.iter().position(|wanted| same_assignment(wanted, assignment)) {
            Some(at) => kept.push(left.remove(at)),
            None => steps.push(Step::EndAssignment { place, assignment: assignment.clone() }),
        }
    }
    kept.extend(&left);
    steps.extend(left.into_iter().cloned().map(Step::MakeAssignment));
    let in_order = kept.len() == wanted.len() && kept.iter().zip(wanted).all(|(kept, wanted)| same_assignment(kept, wanted));
    if !in_order {
        steps.push(Step::Order(wanted.to_vec()));
    }
}

fn sign_ins(now: &Organisation, wanted: &Organisation, known: &dyn Known, steps: &mut Vec<Step>) {
    for settings in &wanted.sign_ins {
        let before = now.sign_ins.iter().find(|known| same(&known.organisation, &settings.organisation));
        let has_secret = known.has_secret(&settings.organisation);
        let other_client = before.is_none_or(|before| before.issuer != settings.issuer || before.client_id != settings.client_id);
        // What is kept cannot be compared with what the environment has: a secret is sent with another client, or where there is none.
        let with_secret = match settings.client_secret_env.as_deref() {
            None => false,
            Some("") => has_secret,
            Some(_) => other_client || !has_secret,
        };
        let is_same = before.is_some_and(|before| {
            let (organisation, client_secret_env) = (before.organisation.clone(), before.client_secret_env.clone());
            *before == SignIn { organisation, client_secret_env, ..settings.clone() }
        });
        if !is_same || with_secret {
            steps.push(Step::SignIn { settings: settings.clone(), is_new: before.is_none(), with_secret });
        }
    }
}

fn keys(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) {
    for trusted in &wanted.keys {
        match now.keys.iter().find(|known| known.public_key == trusted.public_key) {
            None => steps.push(Step::Trust(trusted.clone())),
            Some(known) if known.name != trusted.name => steps.push(Step::TrustAnew(trusted.clone())),
            Some(_) => {}
        }
    }
}
