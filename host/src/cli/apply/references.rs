//! What of a file names something that the file does not have. Where the rest is to be pruned, that would go.

use super::file::{MSP, Named, Organisation, same};

/// The first such name, as a sentence.
pub(super) fn dangling(file: &Organisation) -> Option<String> {
    let tenant = |name: &str| file.tenants.iter().any(|tenant| same(&tenant.name, name));
    let organisation = |name: &str| same(name, MSP) || tenant(name);
    let integration = |name: &str| file.integrations.iter().any(|integration| same(&integration.name, name));
    let rule = |name: &str| file.rules.iter().any(|rule| same(&rule.title, name));
    let user = |email: &str| file.users.iter().any(|user| same(&user.email, email));
    let center = |of: &str, name: &str| file.cost_centers.iter().any(|center| same(&center.tenant, of) && same(&center.name, name));
    let mut missing = Vec::new();
    let mut need = |there: bool, whose: String, noun: &str, name: &str| {
        if !there {
            missing.push(format!("{whose} names the {noun} {name}, which the file does not have"));
        }
    };
    for one in &file.tenants {
        let whose = || format!("the tenant {}", one.name);
        one.organisation.iter().for_each(|name| need(tenant(name), whose(), "tenant", name));
        one.subaccounts.iter().flatten().for_each(|held| need(integration(&held.integration), whose(), "integration", &held.integration));
    }
    for one in &file.integrations {
        let names = [&one.owner, &one.dedicated_to].into_iter().flatten();
        names.for_each(|name| need(tenant(name), format!("the integration {}", one.name), "tenant", name));
    }
    let mut accounts = |listed: &[Named], whose: String| {
        listed.iter().for_each(|account| need(integration(&account.integration), whose.clone(), "integration", &account.integration));
    };
    file.cost_centers.iter().for_each(|one| accounts(&one.subaccounts, format!("the cost center {}", one.name)));
    file.virtuals.iter().for_each(|one| accounts(&one.subaccounts, format!("the virtual integration {}", one.name)));
    file.cost_centers.iter().for_each(|one| need(tenant(&one.tenant), format!("the cost center {}", one.name), "tenant", &one.tenant));
    for one in file.assignments.iter().flatten() {
        need(rule(&one.rule), "an assignment".to_owned(), "rule", &one.rule);
        one.tenant.iter().for_each(|name| need(tenant(name), format!("an assignment of {}", one.rule), "tenant", name));
    }
    for one in &file.users {
        for role in &one.roles {
            need(organisation(&role.organisation), format!("a role of {}", one.email), "tenant", &role.organisation);
            let centers = role.cost_centers.iter().flatten();
            centers.for_each(|name| need(center(&role.organisation, name), format!("a role of {}", one.email), "cost center", name));
        }
    }
    for one in &file.teams {
        let whose = || format!("the team {}", one.name);
        one.members.iter().for_each(|email| need(user(email), whose(), "user", email));
        one.tenants.iter().for_each(|name| need(tenant(name), whose(), "tenant", name));
    }
    file.sign_ins.iter().for_each(|one| need(organisation(&one.organisation), "a sign-in".to_owned(), "tenant", &one.organisation));
    missing.into_iter().next()
}
