//! A rule as the daemon drives it: configuration as text, columns by position, dictionaries that grow.
//!
//! The component's exports are a thin coat of conversions over this, so what native tests drive is what runs in the sandbox.

use crate::charge::{Earlier, Finding, Line};
use crate::config::ConfigError;
use crate::decision::{Amount, Decision, IfMissing, Treatment};
use crate::exact::Rounding;
use crate::json;
use crate::money::Money;
use crate::plan::{Period, Plan, Total};
use crate::row::{Batch, MoneyColumn};
use crate::rule::{Adjust, Charge, Check, Combination, Failure, Rule};

/// The code of null in a [`TextColumn`].
pub const NULL_CODE: u32 = u32::MAX;

/// Values not sent before, then one code a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumn {
    pub new_values: Vec<String>,
    pub codes: Vec<u32>,
}

/// [`Amount`] with columns by their position in the plan's `reads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacedAmount {
    Keep,
    Zero,
    Copied { column: u8, if_missing: IfMissing },
    Scaled { column: u8, rate: i64, digits: u8, rounding: Rounding },
    Tiered { column: u8, threshold: i64, scale: u8, below: i64, above: i64, digits: u8, rounding: Rounding },
    Custom,
}

/// A [`Decision`] with columns by their position in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedDecision {
    pub amount: PlacedAmount,
    pub treatment: Treatment,
    pub relabel: Vec<(u8, Option<String>)>,
    pub reason: String,
}

/// Checks a configuration and says what the rule needs under it.
///
/// # Errors
/// With a pointer to what is wrong.
pub fn configure<R: Rule>(config: &str, period: &Period) -> Result<Plan, ConfigError> {
    R::plan(&json::read(config)?, period)
}

fn configured<R: Rule>(config: &str) -> Result<R::Config, Failure> {
    json::read(config).map_err(|error| Failure::invalid(error.to_string()))
}

/// # Errors
/// As the rule's.
pub fn charge<R: Charge>(config: &str, period: &Period, totals: &[Total], earlier: &[Earlier]) -> Result<Vec<Line>, Failure> {
    R::charge(configured::<R>(config)?, period, totals, earlier)
}

/// # Errors
/// As the rule's.
pub fn check<R: Check>(config: &str, period: &Period, totals: &[Total]) -> Result<Vec<Finding>, Failure> {
    R::check(configured::<R>(config)?, period, totals)
}

/// An adjusting rule while it rates one bill.
pub struct Rater<R> {
    rule: R,
    plan: Plan,
    /// Values sent so far, a list a dimension.
    values: Vec<Vec<String>>,
    slots: u32,
}

impl<R: Adjust> Rater<R> {
    /// # Errors
    /// When the configuration or the rule itself refuses.
    pub fn open(config: &str, period: &Period, totals: &[Total]) -> Result<Self, Failure> {
        let config = configured::<R>(config)?;
        let plan = R::plan(&config, period).map_err(|error| Failure::invalid(error.to_string()))?;
        let rule = R::open(config, period, totals)?;
        let values = vec![Vec::new(); plan.dimensions.len()];
        Ok(Self { rule, plan, values, slots: 0 })
    }

    /// One code a dimension for each new combination. A plan without dimensions has one combination, asked for once.
    ///
    /// # Errors
    /// When a decision names a column that is not in the plan.
    pub fn decide(&mut self, dimensions: Vec<TextColumn>) -> Result<Vec<PlacedDecision>, Failure> {
        if dimensions.len() != self.values.len() {
            return Err(Failure::invalid("the daemon sent other dimensions than the plan's"));
        }
        let mut codes = Vec::with_capacity(dimensions.len());
        for (values, column) in self.values.iter_mut().zip(dimensions) {
            values.extend(column.new_values);
            codes.push(column.codes);
        }
        let count = codes.first().map_or(1, Vec::len);
        if codes.iter().any(|column| column.len() != count) {
            return Err(Failure::invalid("the daemon sent dimensions of different lengths"));
        }
        let mut decisions = Vec::with_capacity(count);
        let mut combination: Vec<Option<&str>> = Vec::with_capacity(codes.len());
        for index in 0..count {
            combination.clear();
            for (values, codes) in self.values.iter().zip(&codes) {
                combination.push(value(values, codes[index])?);
            }
            let charge = Combination { names: &self.plan.dimensions, values: &combination, slot: self.slots };
            decisions.push(place(self.rule.decide(&charge), &self.plan)?);
            self.slots += 1;
        }
        Ok(decisions)
    }

    /// Row logic: the slots and the plan's `reads` of rows whose decision is `custom`.
    ///
    /// # Errors
    /// [`Failure::Overflow`] asks for the same rows wide.
    pub fn apply(&self, slots: &[u32], reads: Vec<MoneyColumn>) -> Result<MoneyColumn, Failure> {
        Ok(match Batch::of(reads)? {
            Batch::Narrow(rows) => {
                let units = rows.apply(slots, |slot, row| self.rule.apply(slot, row))?;
                MoneyColumn::Narrow { scale: rows.scale, units }
            }
            Batch::Wide(rows) => {
                let limbs = rows.apply(slots, |slot, row| self.rule.apply(slot, row))?;
                MoneyColumn::Wide { scale: rows.scale, limbs }
            }
        })
    }
}

fn value(values: &[String], code: u32) -> Result<Option<&str>, Failure> {
    if code == NULL_CODE {
        return Ok(None);
    }
    match values.get(code as usize) {
        Some(value) => Ok(Some(value)),
        None => Err(Failure::invalid("the daemon sent a code without its value")),
    }
}

fn place(decision: Decision, plan: &Plan) -> Result<PlacedDecision, Failure> {
    let read = |column: &str| position(&plan.reads, column, "read");
    let amount = match decision.amount {
        Amount::Keep => PlacedAmount::Keep,
        Amount::Zero => PlacedAmount::Zero,
        Amount::Custom => PlacedAmount::Custom,
        Amount::Copied { column, if_missing } => PlacedAmount::Copied { column: read(&column)?, if_missing },
        Amount::Scaled { column, rate, digits, rounding } => {
            PlacedAmount::Scaled { column: read(&column)?, rate: rate.billionths(), digits, rounding }
        }
        Amount::Tiered { column, threshold, below, above, digits, rounding } => {
            let (threshold, scale) = shortest(threshold).ok_or(Failure::Overflow)?;
            let (below, above) = (below.billionths(), above.billionths());
            PlacedAmount::Tiered { column: read(&column)?, threshold, scale, below, above, digits, rounding }
        }
    };
    let relabel = decision.relabel.into_iter().map(|(column, value)| Ok((position(&plan.writes, &column, "write")?, value)));
    Ok(PlacedDecision {
        amount,
        treatment: decision.treatment,
        relabel: relabel.collect::<Result<_, Failure>>()?,
        reason: decision.reason.into_owned(),
    })
}

fn position(planned: &[String], column: &str, verb: &str) -> Result<u8, Failure> {
    let position = planned.iter().position(|name| name == column).and_then(|position| u8::try_from(position).ok());
    position.ok_or_else(|| Failure::invalid(format!("decides on {column}, which its plan does not {verb}")))
}

/// An amount in as few units as it needs, and their scale.
fn shortest(money: Money) -> Option<(i64, u8)> {
    let (mut units, mut scale) = (money.units(), 18);
    while scale > 0 && units % 10 == 0 {
        units /= 10;
        scale -= 1;
    }
    i64::try_from(units).ok().map(|units| (units, scale))
}
