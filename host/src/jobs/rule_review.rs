//! What a change of rules or of their assignments would rate again, before it is saved.
//!
//! As [`super::review`] for subaccounts: the plan is made twice, of the assigned rules as they are and as they would be. What customers
//! would be charged is for a preview, which rates.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::engine::KnownHistory;
use super::plan::{Facts, SumOutOfRange, plan};
use super::review::{Names, ReviewError, ReviewedMonth, changed_months};
use crate::plugins::Plugins;
use crate::store::{AssignedRule, AssignmentFields, ChainLink, RuleFields, Store, StoreError};

/// A change as it would be saved.
#[derive(Clone, Debug)]
pub enum RuleChange {
    /// New assignments, of one rule to one tenant each or to all.
    Assign(Vec<AssignmentFields>),
    /// An assignment becomes another.
    Change { id: String, fields: AssignmentFields },
    /// An assignment ends.
    End(String),
    /// Assignments share their places in another order.
    Order(Vec<String>),
    /// A rule becomes another.
    Rule { id: String, fields: RuleFields },
}

/// What a change would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleReview {
    /// Months that are rated again, and for whom; ordered by period, currency and tenant.
    pub months: Vec<ReviewedMonth>,
    /// Charges in them.
    pub charges: u64,
}

/// `store` sees everything; what `viewer` does not see is not told.
pub async fn review_rules(store: &Store, viewer: &Store, plugins: &Arc<Plugins>, change: RuleChange) -> Result<RuleReview, ReviewError> {
    let facts = Facts::read(store).await?;
    let mut rules = facts.rules.clone();
    apply(store, &change, &mut rules).await?;
    let plugins = Arc::clone(plugins);
    let compared = tokio::task::spawn_blocking(move || {
        let known = KnownHistory::default();
        let asks = |link: &_, bill: &_| known.asks(&plugins, link, bill);
        let before = plan(&facts, &asks)?;
        let after = plan(&Facts { rules, ..facts }, &asks)?;
        let months = changed_months(&before, &after);
        Ok::<_, SumOutOfRange>((months, after))
    });
    let (months, after) = compared.await.map_err(|_| ReviewError::Panicked)??;
    let mut names = Names::of_store(viewer);
    let mut review = RuleReview { months: Vec::with_capacity(months.len()), charges: 0 };
    for (key, (effect, billed_before, billed_after)) in months {
        let Some(tenant) = names.of(Some(&key.tenant)).await? else { continue };
        review.charges += after.charges(&key);
        review.months.push(ReviewedMonth { tenant, period: key.period, currency: key.currency, effect, billed_before, billed_after });
    }
    Ok(review)
}

/// Does to the list what saving the change would do to the table.
async fn apply(store: &Store, change: &RuleChange, rules: &mut Vec<AssignedRule>) -> Result<(), StoreError> {
    match change {
        RuleChange::Assign(new) => {
            for fields in new {
                let link = store.rule_link(&fields.rule_id).await?;
                put(rules, fields, None, link);
            }
        }
        RuleChange::Change { id, fields } => {
            let at = place_of(rules, id)?;
            let link = ChainLink { assignment_id: id.clone(), ..store.rule_link(&fields.rule_id).await? };
            rules.remove(at);
            put(rules, fields, Some(at), link);
        }
        RuleChange::End(id) => drop(rules.remove(place_of(rules, id)?)),
        RuleChange::Order(ids) => {
            let mut places = ids.iter().map(|id| place_of(rules, id)).collect::<Result<Vec<_>, _>>()?;
            let ordered: Vec<AssignedRule> = places.iter().map(|place| rules[*place].clone()).collect();
            places.sort_unstable();
            if places.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(StoreError::Invalid("an assignment is named twice".to_owned()));
            }
            for (place, rule) in places.into_iter().zip(ordered) {
                rules[place] = rule;
            }
        }
        RuleChange::Rule { id, fields } => {
            store.rule(id).await?;
            let plugin = store.plugin(&fields.plugin).await?;
            for rule in rules.iter_mut().filter(|rule| rule.link.rule_id == *id) {
                rule.link = ChainLink {
                    title: fields.title.trim().to_owned(),
                    plugin: fields.plugin.clone(),
                    digest: fields.pinned_digest.clone().unwrap_or_else(|| plugin.active_digest.clone()),
                    disabled: plugin.disabled,
                    config: fields.config.clone(),
                    ..rule.link.clone()
                };
            }
        }
    }
    Ok(())
}

fn place_of(rules: &[AssignedRule], assignment: &str) -> Result<usize, StoreError> {
    let at = rules.iter().position(|rule| rule.link.assignment_id == assignment);
    at.ok_or_else(|| StoreError::not_found("assignment", assignment))
}

fn put(rules: &mut Vec<AssignedRule>, fields: &AssignmentFields, place: Option<usize>, link: ChainLink) {
    let wanted = fields.position.and_then(|position| usize::try_from(position - 1).ok()).or(place);
    let at = wanted.unwrap_or(rules.len()).min(rules.len());
    let (from_period, to_period) = (fields.from_period, fields.to_period);
    rules.insert(at, AssignedRule { link, tenant_id: fields.tenant_id.clone(), from_period, to_period });
}
