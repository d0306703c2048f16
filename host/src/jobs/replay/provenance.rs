//! One line of a published bill, walked through its chain: what each rule found and what it left.
//!
//! The amounts in between are not stored; they come from rating the run's recorded inputs again with the row watched. What comes out must
//! be what was published, or the answer is an error and not a story.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::recording::{Holders, Recording, ReplayError, open_snapshots};
use super::{ReplayOptions, Replayer};
use crate::domain::charge::{SHOWN, SHOWN_TO_TENANTS};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rated::{GroupRef, RatedLine};
use crate::domain::rule::{BillPeriod, Treatment};
use crate::jobs::address::Address;
use crate::lake::{Accounts, Cursor, Filter, LakeError, OverlayReader, Test, read_page};
use crate::rating::{self, Chain, RunInput, Trace, Watch};
use crate::store::{Run, Snapshot};

/// Tells a charge's account, together with its `SubAccountId`.
const BILLING_ACCOUNT: &str = "BillingAccountId";

/// Charges with the same key that are named when one is not enough.
const NAMED_MAX: usize = 5;

/// Where the keys of added lines begin: `added:RULE:N`, the Nth line that the rule added, from 1.
pub const ADDED: &str = "added:";

/// A line's way from what was billed to what is charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Provenance {
    /// The key as asked.
    pub key: String,
    pub run_id: String,
    pub tenant_id: String,
    pub period: Period,
    pub currency: String,
    /// The charge as rated: column to value. Of an added line what the rule said.
    #[schema(value_type = Object)]
    pub charge: Map<String, Value>,
    /// Of an added line none.
    pub billed: Option<Amount>,
    /// One a rule, in the order of the chain; of an added line those that touched it.
    pub steps: Vec<ProvenanceStep>,
    pub charged: Amount,
    pub treatment: Treatment,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvenanceStep {
    pub rule_id: String,
    pub title: String,
    pub plugin: String,
    /// What the component calls its version; none where it is not kept any more.
    pub version: Option<String>,
    pub digest: String,
    /// None where the rule left the line alone.
    pub reason: Option<String>,
    /// None between the rules of an added line, of which only the first and the last amount are known.
    pub before: Option<Amount>,
    pub after: Option<Amount>,
    pub treatment: Option<Treatment>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelStep>,
}

/// A text that a rule changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LabelStep {
    pub column: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What a tenant may see of a line: what it is charged for it, and nothing of what was billed, excluded or adjusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantLine {
    pub key: String,
    pub period: Period,
    pub currency: String,
    #[schema(value_type = Object)]
    pub charge: Map<String, Value>,
    pub charged: Amount,
}

/// A line that was found.
struct Found {
    billing_account: String,
    charge: Map<String, Value>,
    charged: Amount,
    treatment: Treatment,
    place: Place,
}

enum Place {
    Row(GroupRef, u32),
    /// Index into the run's lines.
    Added(usize),
}

impl Replayer {
    /// Walks one line of a done run through its chain.
    pub async fn provenance(&self, run_id: &str, key: &str) -> Result<Provenance, ReplayError> {
        let recording = Recording::read(&self.store, run_id).await?;
        let versions = self.versions(&recording.run).await?;
        let key = key.to_owned();
        self.in_turn(move |this, progress| {
            let found = find(this, &recording.run, &snapshots(&recording), &key)?;
            let steps = match found.place {
                Place::Row(group, row) => {
                    let trace = trace(this, &recording, group, row, progress)?;
                    if (trace.end, trace.treatment) != (found.charged, found.treatment) {
                        return Err(ReplayError::Defect(format!(
                            "computed again the line ends at {} ({}), published is {} ({}): verify the run {}",
                            trace.end,
                            trace.treatment.name(),
                            found.charged,
                            found.treatment.name(),
                            recording.run.id
                        )));
                    }
                    steps(&recording.run, &versions, trace)
                }
                Place::Added(at) => added_steps(&recording.run, &versions, &recording.run.lines[at]),
            };
            let Run { id, tenant_id, period, currency, .. } = recording.run;
            let billed = found.charge.get("BilledCost").and_then(Value::as_str).and_then(|text| text.parse().ok());
            let (charge, charged, treatment) = (found.charge, found.charged, found.treatment);
            Ok(Provenance { key, run_id: id, tenant_id, period, currency, charge, billed, steps, charged, treatment })
        })
        .await
    }

    /// One line of a done run as its tenant may see it; a line that is not charged, or not of these accounts, is not there.
    pub async fn tenant_line(&self, run_id: &str, key: &str, accounts: Option<Arc<Accounts>>) -> Result<TenantLine, ReplayError> {
        let recording = Recording::read(&self.store, run_id).await?;
        let key = key.to_owned();
        self.in_turn(move |this, _| {
            let mut found = find(this, &recording.run, &snapshots(&recording), &key)?;
            if found.treatment == Treatment::Drop || accounts.is_some_and(|accounts| !is_of(&found, &accounts)) {
                return Err(ReplayError::NoSuchLine(key));
            }
            found.charge.retain(|name, _| SHOWN[..SHOWN_TO_TENANTS].contains(&name.as_str()));
            let Run { period, currency, .. } = recording.run;
            Ok(TenantLine { key, period, currency, charge: found.charge, charged: found.charged })
        })
        .await
    }

