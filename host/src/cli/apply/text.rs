//! The file as text, TOML or YAML by its ending, and what must hold of it before anything is asked of a daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::ValueEnum;

use super::file::{MSP, Organisation, account_key, key};
use crate::cli::Failure;
use crate::plugins::signature;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Toml,
    Yaml,
}

impl Format {
    /// By a file's ending; `.toml`, `.yaml` and `.yml` are known.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Reads a file; its mistakes are told with line and column.
pub(super) fn read(path: &Path) -> Result<Organisation, Failure> {
    let wrong = |what: String| Failure::input(format!("{}: {what}", path.display()));
    let format = Format::of(path).ok_or_else(|| wrong("the name ends neither in .toml nor in .yaml".to_owned()))?;
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut organisation = parse(&text, format).map_err(wrong)?;
    check(&mut organisation).map_err(wrong)?;
    Ok(organisation)
}

fn parse(text: &str, format: Format) -> Result<Organisation, String> {
    match format {
        Format::Toml => toml::from_str(text).map_err(|error| error.to_string()),
        Format::Yaml => serde_saphyr::from_str(text).map_err(|error| error.to_string()),
    }
}

pub(super) fn write(organisation: &Organisation, format: Format) -> Result<String, Failure> {
    match format {
        Format::Toml => toml::to_string(organisation)
            .map_err(|error| Failure::run(format!("this cannot be said in TOML: {error}")).next("--format yaml")),
        Format::Yaml => {
            serde_saphyr::to_string(organisation).map_err(|error| Failure::run(format!("this cannot be said in YAML: {error}")))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
domains: [msp.example]
tenant:
  - name: Acme
    quota: {time_ms: 60000}
    subaccounts:
      - {integration: aws, account: \"0111\", from: 2026-09}
rule:
  - title: Half more
    plugin: markup
    config: {percent: \"50\", services: {EC2: \"7.5\"}}
assignment: []
user:
  - email: ann@msp.example
    name: \"No\"
    roles: [{organisation: msp, role: integration-owner}]
";

    fn refused(text: &str, format: Format) -> String {
        let parsed = parse(text, format);
        match parsed {
            Err(what) => what,
            Ok(mut organisation) => check(&mut organisation).unwrap_err(),
        }
    }

    #[test]
    fn both_ways_of_writing_say_the_same() {
        let read = parse(YAML, Format::Yaml).unwrap();
        assert_eq!(read.tenants[0].subaccounts.as_ref().unwrap()[0].account, "0111");
        assert_eq!((read.users[0].name.as_str(), read.users[0].roles[0].role.name()), ("No", "integration-owner"));
        assert_eq!((read.assignments.as_deref(), read.domains.as_deref()), (Some(&[][..]), Some(&["msp.example".to_owned()][..])));
        for format in [Format::Toml, Format::Yaml] {
            let text = write(&read, format).unwrap();
            assert_eq!(parse(&text, format).unwrap(), read, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_column() {
        let unknown = refused(&YAML.replace("plugin: markup", "plugin: markup\n    colour: red"), Format::Yaml);
        assert!(unknown.contains("line 10") && unknown.contains("column 5") && unknown.contains("colour"), "{unknown}");
        let broken = refused("tenant:\n  - name: [Acme\n", Format::Yaml);
        assert!(broken.contains("line "), "{broken}");
        let twice = refused("domains: []\ndomains: []\n", Format::Yaml);
        assert!(twice.contains("line 2") && twice.contains("domains"), "{twice}");
        let toml = refused("[[tenant]]\nname = \"Acme\"\ncolour = \"red\"\n", Format::Toml);
        assert!(toml.contains("line 3, column 1") && toml.contains("colour"), "{toml}");
        let role = refused("user:\n  - email: a@b.example\n    name: A\n    roles: [{organisation: msp, role: admin}]\n", Format::Yaml);
        assert!(role.contains("line 4") && role.contains("\"admin\" is not a role"), "{role}");
    }

    #[test]
    fn what_no_daemon_could_be_brought_to_is_refused_before_one_is_asked() {
        let refused = |text: &str| refused(text, Format::Toml);
        assert_eq!(refused("[[tenant]]\nname = \"Acme\"\n[[tenant]]\nname = \"ACME \"\n"), "the tenant ACME  is there twice");
        let center = "[[cost_center]]\ntenant = \"Acme\"\nname = \"R\"\n";
        assert_eq!(refused(&format!("{center}{center}")), "the cost center R of Acme is there twice");
        let user = "[[user]]\nemail = \"a@b.example\"\nname = \"A\"\nroles = ";
        assert!(refused(&format!("{user}[]")).starts_with("a@b.example has no role anywhere"));
        let two = "[{ organisation = \"Acme\", role = \"viewer\" }, { organisation = \"acme\", role = \"owner\" }]";
        assert!(refused(&format!("{user}{two}")).starts_with("a@b.example has two roles in acme"));
        let limited = "[{ organisation = \"msp\", role = \"viewer\", cost_centers = [\"R\"] }]";
        assert!(refused(&format!("{user}{limited}")).contains("only tenants have them"));
        assert!(refused("[[key]]\nname = \"Us\"\npublic_key = \"ed25519:1\"\n").starts_with("the key Us: "));
    }
}
