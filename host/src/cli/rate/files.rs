//! chain.toml and tenants.toml: read, checked, and turned into values. Every error names the file and the entry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::period::Period;

/// Entries of one file; a chain of thousands is a mistake, not a contract.
const ENTRIES_MAX: usize = 1_000;

/// One `[[rule]]` of chain.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleEntry {
    pub(super) title: String,
    /// A built-in's name or a path to a `.wasm`, relative to the chain's folder.
    pub(super) plugin: String,
    #[serde(default)]
    config: toml::Table,
    /// Names of the tenants it is for; absent is all.
    pub(super) tenants: Option<Vec<String>>,
    /// First and last period in which it is effective, both included.
    pub(super) from: Option<Period>,
    pub(super) to: Option<Period>,
}

impl RuleEntry {
    pub(super) fn is_effective(&self, tenant: &str, period: Period) -> bool {
        self.from.is_none_or(|from| from <= period)
            && self.to.is_none_or(|to| period <= to)
            && self.tenants.as_ref().is_none_or(|names| names.iter().any(|name| name == tenant))
    }

    /// A period in which it is effective.
    pub(super) fn first_period(&self) -> Period {
        self.from.or(self.to).unwrap_or_else(|| Period::of(jiff::civil::date(2026, 1, 1)))
    }

    /// The configuration as JSON with sorted keys.
    pub(super) fn config_json(&self) -> String {
        json_of(toml::Value::Table(self.config.clone())).to_string()
    }
}

/// TOML has dates, JSON does not: they become their text. Numbers stay numbers, so that a rule can say that it wants text.
fn json_of(value: toml::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json_of(value))).collect::<serde_json::Map<_, _>>().into(),
    }
}

/// One `[[tenant]]` of tenants.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantEntry {
    pub(super) name: String,
    pub(super) subaccounts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainFile {
    #[serde(default)]
    rule: Vec<RuleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantsFile {
    #[serde(default)]
    tenant: Vec<TenantEntry>,
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

pub(super) fn read_chain(path: &Path) -> Result<Vec<RuleEntry>, String> {
    let rules = read::<ChainFile>(path)?.rule;
    if rules.is_empty() {
        return Err(format!("{} has no [[rule]]", path.display()));
    }
    if rules.len() > ENTRIES_MAX {
        return Err(format!("{} has {} rules; the most is {ENTRIES_MAX}", path.display(), rules.len()));
    }
    Ok(rules)
}

pub(super) fn read_tenants(path: &Path) -> Result<Vec<TenantEntry>, String> {
    let tenants = read::<TenantsFile>(path)?.tenant;
    if tenants.is_empty() {
        return Err(format!("{} has no [[tenant]]", path.display()));
    }
    let mut holder: BTreeMap<&str, &str> = BTreeMap::new();
    let mut names = std::collections::BTreeSet::new();
    for tenant in &tenants {
        check_name(&tenant.name).map_err(|why| format!("{}: tenant {:?}: {why}", path.display(), tenant.name))?;
        // Folders of two tenants must differ on a file system that folds case.
        if !names.insert(tenant.name.to_lowercase()) {
            return Err(format!("{}: there are two tenants named {:?}", path.display(), tenant.name));
        }
        for account in &tenant.subaccounts {
            if let Some(other) = holder.insert(account, &tenant.name) {
                return Err(format!("{}: subaccount {account:?} is held by {other:?} and by {:?}", path.display(), tenant.name));
            }
        }
    }
    Ok(tenants)
}

/// A tenant's name becomes a folder.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.trim().is_empty() || name.len() > 200 {
        Err("a name has 1 to 200 bytes")
    } else if name.starts_with('.') || name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ':')) {
        Err("a name is also a folder's name: no leading dot, no slash, backslash, colon or control character")
    } else {
        Ok(())
    }
}

/// Where a rule's component is: a path when it looks like one, else a built-in.
pub(super) fn component_path(chain: &Path, plugin: &str) -> Option<PathBuf> {
    let is_path = plugin.contains('/') || Path::new(plugin).extension().is_some_and(|e| e == "wasm");
    is_path.then(|| chain.parent().unwrap_or(Path::new(".")).join(plugin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(text: &str) -> Result<Vec<RuleEntry>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_chain(file.path())
    }

    #[test]
    fn a_rule_is_effective_for_its_tenants_and_periods_only() {
        let rules =
            chain("[[rule]]\ntitle='a'\nplugin='markup'\ntenants=['x']\nfrom='2026-02'\nto='2026-03'\n[rule.config]\npercent='5'\n")
                .unwrap();
        let effective = |tenant, period: &str| rules[0].is_effective(tenant, period.parse().unwrap());
        assert!(effective("x", "2026-02") && effective("x", "2026-03"));
        assert!(!effective("x", "2026-01") && !effective("x", "2026-04") && !effective("y", "2026-02"));
        assert_eq!(rules[0].config_json(), r#"{"percent":"5"}"#);
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let error = chain("[[rule]]\ntitle='a'\nplugin='markup'\nconfg={}\n").unwrap_err();
        assert!(error.contains("confg") && error.contains("line 4"), "{error}");
    }

    #[test]
    fn two_tenants_cannot_hold_one_subaccount() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[[tenant]]\nname='a'\nsubaccounts=['1']\n[[tenant]]\nname='b'\nsubaccounts=['1']\n").unwrap();
        let error = read_tenants(file.path()).unwrap_err();
        assert!(error.contains("\"1\" is held by \"a\" and by \"b\""), "{error}");
    }

    #[test]
    fn a_tenant_cannot_write_outside_the_output_folder() {
        for name in ["../x", ".", "", "a/b", "a\\b", "a:b"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("Müller & Söhne GmbH").is_ok());
    }
}
