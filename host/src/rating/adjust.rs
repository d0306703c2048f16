//! One adjusting rule over the charges of one tenant in one row group: select, combine, decide, apply, and leave a trail.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;

use crate::domain::charge::CUSTOMER_COST;
use crate::domain::columns::{Dictionary, NULL_CODE};
use crate::domain::money::NULL;
use crate::domain::rule::{BillPeriod, Change, Decision, IfMissing, Plan, RuleText, Total, Treatment};
use crate::sandbox::{Rater, RuleFailure};

use super::chain::ChainRule;
use super::combine::{Combinations, combinations};
use super::kernel;
use super::split::money_of;
use super::working::{Trail, Working};

/// Bytes of a decision's reason: a few words for the line's provenance, not a report.
const REASON_BYTES_MAX: usize = 500;

/// What a rule did to one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    pub rows: u64,
    /// Customer cost after minus before, in 10^-18.
    pub delta: i128,
}

impl Effect {
    pub fn add(&mut self, other: Self) -> Result<(), String> {
        self.rows += other.rows;
        self.delta = self.delta.checked_add(other.delta).ok_or_else(out_of_range)?;
        Ok(())
    }
}

fn out_of_range() -> String {
    "an amount left the range of 20 digits before and 18 after the decimal point".to_owned()
}

/// What a rule decides on the charges that it sees, before anything is changed.
pub struct Decided {
    /// Rows, ascending.
    pub selection: Vec<u32>,
    pub combined: Combinations,
    /// One a combination.
    pub decisions: Vec<Decision>,
    rater: Rater,
}

/// Asks the rule in a fresh instance; none where it sees no charge.
pub fn decide(rule: &ChainRule, plan: &Plan, period: &BillPeriod, totals: &[Total], working: &Working) -> Result<Option<Decided>, String> {
    let selection = working.select(&plan.applies_to);
    if selection.is_empty() {
        return Ok(None);
    }
    let columns: Vec<_> = plan.dimensions.iter().map(|name| working.text(name)).collect();
    let combined = combinations(&columns, &selection);
    let mut rater = rule.plugin.open(&rule.config, period, totals).map_err(|e| e.to_string())?;
    let dimensions = dimensions(plan, working, &selection, &combined);
    let decisions = rater.decide(&dimensions).map_err(|e| e.to_string())?;
    if decisions.len() != combined.first.len() {
        return Err(format!("it answered {} decisions for {} combinations", decisions.len(), combined.first.len()));
    }
    decisions.iter().try_for_each(|decision| check_decision(decision, plan))?;
    Ok(Some(Decided { selection, combined, decisions, rater }))
}

/// Runs the rule in a fresh instance. On an error the working batch is half changed and must be thrown away.
pub fn adjust(
    rule: &ChainRule,
    rule_index: usize,
    plan: &Plan,
    period: &BillPeriod,
    totals: &[Total],
    batch_rows: Option<NonZero<usize>>,
    working: &mut Working,
) -> Result<Effect, String> {
    let Some(decided) = decide(rule, plan, period, totals, working)? else { return Ok(Effect::default()) };
    let Decided { selection, combined, decisions, mut rater } = decided;
    let custom = custom_amounts(&mut rater, plan, batch_rows, working, &selection, &combined, &decisions)?;
    relabel(plan, working, &selection, &combined, &decisions);
    let changed = Changes { plan, decisions: &decisions, custom };
    changed.apply(rule_index, working, &selection, &combined)
}

/// The distinct values of each dimension among the combinations, and each combination's codes.
fn dimensions(plan: &Plan, working: &Working, selection: &[u32], combined: &Combinations) -> Vec<RuleText> {
    let sent = |name: &String| {
        let column = working.text(name);
        let mut sent = vec![NULL_CODE; column.values.len()];
        let mut new_values = Dictionary::new();
        let codes = combined.first.iter().map(|first| {
            let code = column.codes[selection[*first as usize] as usize];
            if code == NULL_CODE {
                return RuleText::NULL;
            }
            let slot = &mut sent[code as usize];
            if *slot == NULL_CODE {
                *slot = new_values.push(column.values.get(code));
            }
            *slot
        });
        let codes = codes.collect();
        RuleText { new_values, codes }
    };
    plan.dimensions.iter().map(sent).collect()
}

