//! What has to be done to a daemon so that it has the file's organisation. Pure: two organisations in, steps out.
//!
//! What a daemon has and the file does not name stays, unless it is to be pruned: leaving a section out must not end a customer. Within
//! what the file does name (a tenant's subaccounts, the list of assignments, a person's roles) it is the whole truth.

use super::file::{Assignment, Held, Integration, Organisation, Rule, Team, Tenant, User, UserRole, key};

/// One thing to do, in the order in which it can be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Domains(Vec<String>),
    MakeTenant(Tenant),
    ChangeTenant(Tenant),
    SetState {
        tenant: String,
        state: String,
    },
    MakeIntegration(Integration),
    ChangeIntegration(Integration),
    MakeRule(Rule),
    ChangeRule(Rule),
    /// Who gave it up, if somebody held it.
    Hold {
        tenant: String,
        account: Held,
        from_tenant: Option<String>,
    },
    Release(Held),
    /// By its place at the daemon.
    EndAssignment {
        place: usize,
        assignment: Assignment,
    },
    MakeAssignment(Assignment),
    /// The order of all assignments is the file's.
    Order(Vec<Assignment>),
    MakeUser(User),
    GiveRole {
        email: String,
        role: UserRole,
    },
    TakeRole {
        email: String,
        role: UserRole,
    },
    MakeTeam(Team),
    ChangeTeam(Team),
    Remove {
        noun: &'static str,
        name: String,
    },
}

impl Step {
    /// `+` makes, `~` changes, `-` ends; the noun, its name, and what is said of it.
    pub(super) fn told(&self) -> (char, &'static str, String, String) {
        let nothing = String::new;
        let held = |account: &Held| format!("{} of {}", account.account, account.integration);
        let from = |account: &Held| account.from.map(|from| format!(" from {from}")).unwrap_or_default();
        match self {
            Self::Domains(domains) => ('~', "domains", domains.join(", "), nothing()),
            Self::MakeTenant(tenant) => ('+', "tenant", tenant.name.clone(), tenant.contact_email.clone().unwrap_or_default()),
            Self::ChangeTenant(tenant) => ('~', "tenant", tenant.name.clone(), tenant.contact_email.clone().unwrap_or_default()),
            Self::SetState { tenant, state } => ('~', "tenant", tenant.clone(), state.clone()),
            Self::MakeIntegration(integration) => ('+', "integration", integration.name.clone(), integration.location.clone()),
            Self::ChangeIntegration(integration) => ('~', "integration", integration.name.clone(), integration.location.clone()),
            Self::MakeRule(rule) => ('+', "rule", rule.title.clone(), format!("{} {}", rule.plugin, shown(rule))),
            Self::ChangeRule(rule) => ('~', "rule", rule.title.clone(), format!("{} {}", rule.plugin, shown(rule))),
            Self::Hold { tenant, account, from_tenant } => {
                let giver = from_tenant.as_ref().map(|name| format!(", given up by {name}")).unwrap_or_default();
                ('~', "subaccount", held(account), format!("to {tenant}{}{giver}", from(account)))
            }
            Self::Release(account) => ('-', "subaccount", held(account), "released".to_owned()),
            Self::EndAssignment { assignment, .. } => ('-', "assignment", assignment.rule.clone(), reach(assignment)),
            Self::MakeAssignment(assignment) => ('+', "assignment", assignment.rule.clone(), reach(assignment)),
            Self::Order(all) => {
                ('~', "assignments", "order".to_owned(), all.iter().map(|a| a.rule.as_str()).collect::<Vec<_>>().join(", "))
            }
            Self::MakeUser(user) => ('+', "user", user.email.clone(), user.name.clone()),
            Self::GiveRole { email, role } => ('~', "user", email.clone(), format!("{} in {}", role.role, role.organisation)),
            Self::TakeRole { email, role } => ('-', "role", email.clone(), format!("{} in {}", role.role, role.organisation)),
            Self::MakeTeam(team) => ('+', "team", team.name.clone(), team.tenants.join(", ")),
            Self::ChangeTeam(team) => ('~', "team", team.name.clone(), team.tenants.join(", ")),
            Self::Remove { noun, name } => ('-', noun, name.clone(), nothing()),
        }
    }
}

