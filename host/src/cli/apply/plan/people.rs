//! People, what they are where, and their teams. Owners are made before anybody ceases to be one: an organisation's last one stays.

use super::super::file::{Organisation, User, UserRole, same};
use super::{Step, sorted};
use crate::domain::access::Role;

/// `stays` says whether an organisation is there afterwards: what somebody is in one that goes, goes with it.
pub(super) fn people(now: &Organisation, wanted: &Organisation, stays: &dyn Fn(&str) -> bool, steps: &mut Vec<Step>) {
    let (mut owners, mut others, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for user in &wanted.users {
        let known = now.users.iter().find(|known| same(&known.email, &user.email));
        let roles = known.map_or(&[][..], |known| &known.roles);
        let mut given = user.roles.iter().filter(|role| !roles.iter().any(|known| same_role(known, role)));
        match known {
            // Whoever is made comes with their first role.
            None => {
                let first: Vec<UserRole> = given.next().cloned().into_iter().collect();
                let to = if first.iter().any(|role| role.role == Role::Owner) { &mut owners } else { &mut others };
                to.push(Step::MakeUser(User { roles: first, ..user.clone() }));
            }
            Some(known) if known.name != user.name => {
                others.push(Step::RenameUser { email: user.email.clone(), name: user.name.clone() });
            }
            Some(_) => {}
        }
        for role in given {
            let step = Step::GiveRole { email: user.email.clone(), role: role.clone() };
            if role.role == Role::Owner && known.is_some() { owners.push(step) } else { others.push(step) }
        }
        let kept = |role: &UserRole| user.roles.iter().any(|wanted| same(&wanted.organisation, &role.organisation));
        let goes = roles.iter().filter(|role| !kept(role) && stays(&role.organisation));
        taken.extend(goes.map(|role| Step::TakeRole { email: user.email.clone(), role: role.clone() }));
    }
    steps.extend(owners.into_iter().chain(others).chain(taken));
}

fn same_role(one: &UserRole, other: &UserRole) -> bool {
    let centers = |role: &UserRole| role.cost_centers.as_deref().map(sorted);
    same(&one.organisation, &other.organisation) && one.role == other.role && centers(one) == centers(other)
}

pub(super) fn teams(now: &Organisation, wanted: &Organisation, steps: &mut Vec<Step>) {
    for team in &wanted.teams {
        match now.teams.iter().find(|known| same(&known.name, &team.name)) {
            None => steps.push(Step::MakeTeam(team.clone())),
            Some(known) => {
                let same = known.name == team.name
                    && sorted(&known.members) == sorted(&team.members)
                    && sorted(&known.tenants) == sorted(&team.tenants);
                if !same {
                    steps.push(Step::ChangeTeam(team.clone()));
                }
            }
        }
    }
}