fn check_decision(decision: &Decision, plan: &Plan) -> Result<(), String> {
    let read = |column: u8| {
        if usize::from(column) < plan.reads.len() {
            Ok(())
        } else {
            Err(format!("a decision reads column {column} of a plan that reads {}", plan.reads.len()))
        }
    };
    let digits = |digits: u8| if digits <= 18 { Ok(()) } else { Err(format!("a decision asks for {digits} digits; amounts have 18")) };
    match decision.change {
        Change::Keep | Change::Zero | Change::Custom => {}
        Change::Copied { column, .. } => read(column)?,
        Change::Scaled(form) => read(form.column).and(digits(form.digits))?,
        Change::Tiered(form) => read(form.column).and(digits(form.digits)).and(digits(form.scale))?,
    }
    for (position, _) in &decision.relabel {
        if usize::from(*position) >= plan.writes.len() {
            return Err(format!("a decision writes column {position}, but its plan writes {} columns", plan.writes.len()));
        }
    }
    if decision.reason.len() > REASON_BYTES_MAX {
        return Err(format!("a decision's reason has {} bytes; the most is {REASON_BYTES_MAX}", decision.reason.len()));
    }
    Ok(())
}

/// Amounts of the rows that need the rule's code, by position in the selection; empty without such rows.
fn custom_amounts(
    rater: &mut Rater,
    plan: &Plan,
    batch_rows: Option<NonZero<usize>>,
    working: &Working,
    selection: &[u32],
    combined: &Combinations,
    decisions: &[Decision],
) -> Result<Vec<i128>, String> {
    let is_custom: Vec<bool> = decisions.iter().map(|d| d.change == Change::Custom).collect();
    if !is_custom.contains(&true) {
        return Ok(Vec::new());
    }
    let chosen: Vec<(u32, u32)> =
        selection.iter().zip(&combined.slots).filter(|(_, slot)| is_custom[**slot as usize]).map(|(row, slot)| (*row, *slot)).collect();
    let mut answer = Vec::with_capacity(chosen.len());
    for batch in chosen.chunks(batch_rows.map_or(usize::MAX, NonZero::get)) {
        answer.extend(apply(rater, plan, working, batch)?);
    }
    let mut answers = answer.into_iter();
    let of_position = |slot: &u32| if is_custom[*slot as usize] { answers.next().unwrap_or(NULL) } else { NULL };
    Ok(combined.slots.iter().map(of_position).collect())
}

/// Takes rows, each with its combination, into the rule and their amounts out.
fn apply(rater: &mut Rater, plan: &Plan, working: &Working, rows: &[(u32, u32)]) -> Result<Vec<i128>, String> {
    let slots: Vec<u32> = rows.iter().map(|(_, slot)| *slot).collect();
    let column = |name: &String| {
        let units = working.money(name);
        rows.iter().map(move |(row, _)| units.map_or(NULL, |u| u[*row as usize]))
    };
    let narrow: Vec<_> = plan.reads.iter().map(|name| kernel::to_rule(column(name))).collect();
    let answer = match rater.apply(&slots, &narrow) {
        Err(RuleFailure::Overflow) => {
            let wide: Vec<_> = plan.reads.iter().map(|name| kernel::widen(column(name))).collect();
            rater.apply(&slots, &wide)
        }
        answer => answer,
    };
    let answer = kernel::from_rule(answer.map_err(|e| e.to_string())?).map_err(|_| out_of_range())?;
    if answer.len() != slots.len() {
        return Err(format!("it answered {} amounts for {} charges", answer.len(), slots.len()));
    }
    Ok(answer)
}

fn relabel(plan: &Plan, working: &mut Working, selection: &[u32], combined: &Combinations, decisions: &[Decision]) {
    for (position, name) in (0_u8..).zip(&plan.writes) {
        let of_slot: Vec<Option<Option<&str>>> =
            decisions.iter().map(|d| d.relabel.iter().rev().find(|(p, _)| *p == position).map(|(_, value)| value.as_deref())).collect();
        let changes: Vec<(u32, Option<&str>)> =
            selection.iter().zip(&combined.slots).filter_map(|(row, slot)| of_slot[*slot as usize].map(|value| (*row, value))).collect();
        if !changes.is_empty() {
            working.relabel(name, &changes);
        }
    }
}

/// Decisions ready to be applied row by row.
struct Changes<'a> {
    plan: &'a Plan,
    decisions: &'a [Decision],
    /// By position in the selection; empty when no decision is custom.
    custom: Vec<i128>,
}

/// What a decision makes of one row's cost: the new cost, and how it came about.
type Outcome = Result<(i128, Answer), kernel::OutOfRange>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Amount,
    /// The amount that it wanted is not there, and that is to be told.
    Missing,
    /// Null: the rule leaves the amount alone.
    Nothing,
}