fn shown(rule: &Rule) -> String {
    serde_json::to_string(&rule.config).unwrap_or_default()
}

fn reach(assignment: &Assignment) -> String {
    let tenant = assignment.tenant.as_deref().unwrap_or("all tenants");
    let from = assignment.from.map(|from| format!(" from {from}")).unwrap_or_default();
    let to = assignment.to.map(|to| format!(" to {to}")).unwrap_or_default();
    format!("{tenant}{from}{to}")
}

/// Who holds an account at the daemon, by name.
pub(super) type Holder<'a> = dyn Fn(&Held) -> Option<String> + 'a;

pub(super) fn plan(now: &Organisation, wanted: &Organisation, holder: &Holder<'_>, prune: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(domains) = &wanted.domains
        && Some(sorted(domains)) != now.domains.as_deref().map(sorted)
    {
        steps.push(Step::Domains(domains.clone()));
    }
    tenants(now, wanted, &mut steps);
    for integration in &wanted.integrations {
        match now.integrations.iter().find(|known| key(&known.name) == key(&integration.name)) {
            None => steps.push(Step::MakeIntegration(integration.clone())),
            Some(known) if !same_integration(known, integration) => steps.push(Step::ChangeIntegration(integration.clone())),
            Some(_) => {}
        }
    }
    for rule in &wanted.rules {
        match now.rules.iter().find(|known| key(&known.title) == key(&rule.title)) {
            None => steps.push(Step::MakeRule(rule.clone())),
            Some(known) if known != rule => steps.push(Step::ChangeRule(rule.clone())),
            Some(_) => {}
        }
    }
    subaccounts(now, wanted, holder, &mut steps);
    if let Some(assignments) = &wanted.assignments {
        assigned(now.assignments.as_deref().unwrap_or_default(), assignments, &mut steps);
    }
    people(now, wanted, &mut steps);
    if prune {
        removals(now, wanted, &mut steps);
    }
    steps
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| key(name)).collect();
    names.sort();
    names
}

fn tenants(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) {
    // Organisations first: customers name them.
    let (anchors, customers): (Vec<&Tenant>, Vec<&Tenant>) = wanted.tenants.iter().partition(|tenant| tenant.kind == "organisation");
    for tenant in anchors.into_iter().chain(customers) {
        let known = now.tenants.iter().find(|known| key(&known.name) == key(&tenant.name));
        let state = known.map_or("active", |known| known.state.as_str());
        match known {
            None => steps.push(Step::MakeTenant(tenant.clone())),
            Some(known) => {
                let same = known.name == tenant.name
                    && known.contact_email == tenant.contact_email
                    && (tenant.organisation.is_none() || known.organisation == tenant.organisation)
                    && (tenant.external_id.is_none() || known.external_id == tenant.external_id);
                if !same {
                    steps.push(Step::ChangeTenant(tenant.clone()));
                }
            }
        }
        if state != tenant.state {
            steps.push(Step::SetState { tenant: tenant.name.clone(), state: tenant.state.clone() });
        }
    }
}

fn same_integration(known: &Integration, wanted: &Integration) -> bool {
    let refresh_minutes = wanted.refresh_minutes.or(known.refresh_minutes);
    *known == Integration { refresh_minutes, ..wanted.clone() }
}

fn subaccounts(now: &Organisation, wanted: &Organisation, holder: &Holder<'_>, steps: &mut Vec<Step>) {
    let listed: Vec<(&Tenant, &Held)> =
        wanted.tenants.iter().flat_map(|tenant| tenant.subaccounts.iter().flatten().map(move |held| (tenant, held))).collect();
    let is_listed =
        |held: &Held| listed.iter().any(|(_, other)| key(&other.integration) == key(&held.integration) && other.account == held.account);
    for tenant in wanted.tenants.iter().filter(|tenant| tenant.subaccounts.is_some()) {
        let known = now.tenants.iter().find(|known| key(&known.name) == key(&tenant.name));
        let held = known.and_then(|known| known.subaccounts.as_deref()).unwrap_or_default();
        steps.extend(held.iter().filter(|held| !is_listed(held)).cloned().map(Step::Release));
    }
    for (tenant, held) in listed {
        let from_tenant = holder(held);
        if from_tenant.as_deref().is_none_or(|holder| key(holder) != key(&tenant.name)) {
            steps.push(Step::Hold { tenant: tenant.name.clone(), account: held.clone(), from_tenant });
        }
    }
}