    /// As the chain: what each component calls its version.
    async fn versions(&self, run: &Run) -> Result<Vec<Option<String>>, ReplayError> {
        let mut versions = Vec::new();
        for entry in &run.chain {
            versions.push(self.store.plugin_version(&entry.digest).await.ok().map(|version| version.manifest.version));
        }
        Ok(versions)
    }
}

/// Whether a line is of these accounts; an added line names its sub account only.
fn is_of(found: &Found, accounts: &Accounts) -> bool {
    let text = |name: &str| found.charge.get(name).and_then(Value::as_str).unwrap_or_default();
    let sub = text("SubAccountId");
    match found.place {
        Place::Row(..) => accounts.contains(&(found.billing_account.clone(), sub.to_owned())),
        Place::Added(_) => !sub.is_empty() && accounts.iter().any(|(_, known)| known == sub),
    }
}

fn snapshots(recording: &Recording) -> Vec<&Snapshot> {
    recording.snapshots.iter().map(AsRef::as_ref).collect()
}

fn find(this: &Replayer, run: &Run, snapshots: &[&Snapshot], key: &str) -> Result<Found, ReplayError> {
    let none = || ReplayError::NoSuchLine(key.to_owned());
    if let Some(rest) = key.strip_prefix(ADDED) {
        let (rule, number) = rest.rsplit_once(':').ok_or_else(none)?;
        let number: usize = number.parse().map_err(|_| none())?;
        let mut of_rule = run.lines.iter().enumerate().filter(|(_, line)| line.rule_id == rule);
        let (at, line) = of_rule.nth(number.checked_sub(1).ok_or_else(none)?).ok_or_else(none)?;
        let (charged, treatment) = (line.customer_cost, line.treatment);
        return Ok(Found { charge: said(line), charged, treatment, place: Place::Added(at), billing_account: String::new() });
    }
    let lake = this.data.charges();
    let charges = open_snapshots(lake, snapshots.iter().copied())?;
    let overlay = OverlayReader::open(&lake.hold().file(run.overlay.as_ref().ok_or_else(none)?).map_err(LakeError::from)?)?;
    let numbering = crate::jobs::address::Parts::of(snapshots.iter().copied());
    let columns = [&SHOWN[..], &["x_SourceRowKey", BILLING_ACCOUNT]].concat();
    let page = match key.parse::<Address>() {
        Ok(address) => {
            let group = numbering.group(&address).ok_or_else(none)?;
            let row = overlay.read(group)?.rows.binary_search(&address.row).map_err(|_| none())?;
            let from = Cursor { source: 0, group: Some(group), row: u32::try_from(row).map_err(|_| none())? };
            read_page(&[(&charges, &overlay)], &columns, &[], from, 1)?
        }
        Err(()) => {
            let filter = Filter { column: "x_SourceRowKey".to_owned(), test: Test::Equals(Some(key.to_owned())) };
            let mut page = read_page(&[(&charges, &overlay)], &columns, std::slice::from_ref(&filter), Cursor::default(), NAMED_MAX)?;
            while let Some(next) = page.next.filter(|_| page.charges.len() < NAMED_MAX) {
                let more = read_page(&[(&charges, &overlay)], &columns, std::slice::from_ref(&filter), next, NAMED_MAX)?;
                page.charges.extend(more.charges);
                page.places.extend(more.places);
                page.next = more.next;
            }
            page
        }
    };
    if page.charges.len() > 1 {
        let named: Vec<String> =
            page.places.iter().take(NAMED_MAX).filter_map(|(group, row)| Some(numbering.address(*group, *row)?.to_string())).collect();
        return Err(ReplayError::Invalid(format!("several charges have the key {key}: name one by its place, {}", named.join(", "))));
    }
    let (mut charge, (group, row)) = page.charges.into_iter().zip(page.places).next().ok_or_else(none)?;
    let billing_account = charge.remove(BILLING_ACCOUNT).and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default();
    let text = |name: &str| charge.get(name).and_then(Value::as_str).unwrap_or_default();
    let charged = text("x_CustomerCost").parse().map_err(|_| ReplayError::Defect("a charge without a customer cost".to_owned()))?;
    let treatment = Treatment::ALL.into_iter().find(|treatment| treatment.name() == text("x_Treatment"));
    let treatment = treatment.ok_or_else(|| ReplayError::Defect("a charge without a treatment".to_owned()))?;
    Ok(Found { charge, charged, treatment, place: Place::Row(group, row), billing_account })
}