impl Changes<'_> {
    fn apply(&self, rule_index: usize, working: &mut Working, selection: &[u32], combined: &Combinations) -> Result<Effect, String> {
        let mut effect = Effect::default();
        let mut trail = TrailMemo::new(self.decisions.len());
        let batch = working.batch();
        let read = |name: &String| if name == CUSTOMER_COST { Read::CustomerCost } else { Read::Source(money_of(&batch, name)) };
        let reads: Vec<Read<'_>> = self.plan.reads.iter().map(read).collect();
        for (position, (row, slot)) in selection.iter().zip(&combined.slots).enumerate() {
            let decision = &self.decisions[*slot as usize];
            let row = *row as usize;
            let before = working.cost[row];
            let (mut after, answer) = self.outcome(&reads, decision, position, row, before).map_err(|_| out_of_range())?;
            let missing = answer == Answer::Missing;
            let held = missing && matches!(decision.change, Change::Copied { if_missing: IfMissing::Hold, .. });
            let treatment = if held { Treatment::Hold } else { decision.treatment };
            if treatment == Treatment::Drop {
                after = 0;
            }
            // A held charge stays held: only dropping it takes the question away.
            working.treatment[row] = working.treatment[row].or_stronger(treatment);
            working.cost[row] = after;
            effect.delta = after.checked_sub(before).and_then(|d| effect.delta.checked_add(d)).ok_or_else(out_of_range)?;
            // What a rule only looked at carries no trace of it.
            let kept = answer == Answer::Nothing && decision.treatment == Treatment::Keep && decision.relabel.is_empty();
            let touched = (!kept && !missing) || held;
            effect.rows += u64::from(touched);
            if touched || missing {
                let parent = working.trail_codes[row];
                working.trail_codes[row] = trail.code(&mut working.trail, parent, *slot, missing, rule_index, decision);
            }
        }
        Ok(effect)
    }

    fn outcome(&self, reads: &[Read<'_>], decision: &Decision, position: usize, row: usize, before: i128) -> Outcome {
        let read = |column: u8| match &reads[usize::from(column)] {
            Read::CustomerCost => before,
            Read::Source(units) => units.map_or(NULL, |units| units[row]),
        };
        let formed = |column: u8, form: &dyn Fn(i128) -> Result<i128, kernel::OutOfRange>| match read(column) {
            NULL => Ok((before, Answer::Nothing)),
            units => form(units).map(|after| (after, Answer::Amount)),
        };
        match &decision.change {
            Change::Keep => Ok((before, Answer::Nothing)),
            Change::Zero => Ok((0, Answer::Amount)),
            Change::Copied { column, .. } => match read(*column) {
                NULL | 0 => Ok((before, Answer::Missing)),
                units => Ok((units, Answer::Amount)),
            },
            Change::Scaled(form) => formed(form.column, &|units| kernel::scaled(form, units)),
            Change::Tiered(form) => formed(form.column, &|units| kernel::tiered(form, units)),
            Change::Custom => match self.custom[position] {
                NULL => Ok((before, Answer::Nothing)),
                units => Ok((units, Answer::Amount)),
            },
        }
    }
}

/// A money column that a closed form reads. The customer cost is rewritten while it is read; each row needs only its own old value.
enum Read<'a> {
    CustomerCost,
    /// None is all null.
    Source(Option<&'a [i128]>),
}

/// Finds a row's new trail entry: rows with the same trail so far and the same decision share one.
struct TrailMemo {
    known: HashMap<(u32, u32), u32>,
    last: Option<((u32, u32), u32)>,
    reasons: Vec<Option<[Arc<str>; 2]>>,
}

impl TrailMemo {
    fn new(slots: usize) -> Self {
        Self { known: HashMap::new(), last: None, reasons: vec![None; slots] }
    }

    fn code(&mut self, trail: &mut Trail, parent: u32, slot: u32, missing: bool, rule_index: usize, decision: &Decision) -> u32 {
        let key = (parent, slot * 2 + u32::from(missing));
        if let Some((last, code)) = self.last
            && last == key
        {
            return code;
        }
        let reasons = &mut self.reasons[slot as usize];
        let code = *self.known.entry(key).or_insert_with(|| {
            let [plain, flagged] = reasons.get_or_insert_with(|| {
                let flagged = format!("{}: the amount is missing", decision.reason);
                [decision.reason.as_str().into(), flagged.as_str().into()]
            });
            trail.push(parent, rule_index, Arc::clone(if missing { flagged } else { plain }))
        });
        self.last = Some((key, code));
        code
    }
}