fn assigned(now: &[Assignment], wanted: &[Assignment], steps: &mut Vec<Step>) {
    let mut left: Vec<&Assignment> = wanted.iter().collect();
    let mut kept = Vec::new();
    for (place, assignment) in now.iter().enumerate() {
        match left.iter().position(|wanted| *wanted == assignment) {
            Some(at) => kept.push(left.remove(at).clone()),
            None => steps.push(Step::EndAssignment { place, assignment: assignment.clone() }),
        }
    }
    kept.extend(left.iter().map(|assignment| (*assignment).clone()));
    steps.extend(left.into_iter().cloned().map(Step::MakeAssignment));
    if kept != wanted {
        steps.push(Step::Order(wanted.to_vec()));
    }
}

fn people(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) {
    for user in &wanted.users {
        let known = now.users.iter().find(|known| key(&known.email) == key(&user.email));
        let roles = known.map_or(&[][..], |known| &known.roles);
        let mut given = user.roles.iter().filter(|role| !roles.contains(role));
        if known.is_none() {
            let first = given.next().cloned();
            steps.push(Step::MakeUser(User { roles: first.into_iter().collect(), ..user.clone() }));
        }
        steps.extend(given.map(|role| Step::GiveRole { email: user.email.clone(), role: role.clone() }));
        let kept = |role: &&UserRole| user.roles.iter().any(|wanted| key(&wanted.organisation) == key(&role.organisation));
        let taken = roles.iter().filter(|role| !kept(role));
        steps.extend(taken.map(|role| Step::TakeRole { email: user.email.clone(), role: role.clone() }));
    }
    for team in &wanted.teams {
        match now.teams.iter().find(|known| key(&known.name) == key(&team.name)) {
            None => steps.push(Step::MakeTeam(team.clone())),
            Some(known) => {
                let same = sorted(&known.members) == sorted(&team.members) && sorted(&known.tenants) == sorted(&team.tenants);
                if !same {
                    steps.push(Step::ChangeTeam(team.clone()));
                }
            }
        }
    }
}

