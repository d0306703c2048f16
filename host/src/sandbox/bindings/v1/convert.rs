//! Between the generated types and the host's. What a guest returns is measured here: how many, how long, how precise. What its positions
//! and names mean is checked by the rating, which knows the columns.

use super::generated::exports::rerate::rule::{adjust, charge, check, describe};
use super::generated::rerate::rule::types;
use crate::domain::columns::NULL_CODE;
use crate::domain::money::{self, Amount};
use crate::domain::rule::{
    BillPeriod, Change, Condition, Decision, Finding, IfMissing, Line, Manifest, Plan, Rounding, RuleMoney, Scaled, Severity, Test, Tiered,
    Total, TotalRequest, Treatment,
};
use crate::sandbox::call::RuleFailure;
use crate::sandbox::limits::{COLUMNS, LINES, TEXT_BYTES, Work};

const SCALE: u8 = 18;

/// A period's dates as text, alive as long as the call.
pub(super) struct Days<'a> {
    start: String,
    end: String,
    currency: &'a str,
}

impl<'a> Days<'a> {
    pub(super) fn of(bill: &'a BillPeriod) -> Self {
        Self { start: bill.period.first_day().to_string(), end: bill.period.end().to_string(), currency: &bill.currency }
    }

    pub(super) fn borrow(&self) -> types::Period<'_> {
        types::Period { start: &self.start, end: &self.end, currency: self.currency }
    }
}

/// Totals in columns, which the generated types borrow.
pub(super) struct Totals<'a>(Vec<StagedTotal<'a>>);

struct StagedTotal<'a> {
    rows: usize,
    groups: Vec<(Vec<&'a str>, Vec<u32>)>,
    sums: Vec<(RuleMoney, Vec<u64>)>,
}

impl<'a> Totals<'a> {
    /// The staged totals, and the work that they and the configuration are.
    pub(super) fn stage(config: &str, totals: &'a [Total]) -> (Work, Self) {
        let keys = totals.iter().flat_map(|total| &total.groups).flat_map(|group| &group.keys);
        let bytes = config.len() + keys.flatten().map(String::len).sum::<usize>();
        let work = Work { rows: totals.iter().map(|total| total.groups.len()).sum(), bytes, ..Work::default() };
        (work, Self(totals.iter().map(StagedTotal::new).collect()))
    }

