//! The file as text, and what must hold of it before anything is asked of a daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::ValueEnum;

use super::file::{MSP, Organisation, account_key, key};
use crate::cli::Failure;
use crate::plugins::signature;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Toml,
}

impl Format {
    /// By a file's ending; `.toml` is known.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }
}

/// Reads a file; its mistakes are told with line and column.
pub(super) fn read(path: &Path) -> Result<Organisation, Failure> {
    let wrong = |what: String| Failure::input(format!("{}: {what}", path.display()));
    let format = Format::of(path).ok_or_else(|| wrong("the name does not end in .toml".to_owned()))?;
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut organisation = parse(&text, format).map_err(wrong)?;
    check(&mut organisation).map_err(wrong)?;
    Ok(organisation)
}

fn parse(text: &str, format: Format) -> Result<Organisation, String> {
    match format {
        Format::Toml => toml::from_str(text).map_err(|error| error.to_string()),
    }
}

pub(super) fn write(organisation: &Organisation, format: Format) -> Result<String, Failure> {
    match format {
        Format::Toml => toml::to_string(organisation).map_err(|error| Failure::run(format!("this cannot be said in TOML: {error}"))),
    }
}

/// Refuses what no daemon could be brought to, and writes public keys as daemons do.
fn check(organisation: &mut Organisation) -> Result<(), String> {
    for trusted in &mut organisation.keys {
        let (_, text) = signature::public_key(&trusted.public_key).map_err(|error| format!("the key {}: {error}", trusted.name))?;
        trusted.public_key = text;
    }
    named_once(organisation)?;
    held_once(organisation)?;
    for user in &organisation.users {
        if user.roles.is_empty() {
            return Err(format!("{} has no role anywhere: roles = [{{ organisation = \"msp\", role = \"viewer\" }}]", user.email));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = user.roles.iter().find(|role| !seen.insert(key(&role.organisation))) {
            return Err(format!("{} has two roles in {}: one, the higher, says all", user.email, twice.organisation));
        }
        if let Some(limited) = user.roles.iter().find(|role| role.cost_centers.is_some() && key(&role.organisation) == MSP) {
            return Err(format!("{} is limited to cost centers as {} of the MSP: only tenants have them", user.email, limited.role));
        }
    }
    Ok(())
}

fn named_once(organisation: &Organisation) -> Result<(), String> {
    let nouns: [(&str, Vec<String>); 9] = [
        ("key", organisation.keys.iter().map(|trusted| trusted.public_key.clone()).collect()),
        ("tenant", organisation.tenants.iter().map(|tenant| tenant.name.clone()).collect()),
        ("integration", organisation.integrations.iter().map(|integration| integration.name.clone()).collect()),
        ("cost center", organisation.cost_centers.iter().map(|center| format!("{} of {}", center.name.trim(), center.tenant)).collect()),
        ("virtual integration", organisation.virtuals.iter().map(|view| view.name.clone()).collect()),
        ("rule", organisation.rules.iter().map(|rule| rule.title.clone()).collect()),
        ("user", organisation.users.iter().map(|user| user.email.clone()).collect()),
        ("team", organisation.teams.iter().map(|team| team.name.clone()).collect()),
        ("sign-in of", organisation.sign_ins.iter().map(|settings| settings.organisation.clone()).collect()),
    ];
    for (noun, names) in nouns {
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.into_iter().find(|name| !seen.insert(key(name))) {
            return Err(format!("the {noun} {twice} is there twice"));
        }
    }
    Ok(())
}

fn held_once(organisation: &Organisation) -> Result<(), String> {
    let mut held = BTreeMap::new();
    for tenant in &organisation.tenants {
        for account in tenant.subaccounts.iter().flatten() {
            if let Some(other) = held.insert(account_key(&account.integration, &account.account), &tenant.name) {
                return Err(format!("{} of {} is held by {other} and by {}", account.account, account.integration, tenant.name));
            }
        }
    }
    Ok(())
}