/// What the file does not name, those first that others need.
fn removals(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) {
    fn gone<'a, T, U>(now: &'a [T], wanted: &'a [U], name: fn(&T) -> &str, other: fn(&U) -> &str) -> impl Iterator<Item = String> + 'a {
        now.iter().map(name).filter(move |name| !wanted.iter().any(|wanted| key(other(wanted)) == key(name))).map(str::to_owned)
    }
    let mut remove = |noun, names: &mut dyn Iterator<Item = String>| steps.extend(names.map(|name| Step::Remove { noun, name }));
    remove("team", &mut gone(&now.teams, &wanted.teams, |team| &team.name, |team| &team.name));
    remove("user", &mut gone(&now.users, &wanted.users, |user| &user.email, |user| &user.email));
    remove("rule", &mut gone(&now.rules, &wanted.rules, |rule| &rule.title, |rule| &rule.title));
    remove("integration", &mut gone(&now.integrations, &wanted.integrations, |i| &i.name, |i| &i.name));
    let (anchors, customers): (Vec<Tenant>, Vec<Tenant>) = now.tenants.iter().cloned().partition(|tenant| tenant.kind == "organisation");
    for tenants in [customers, anchors] {
        remove("tenant", &mut gone(&tenants, &wanted.tenants, |tenant| &tenant.name, |tenant| &tenant.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
domains = ["msp.example"]

[[tenant]]
name = "Holding"
kind = "organisation"

[[tenant]]
name = "Acme"
contact_email = "cloud+acme@msp.example"
organisation = "Holding"
subaccounts = [{ integration = "aws", account = "111" }]

[[integration]]
name = "aws"
kind = "folder"
location = "/bills/aws"

[[rule]]
title = "5 % more"
plugin = "markup"
config = { percent = "5" }

[[rule]]
title = "List prices"
plugin = "public-price"

[[assignment]]
rule = "List prices"

[[assignment]]
rule = "5 % more"
tenant = "Acme"
from = "2026-09"

[[user]]
email = "ann@msp.example"
name = "Ann"
roles = [{ organisation = "msp", role = "editor" }, { organisation = "Acme", role = "viewer" }]

[[team]]
name = "North"
members = ["ann@msp.example"]
tenants = ["Acme"]
"#;

    fn file() -> Organisation {
        toml::from_str(FILE).unwrap()
    }

    fn told(steps: &[Step]) -> Vec<String> {
        let line = |step: &Step| {
            let (sign, noun, name, detail) = step.told();
            format!("{sign} {noun} {name} {detail}").trim_end().to_owned()
        };
        steps.iter().map(line).collect()
    }

    #[test]
    fn everything_is_made_in_an_order_in_which_it_can_be() {
        let steps = plan(&Organisation::default(), &file(), &|_| None, false);
        let expected = [
            "~ domains msp.example",
            "+ tenant Holding",
            "+ tenant Acme cloud+acme@msp.example",
            "+ integration aws /bills/aws",
            "+ rule 5 % more markup {\"percent\":\"5\"}",
            "+ rule List prices public-price {}",
            "~ subaccount 111 of aws to Acme",
            "+ assignment List prices all tenants",
            "+ assignment 5 % more Acme from 2026-09",
            "+ user ann@msp.example Ann",
            "~ user ann@msp.example viewer in Acme",
            "+ team North Acme",
        ];
        assert_eq!(told(&steps), expected);
    }

    #[test]
    fn what_is_so_already_needs_nothing() {
        assert_eq!(plan(&file(), &file(), &|_| Some("acme".to_owned()), true), []);
        let text = toml::to_string(&file()).unwrap();
        assert_eq!(toml::from_str::<Organisation>(&text).unwrap(), file());
    }

    #[test]
    fn what_the_file_leaves_out_goes_only_when_it_is_to_be_pruned() {
        let mut wanted = file();
        wanted.tenants.remove(1);
        wanted.teams.clear();
        wanted.users[0].roles.remove(1);
        assert_eq!(told(&plan(&file(), &wanted, &|_| None, false)), ["- role ann@msp.example viewer in Acme"]);
        let pruned = told(&plan(&file(), &wanted, &|_| None, true));
        assert_eq!(pruned, ["- role ann@msp.example viewer in Acme", "- team North", "- tenant Acme"]);
    }

    #[test]
    fn assignments_are_ended_made_and_put_in_the_files_order() {
        let mut wanted = file();
        let list = wanted.assignments.as_mut().unwrap();
        list.reverse();
        assert_eq!(told(&plan(&file(), &wanted, &|_| Some("Acme".to_owned()), false)), ["~ assignments order 5 % more, List prices"]);
        wanted.assignments.as_mut().unwrap()[0].from = None;
        let steps = told(&plan(&file(), &wanted, &|_| Some("Acme".to_owned()), false));
        let expected =
            ["- assignment 5 % more Acme from 2026-09", "+ assignment 5 % more Acme", "~ assignments order 5 % more, List prices"];
        assert_eq!(steps, expected);
    }

    #[test]
    fn an_account_moves_from_who_holds_it_and_one_that_is_not_listed_is_released() {
        let mut wanted = file();
        wanted.tenants[1].subaccounts = Some(vec![Held { integration: "aws".to_owned(), account: "222".to_owned(), from: None }]);
        let steps = told(&plan(&file(), &wanted, &|_| Some("Bolt".to_owned()), false));
        assert_eq!(steps, ["- subaccount 111 of aws released", "~ subaccount 222 of aws to Acme, given up by Bolt"]);
    }
}
