//! Whether a version takes a configuration: by its schema, which tells every place, and by its `configure`, which has the last word.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::active::{Plugins, in_background};
use super::deploy::DeployError;
use super::schema::Schema;
use crate::domain::period::Period;
use crate::domain::rule::{BillPeriod, ConfigError, Plan};
use crate::rating::chain::check_plan;
use crate::sandbox::{ConfigureError, Plugin};
use crate::store::{self, PageRequest, Rule, StoreError};

/// Rules named in one refusal; the rest is a number.
const NAMED_RULES: usize = 20;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// At least one place, by their pointers.
    #[error("{}", .0.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect::<Vec<_>>().join("; "))]
    Refused(Vec<ConfigError>),
    #[error("the plugin fails on this configuration: {0}")]
    Failed(String),
    #[error(transparent)]
    Unavailable(#[from] DeployError),
}

/// A place of a rule's configuration that a version does not accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedRule {
    pub rule_id: String,
    pub title: String,
    /// JSON pointer into the rule's configuration.
    pub pointer: String,
    pub message: String,
}

/// What would become of a plugin's rules if a version were the active one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionCheck {
    pub digest: String,
    /// Rules that follow the active version, all of which were asked about.
    pub rules: usize,
    /// What it refuses of them; a rule is named once for each place.
    pub refused: Vec<RefusedRule>,
}

/// A refusal in words.
pub(super) fn told(refused: &[RefusedRule]) -> String {
    let mut rules: Vec<&str> = refused.iter().map(|rule| rule.rule_id.as_str()).collect();
    rules.dedup();
    let many = if rules.len() == 1 { "one rule".to_owned() } else { format!("{} rules", rules.len()) };
    let named = refused.iter().take(NAMED_RULES).map(|rule| match rule.pointer.as_str() {
        "" => format!("{:?}: {}", rule.title, rule.message),
        pointer => format!("{:?} at {pointer}: {}", rule.title, rule.message),
    });
    let mut text = format!("{many} of this plugin would stop working: {}", named.collect::<Vec<_>>().join("; "));
    if refused.len() > NAMED_RULES {
        text.push_str(&format!("; and {} more", refused.len() - NAMED_RULES));
    }
    text
}

impl Plugins {
    /// Asks the pinned version, or the active one, about a rule's configuration.
    pub async fn configure(self: &Arc<Self>, name: &str, pinned: Option<&str>, config: &Value) -> Result<Plan, CheckError> {
        let digest = match pinned {
            Some(digest) => digest.to_owned(),
            None => self.store().plugin(name).await.map_err(DeployError::from)?.active_digest,
        };
        let plugin = self.loaded(&digest).await?;
        let (config, period) = (config.clone(), self.reference_period());
        in_background(move || {
            let schema = schema_of(&plugin)?;
            Ok(ask(&plugin, &schema, &config, &period))
        })
        .await?
    }

    /// Asks a stored version about every rule that would run on it if it were active.
    pub async fn check_version(self: &Arc<Self>, name: &str, digest: &str) -> Result<VersionCheck, DeployError> {
        self.version_of(name, digest).await?;
        let plugin = self.loaded(digest).await?;
        self.check_rules(&plugin).await
    }

    pub(super) async fn check_rules(&self, plugin: &Arc<Plugin>) -> Result<VersionCheck, DeployError> {
        let rules = self.rules_following(&plugin.manifest().name).await?;
        let (plugin, period) = (Arc::clone(plugin), self.reference_period());
        in_background(move || {
            let schema = schema_of(&plugin)?;
            let refused = rules.iter().flat_map(|rule| refused_rule(&plugin, &schema, rule, &period)).collect();
            Ok(VersionCheck { digest: plugin.digest().to_owned(), rules: rules.len(), refused })
        })
        .await
    }

    /// The rules that run on whatever version of the plugin is active.
    async fn rules_following(&self, name: &str) -> Result<Vec<Rule>, StoreError> {
        let mut rules = Vec::new();
        let mut page = PageRequest::largest();
        loop {
            let found = self.store().rules(&page).await?;
            rules.extend(found.items.into_iter().filter(|rule| rule.plugin == name && rule.pinned_digest.is_none()));
            match found.next {
                Some(next) => page = PageRequest::new(Some(store::MAX_PAGE), Some(next)),
                None => return Ok(rules),
            }
        }
    }

    /// Configurations are checked against the current month; a rule's answer may not depend on which month it is.
    pub(super) fn reference_period(&self) -> BillPeriod {
        let micros = self.store().clock().now_millis().saturating_mul(1_000);
        let period = Period::of_micros(micros).unwrap_or_else(|| Period::of(jiff::civil::date(2026, 1, 1)));
        BillPeriod { period, currency: "USD".to_owned() }
    }
}

/// The schema that the plugin itself gives.
pub(super) fn schema_of(plugin: &Plugin) -> Result<Schema, DeployError> {
    Schema::compile(&plugin.manifest().config_schema).map_err(DeployError::Schema)
}

/// The plan, or every place that is wrong. Where schema and plugin object to the same place, the plugin's words are better.
fn ask(plugin: &Plugin, schema: &Schema, config: &Value, period: &BillPeriod) -> Result<Plan, CheckError> {
    let mut faults = schema.faults(config);
    match plugin.configure(&config.to_string(), period) {
        Ok(plan) if faults.is_empty() => {
            // What no month could be rated by is not for the first run to find out.
            let refused = |message| CheckError::Refused(vec![ConfigError { pointer: String::new(), message }]);
            return check_plan(&plan).map_err(refused).map(|()| plan);
        }
        Ok(_) => {}
        Err(ConfigureError::Failed(failure)) => return Err(CheckError::Failed(failure.to_string())),
        // The plugin's one objection to the whole says less than the places that the schema found.
        Err(ConfigureError::Refused(refused)) if refused.pointer.is_empty() && !faults.is_empty() => {}
        Err(ConfigureError::Refused(refused)) => {
            faults.retain(|fault| fault.pointer != refused.pointer);
            faults.push(refused);
        }
    }
    faults.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    Err(CheckError::Refused(faults))
}

fn refused_rule(plugin: &Plugin, schema: &Schema, rule: &Rule, period: &BillPeriod) -> Vec<RefusedRule> {
    let refused = |ConfigError { pointer, message }| RefusedRule { rule_id: rule.id.clone(), title: rule.title.clone(), pointer, message };
    match ask(plugin, schema, &rule.config, period) {
        Ok(_) => Vec::new(),
        Err(CheckError::Refused(faults)) => faults.into_iter().map(refused).collect(),
        Err(error) => vec![refused(ConfigError { pointer: String::new(), message: error.to_string() })],
    }
}