    pub(super) fn lend<R>(&self, body: impl FnOnce(&[types::Total<'_>]) -> R) -> R {
        type Columns<'b> = (usize, Vec<types::Text<'b>>, Vec<types::MoneyParam<'b>>);
        let columns: Vec<Columns<'_>> = self
            .0
            .iter()
            .map(|total| {
                let groups = total.groups.iter().map(|(new_values, codes)| types::Text { new_values, codes }).collect();
                let sums = total.sums.iter().map(|(money, limbs)| lend_money(money, limbs)).collect();
                (total.rows, groups, sums)
            })
            .collect();
        let totals: Vec<types::Total<'_>> = columns
            .iter()
            // A month has fewer groups than rows, and a batch counts rows in 32 bits.
            .map(|(rows, groups, sums)| types::Total { rows: u32::try_from(*rows).unwrap_or(u32::MAX), groups, sums })
            .collect();
        body(&totals)
    }
}

impl<'a> StagedTotal<'a> {
    fn new(total: &'a Total) -> Self {
        let (keys, sums) = total.groups.first().map_or((0, 0), |group| (group.keys.len(), group.sums.len()));
        let groups = (0..keys)
            .map(|position| {
                let mut values: Vec<&str> = total.groups.iter().filter_map(|group| group.keys[position].as_deref()).collect();
                values.sort_unstable();
                values.dedup();
                let code = |key: Option<&str>| {
                    let found = key.and_then(|key| values.binary_search(&key).ok());
                    found.and_then(|code| u32::try_from(code).ok()).unwrap_or(NULL_CODE)
                };
                let codes = total.groups.iter().map(|group| code(group.keys[position].as_deref())).collect();
                (values, codes)
            })
            .collect();
        let sums = (0..sums)
            .map(|position| {
                let column = narrowest(total.groups.iter().map(|group| group.sums[position].0));
                let mut limbs = Vec::new();
                fill_limbs(&column, &mut limbs);
                (column, limbs)
            })
            .collect();
        Self { rows: total.groups.len(), groups, sums }
    }
}

/// Narrow at the smallest scale that loses no digit, when all values fit it; else wide.
fn narrowest(values: impl Iterator<Item = i128> + Clone) -> RuleMoney {
    let mut scale = 0_u8;
    let mut unit = money::ONE;
    for value in values.clone() {
        while value % unit != 0 {
            unit /= 10;
            scale += 1;
        }
    }
    let narrow =
        values.clone().map(|value| i64::try_from(value / unit).ok().filter(|units| *units != i64::MIN)).collect::<Option<Vec<_>>>();
    match narrow {
        Some(units) => RuleMoney::Narrow { scale, units },
        None => RuleMoney::Wide { scale: SCALE, units: values.collect() },
    }
}

/// Two limbs a value, low first. Narrow columns need none.
pub(super) fn fill_limbs(column: &RuleMoney, limbs: &mut Vec<u64>) {
    limbs.clear();
    if let RuleMoney::Wide { units, .. } = column {
        limbs.reserve_exact(units.len() * 2);
        limbs.extend(units.iter().flat_map(|value| split(*value)));
    }
}

/// The low and the high half of the same 128 bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
const fn split(value: i128) -> [u64; 2] {
    let bits = value as u128;
    [bits as u64, (bits >> 64) as u64]
}

#[allow(clippy::cast_possible_wrap)]
const fn join(low: u64, high: u64) -> i128 {
    (((high as u128) << 64) | low as u128) as i128
}

pub(super) fn lend_money<'a>(column: &'a RuleMoney, limbs: &'a [u64]) -> types::MoneyParam<'a> {
    match column {
        RuleMoney::Narrow { scale, units } => types::MoneyParam::Narrow(types::NarrowMoneyParam { scale: *scale, units }),
        RuleMoney::Wide { scale, .. } => types::MoneyParam::Wide(types::WideMoneyParam { scale: *scale, limbs }),
    }
}

/// A column of amounts from a guest: one for each row that it was given.
pub(super) fn money(column: types::MoneyResult, rows: usize) -> Result<RuleMoney, RuleFailure> {
    let (scale, values, remainder) = match &column {
        types::MoneyResult::Narrow(narrow) => (narrow.scale, narrow.units.len(), 0),
        types::MoneyResult::Wide(wide) => (wide.scale, wide.limbs.len() / 2, wide.limbs.len() % 2),
    };
    if values != rows || remainder != 0 {
        return Err(RuleFailure::Shape(format!("`apply` was given {rows} rows and returned {values} amounts")));
    }
    if scale > SCALE {
        return Err(RuleFailure::Shape(format!("`apply` returned amounts with {scale} decimals; at most {SCALE}")));
    }
    Ok(match column {
        types::MoneyResult::Narrow(narrow) => RuleMoney::Narrow { scale, units: narrow.units },
        types::MoneyResult::Wide(wide) => {
            let factor = 10_i128.pow(u32::from(SCALE - scale));
            let units = wide.limbs.chunks_exact(2).map(|limbs| match join(limbs[0], limbs[1]) {
                money::NULL => Ok(money::NULL),
                value => value.checked_mul(factor).ok_or(RuleFailure::Overflow),
            });
            RuleMoney::Wide { scale: SCALE, units: units.collect::<Result<_, _>>()? }
        }
    })
}

fn bounded(text: &str, what: impl FnOnce() -> String) -> Result<(), RuleFailure> {
    if text.len() <= TEXT_BYTES {
        return Ok(());
    }
    Err(RuleFailure::Shape(format!("{} has {} bytes; at most {TEXT_BYTES}", what(), text.len())))
}

pub(super) fn decisions(answer: Vec<adjust::Decision>, combinations: usize) -> Result<Vec<Decision>, RuleFailure> {
    if answer.len() != combinations {
        let found = answer.len();
        return Err(RuleFailure::Shape(format!("`decide` was given {combinations} combinations and returned {found} decisions")));
    }
    for (index, decision) in answer.iter().enumerate() {
        bounded(&decision.reason, || format!("the reason of decision {index}"))?;
        for (position, value) in &decision.relabel {
            bounded(value.as_deref().unwrap_or(""), || format!("label {position} of decision {index}"))?;
        }
    }
    Ok(answer.into_iter().map(Decision::from).collect())
}

impl From<adjust::Decision> for Decision {
    fn from(decision: adjust::Decision) -> Self {
        let treatment = match decision.treatment {
            adjust::Treatment::Keep => Treatment::Keep,
            adjust::Treatment::Drop => Treatment::Drop,
            adjust::Treatment::Hold => Treatment::Hold,
        };
        Self { change: decision.amount.into(), treatment, relabel: decision.relabel, reason: decision.reason }
    }
}

impl From<adjust::Amount> for Change {
    fn from(amount: adjust::Amount) -> Self {
        match amount {
            adjust::Amount::Keep => Self::Keep,
            adjust::Amount::Zero => Self::Zero,
            adjust::Amount::Copied(adjust::Copied { column, if_missing }) => {
                let if_missing = match if_missing {
                    adjust::Missing::Keep => IfMissing::Keep,
                    adjust::Missing::Hold => IfMissing::Hold,
                };
                Self::Copied { column, if_missing }
            }
            adjust::Amount::Scaled(adjust::Scaled { column, rate, digits, rounding }) => {
                Self::Scaled(Scaled { column, rate, digits, rounding: rounding.into() })
            }
            adjust::Amount::Tiered(adjust::Tiered { column, threshold, scale, below, above, digits, rounding }) => {
                Self::Tiered(Tiered { column, threshold, scale, below, above, digits, rounding: rounding.into() })
            }
            adjust::Amount::Custom => Self::Custom,
        }
    }
}

impl From<adjust::Rounding> for Rounding {
    fn from(rounding: adjust::Rounding) -> Self {
        match rounding {
            adjust::Rounding::HalfEven => Self::HalfEven,
            adjust::Rounding::HalfUp => Self::HalfUp,
            adjust::Rounding::Down => Self::Down,
            adjust::Rounding::Up => Self::Up,
        }
    }
}

impl From<describe::Manifest> for Manifest {
    fn from(manifest: describe::Manifest) -> Self {
        let describe::Manifest { name, version, title, summary, config_schema } = manifest;
        Self { name, version, title, summary, config_schema }
    }
}

impl From<types::Failure> for RuleFailure {
    fn from(failure: types::Failure) -> Self {
        match failure {
            types::Failure::Overflow => Self::Overflow,
            types::Failure::Invalid(message) => Self::invalid(&message),
        }
    }
}

pub(super) fn plan(plan: types::Plan) -> Result<Plan, RuleFailure> {
    let lists = [
        ("dimensions", plan.dimensions.len()),
        ("reads", plan.reads.len()),
        ("writes", plan.writes.len()),
        ("applies-to", plan.applies_to.len()),
        ("totals", plan.totals.len()),
    ];
    for (name, found) in lists {
        if found > COLUMNS {
            return Err(RuleFailure::Shape(format!("the plan has {found} entries in `{name}`; at most {COLUMNS}")));
        }
    }
    let totals = plan.totals.into_iter().map(|request| TotalRequest {
        group_by: request.group_by,
        sums: request.sums,
        conditions: conditions(request.where_),
    });
    Ok(Plan {
        dimensions: plan.dimensions,
        reads: plan.reads,
        writes: plan.writes,
        applies_to: conditions(plan.applies_to),
        totals: totals.collect(),
        history: plan.history,
    })
}

fn conditions(conditions: Vec<types::Condition>) -> Vec<Condition> {
    let test = |test| match test {
        types::Test::IsIn(values) => Test::IsIn(values),
        types::Test::NotIn(values) => Test::NotIn(values),
        types::Test::StartsWith(values) => Test::StartsWith(values),
        types::Test::IsNull => Test::IsNull,
        types::Test::NotNull => Test::NotNull,
    };
    conditions.into_iter().map(|condition| Condition { column: condition.column, test: test(condition.test) }).collect()
}

pub(super) fn lines(answer: Vec<charge::Line>) -> Result<Vec<Line>, RuleFailure> {
    if answer.len() > LINES {
        return Err(RuleFailure::Shape(format!("`charge` returned {} lines; at most {LINES}", answer.len())));
    }
    let line = |(index, line): (usize, charge::Line)| {
        bounded(&line.description, || format!("the description of line {index}"))?;
        bounded(&line.reason, || format!("the reason of line {index}"))?;
        let amount = Amount::parse_exact(&line.amount).map_err(|error| {
            let shown: String = line.amount.chars().take(60).collect();
            RuleFailure::Shape(format!("line {index} has the amount {shown:?}: {error}"))
        })?;
        Ok(Line {
            description: line.description,
            charge_category: line.charge_category,
            service_name: line.service_name,
            sub_account_id: line.sub_account_id,
            amount,
            reason: line.reason,
        })
    };
    answer.into_iter().enumerate().map(line).collect()
}

pub(super) fn findings(answer: Vec<check::Finding>) -> Result<Vec<Finding>, RuleFailure> {
    if answer.len() > LINES {
        return Err(RuleFailure::Shape(format!("`check` returned {} findings; at most {LINES}", answer.len())));
    }
    let finding = |(index, finding): (usize, check::Finding)| {
        bounded(&finding.message, || format!("the message of finding {index}"))?;
        let severity = match finding.severity {
            check::Severity::Info => Severity::Info,
            check::Severity::Warning => Severity::Warning,
            check::Severity::Block => Severity::Block,
        };
        Ok(Finding { severity, message: finding.message })
    };
    answer.into_iter().enumerate().map(finding).collect()
}
