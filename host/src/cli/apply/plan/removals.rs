//! What a pruning takes away: what the daemon has and the file does not name, each thing after those that need it.

use super::super::file::{MSP, Organisation, Team, Tenant, same};
use super::{Noun, Removal, Step, is_center};

pub(super) fn removals(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) {
    let goes_with_tenant = |tenant: &str| !wanted.tenants.iter().any(|kept| same(&kept.name, tenant)) && !same(tenant, MSP);
    let mut remove = |noun, name: &str, tenant: Option<&str>| {
        steps.push(Step::Remove(Removal { noun, name: name.to_owned(), tenant: tenant.map(str::to_owned) }));
    };
    for view in now.virtuals.iter().filter(|view| !wanted.virtuals.iter().any(|kept| same(&kept.name, &view.name))) {
        remove(Noun::Virtual, &view.name, None);
    }
    for settings in &now.sign_ins {
        let kept = wanted.sign_ins.iter().any(|kept| same(&kept.organisation, &settings.organisation));
        if !kept && !goes_with_tenant(&settings.organisation) {
            remove(Noun::SignIn, &settings.organisation, None);
        }
    }
    for integration in now.integrations.iter().filter(|one| !wanted.integrations.iter().any(|kept| same(&kept.name, &one.name))) {
        remove(Noun::Integration, &integration.name, None);
    }
    // A tenant takes its cost centers with it, and its people, the last Owner too. Customers go before the organisation that they are of.
    let gone = now.tenants.iter().filter(|tenant| goes_with_tenant(&tenant.name));
    let (anchors, customers): (Vec<&Tenant>, Vec<&Tenant>) = gone.partition(|tenant| tenant.kind == "organisation");
    for tenant in customers.into_iter().chain(anchors) {
        remove(Noun::Tenant, &tenant.name, None);
    }
    for user in now.users.iter().filter(|user| !wanted.users.iter().any(|kept| same(&kept.email, &user.email))) {
        if !user.roles.iter().all(|role| goes_with_tenant(&role.organisation)) {
            remove(Noun::User, &user.email, None);
        }
    }
    for center in now.cost_centers.iter().filter(|center| !wanted.cost_centers.iter().any(|kept| is_center(kept, center))) {
        if !goes_with_tenant(&center.tenant) {
            remove(Noun::CostCenter, &center.name, Some(&center.tenant));
        }
    }
    // A team with members is not deleted: they see more without it, which the file must have meant.
    for team in now.teams.iter().filter(|team| !wanted.teams.iter().any(|kept| same(&kept.name, &team.name))) {
        if team.members.iter().any(|member| wanted.users.iter().any(|user| same(&user.email, member))) {
            let tenants = team.tenants.iter().filter(|tenant| !goes_with_tenant(tenant)).cloned().collect();
            steps.push(Step::ChangeTeam(Team { members: Vec::new(), tenants, ..team.clone() }));
        }
        steps.push(Step::Remove(Removal { noun: Noun::Team, name: team.name.clone(), tenant: None }));
    }
    rules(now, wanted, steps);
    for trusted in now.keys.iter().filter(|trusted| !wanted.keys.iter().any(|kept| kept.public_key == trusted.public_key)) {
        steps.push(Step::Remove(Removal { noun: Noun::Key, name: trusted.public_key.clone(), tenant: None }));
    }
}

/// A rule goes after its assignments, where the file does not say all of those by itself.
fn rules(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) {
    for rule in now.rules.iter().filter(|rule| !wanted.rules.iter().any(|kept| same(&kept.title, &rule.title))) {
        if wanted.assignments.is_none() {
            let of_it = now.assignments.iter().flatten().enumerate().filter(|(_, assignment)| same(&assignment.rule, &rule.title));
            // Those of a tenant that goes are gone with it.
            let left = of_it.filter(|(_, assignment)| {
                assignment.tenant.as_ref().is_none_or(|tenant| wanted.tenants.iter().any(|kept| same(&kept.name, tenant)))
            });
            steps.extend(left.map(|(place, assignment)| Step::EndAssignment { place, assignment: assignment.clone() }));
        }
        steps.push(Step::Remove(Removal { noun: Noun::Rule, name: rule.title.clone(), tenant: None }));
    }
}