/// A line that a rule added, in the columns of a charge.
fn said(line: &RatedLine) -> Map<String, Value> {
    let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::String(text.to_owned()));
    let of = &line.line;
    let columns = [
        ("SubAccountId", text(of.sub_account_id.as_deref())),
        ("ChargeCategory", text(Some(&of.charge_category))),
        ("ServiceName", text(Some(&of.service_name))),
        ("ChargeDescription", text(Some(&of.description))),
    ];
    columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Rates the run again with the row watched: its row group alone where no rule must know the whole month first.
fn trace(this: &Replayer, recording: &Recording, group: GroupRef, row: u32, progress: &Progress) -> Result<Trace, ReplayError> {
    let run = &recording.run;
    let rules = recording.rules(&this.plugins)?;
    let charges = recording.charges(this.data.charges())?;
    let bill = BillPeriod { period: run.period, currency: run.currency.clone() };
    let all = charges.groups();
    let alone: Vec<(GroupRef, u32)> = all.iter().filter(|(known, _)| *known == group).copied().collect();
    let chain = Chain::prepare(rules.clone(), &bill).map_err(|failure| ReplayError::Defect(failure.to_string()))?;
    let holders = Holders::of(&[recording]).ok_or_else(|| ReplayError::Defect("the recorded holders contradict each other".to_owned()))?;
    let source_of_part: Vec<usize> =
        recording.snapshots.iter().enumerate().flat_map(|(source, snapshot)| std::iter::repeat_n(source, snapshot.parts.len())).collect();
    let rate = |groups: &[(GroupRef, u32)]| {
        let month = rating::rate_month(rating::Input {
            period: run.period,
            groups,
            source_of_part: &source_of_part,
            owners: &holders.owners,
            payers: &holders.payers,
            runs: vec![RunInput { tenant: holders.tenants[0], currency: run.currency.clone(), rules: rules.clone(), span: None }],
            workers: ReplayOptions::default().threads(),
            batch_rows: None,
            watch: Some(Watch { run: 0, group, row }),
            progress,
            read: &|group, columns| charges.read(group, columns).map_err(Into::into),
            write: &|_, _, _| Ok(()),
        });
        month.map_err(|error| ReplayError::from(crate::jobs::rate::RateError::from(error)))
    };
    if chain.stops().len() == 1 {
        // A charging rule may dislike the totals of one row group; then the whole month is asked.
        if let Some(Ok(outcome)) = rate(&alone)?.runs.pop()
            && let Some(trace) = outcome.trace
        {
            return Ok(trace);
        }
    }
    match rate(&all)?.runs.pop() {
        Some(Ok(outcome)) => outcome.trace.ok_or_else(|| ReplayError::Defect("computed again, the line is not the tenant's".to_owned())),
        Some(Err(failure)) => Err(ReplayError::Defect(format!("computed again, the run fails: {failure}"))),
        None => Err(ReplayError::Defect("the run was not rated".to_owned())),
    }
}

fn steps(run: &Run, versions: &[Option<String>], trace: Trace) -> Vec<ProvenanceStep> {
    let step = |step: rating::TraceStep| {
        let entry = run.chain.get(step.rule)?;
        let label = |label: rating::LabelChange| LabelStep { column: label.column, before: label.before, after: label.after };
        Some(ProvenanceStep {
            rule_id: entry.rule_id.clone(),
            title: entry.title.clone(),
            plugin: entry.plugin.clone(),
            version: versions.get(step.rule).cloned().flatten(),
            digest: entry.digest.clone(),
            reason: step.reason,
            before: Some(step.before),
            after: Some(step.after),
            treatment: Some(step.treatment),
            labels: step.labels.into_iter().map(label).collect(),
        })
    };
    trace.steps.into_iter().filter_map(step).collect()
}

/// The rule that added a line, and those behind it that touched it.
fn added_steps(run: &Run, versions: &[Option<String>], line: &RatedLine) -> Vec<ProvenanceStep> {
    #[derive(Deserialize)]
    struct Applied {
        rule: String,
        reason: String,
    }
    let applied: Vec<Applied> = serde_json::from_str(&line.applied).unwrap_or_default();
    let last = applied.len().saturating_sub(1);
    let mut from = run.chain.iter().position(|entry| entry.rule_id == line.rule_id).unwrap_or(0);
    let mut steps = Vec::new();
    for (number, applied) in applied.into_iter().enumerate() {
        // Titles of a chain may repeat; the next one of the name is meant.
        let at = run.chain.iter().skip(from).position(|entry| entry.title == applied.rule).map_or(from, |at| from + at);
        from = at + 1;
        let Some(entry) = run.chain.get(at) else { continue };
        steps.push(ProvenanceStep {
            rule_id: entry.rule_id.clone(),
            title: entry.title.clone(),
            plugin: entry.plugin.clone(),
            version: versions.get(at).cloned().flatten(),
            digest: entry.digest.clone(),
            reason: Some(applied.reason),
            before: (number == 0).then_some(Amount::ZERO),
            after: if number == last { Some(line.customer_cost) } else { (number == 0).then_some(line.line.amount) },
            treatment: (number == last).then_some(line.treatment),
            labels: Vec::new(),
        });
    }
    steps
}
