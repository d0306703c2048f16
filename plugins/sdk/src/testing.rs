//! Native tests of rules: a table of charges, rated as the daemon would.
//!
//! [`Table`] is small and plain on purpose: it decides once per combination and applies closed forms with the SDK's exact arithmetic,
//! row by row. It is for tests; the daemon has its own kernels. [`golden`] runs a project's folder of golden cases over it.

mod files;
pub mod golden;

use std::collections::BTreeMap;

use crate::decision::{IfMissing, Treatment};
use crate::exact::{Factor, Units};
use crate::session::{NULL_CODE, PlacedAmount, PlacedDecision, Rater, TextColumn, charge, check, configure};
use crate::{
    Adjust, CUSTOMER_COST, Charge, Check, Condition, ConfigError, Earlier, Failure, Finding, Line, Money, MoneyColumn, Period, Rate, Rule,
    Total, TotalGroup, TotalRequest,
};

/// A month in US dollars, for tests that do not care: `period("2026-09")`.
pub fn period(month: &str) -> Period {
    let month: crate::Month = month.parse().unwrap_or_else(|error| panic!("{month}: {error}"));
    Period { start: format!("{month}-01"), end: format!("{}-01", month.next()), currency: "USD".to_owned() }
}

/// Charges by named columns; `""` is null, for text and amounts alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

/// What became of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rated {
    pub customer_cost: Money,
    pub treatment: Treatment,
    /// Empty where the rule did not see the charge.
    pub reason: String,
    /// Columns that were set, by name.
    pub relabelled: BTreeMap<String, Option<String>>,
}

impl Table {
    pub fn new(columns: &[&str], rows: &[&[&str]]) -> Self {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        let row = |row: &&[&str]| {
            assert_eq!(row.len(), columns.len(), "a row has another number of values than the table has columns: {row:?}");
            row.iter().map(|value| (!value.is_empty()).then(|| (*value).to_owned())).collect()
        };
        let rows = rows.iter().map(row).collect();
        Self { columns, rows }
    }

    fn text(&self, row: usize, column: &str) -> Option<&str> {
        let position = self.columns.iter().position(|name| name == column)?;
        self.rows[row][position].as_deref()
    }

    fn money(&self, row: usize, column: &str) -> Option<Money> {
        let text = self.text(row, column).or_else(|| (column == CUSTOMER_COST).then(|| self.text(row, "BilledCost")).flatten());
        text.map(|text| text.parse().unwrap_or_else(|error| panic!("{column} of row {row}: {error}")))
    }

    fn selects(&self, row: usize, conditions: &[Condition]) -> bool {
        conditions.iter().all(|condition| condition.test.holds(self.text(row, &condition.column)))
    }

    /// What the tenant is charged for a row before any rule: `x_CustomerCost`, else `BilledCost`, else zero.
    fn cost(&self, row: usize) -> Money {
        self.money(row, CUSTOMER_COST).unwrap_or_default()
    }

    /// The answer to a rule's request for totals.
    pub fn total(&self, request: &TotalRequest) -> Total {
        let mut groups: BTreeMap<Vec<Option<String>>, Vec<Money>> = BTreeMap::new();
        for row in (0..self.rows.len()).filter(|row| self.selects(*row, &request.conditions)) {
            let keys = request.group_by.iter().map(|column| self.text(row, column).map(str::to_owned)).collect();
            let sums = groups.entry(keys).or_insert_with(|| vec![Money::ZERO; request.sums.len()]);
            for (sum, column) in sums.iter_mut().zip(&request.sums) {
                let amount = self.money(row, column).unwrap_or_default();
                *sum = sum.plus(amount).unwrap_or_else(|error| panic!("{column}: {error}"));
            }
        }
        if groups.is_empty() && request.group_by.is_empty() {
            groups.insert(Vec::new(), vec![Money::ZERO; request.sums.len()]);
        }
        Total { groups: groups.into_iter().map(|(keys, sums)| TotalGroup { keys, sums }).collect() }
    }

    fn totals<R: Rule>(&self, config: &str, period: &Period) -> Result<Vec<Total>, ConfigError> {
        Ok(configure::<R>(config, period)?.totals.iter().map(|request| self.total(request)).collect())
    }

    /// Rates the table by an adjusting rule, in September 2026.
    ///
    /// # Errors
    /// When the rule refuses its configuration or fails.
    pub fn rate<R: Adjust>(&self, config: &str) -> Result<Vec<Rated>, Failure> {
        self.rate_in::<R>(config, &period("2026-09"))
    }

    /// Rates the table by an adjusting rule.
    ///
    /// # Errors
    /// When the rule refuses its configuration or fails.
    pub fn rate_in<R: Adjust>(&self, config: &str, period: &Period) -> Result<Vec<Rated>, Failure> {
        Ok(self.rate_rows::<R>(config, period)?.into_iter().map(|(rated, _)| rated).collect())
    }

    /// As [`Table::rate_in`], and whether each charge carries the rule's mark: one that it only looked at does not.
    fn rate_rows<R: Adjust>(&self, config: &str, period: &Period) -> Result<Vec<(Rated, bool)>, Failure> {
        let refused = |error: ConfigError| Failure::invalid(error.to_string());
        let plan = configure::<R>(config, period).map_err(refused)?;
        let totals = self.totals::<R>(config, period).map_err(refused)?;
        golden::enter("open");
        let mut rater = Rater::<R>::open(config, period, &totals)?;
        let selected: Vec<usize> = (0..self.rows.len()).filter(|row| self.selects(*row, &plan.applies_to)).collect();

        let mut combinations: Vec<Vec<Option<&str>>> = Vec::new();
        let mut slots = vec![0_u32; self.rows.len()];
        for row in &selected {
            let values: Vec<_> = plan.dimensions.iter().map(|column| self.text(*row, column)).collect();
            let slot = combinations.iter().position(|known| *known == values).unwrap_or_else(|| {
                combinations.push(values);
                combinations.len() - 1
            });
            slots[*row] = u32::try_from(slot).unwrap_or(u32::MAX);
        }
        golden::enter("decide");
        let decisions = if selected.is_empty() { Vec::new() } else { rater.decide(dictionaries(plan.dimensions.len(), &combinations))? };

        golden::enter("apply");
        let untouched =
            |row| Rated { customer_cost: self.cost(row), treatment: Treatment::Keep, reason: String::new(), relabelled: BTreeMap::new() };
        let mut rated: Vec<(Rated, bool)> = (0..self.rows.len()).map(|row| (untouched(row), false)).collect();
        for row in selected {
            let decision = &decisions[slots[row] as usize];
            let reads: Vec<Option<Money>> = plan.reads.iter().map(|column| self.money(row, column)).collect();
            let answer = outcome(&rater, decision, slots[row], &reads)?;
            let treatment = if answer == Answer::Missing(IfMissing::Hold) { Treatment::Hold } else { decision.treatment };
            let flag = if matches!(answer, Answer::Missing(_)) { ": the amount is missing" } else { "" };
            let customer_cost = if let Answer::Amount(money) = answer { money } else { rated[row].0.customer_cost };
            let customer_cost = if treatment == Treatment::Drop { Money::ZERO } else { customer_cost };
            let relabel = decision.relabel.iter().map(|(column, value)| (plan.writes[usize::from(*column)].clone(), value.clone()));
            let kept = answer == Answer::Nothing && decision.treatment == Treatment::Keep && decision.relabel.is_empty();
            let relabelled = relabel.collect();
            rated[row] = (Rated { customer_cost, treatment, reason: format!("{}{flag}", decision.reason), relabelled }, !kept);
        }
        Ok(rated)
    }

    /// The lines that a charging rule adds.
    ///
    /// # Errors
    /// When the rule refuses its configuration or fails.
    pub fn charge<R: Charge>(&self, config: &str, period: &Period, earlier: &[Earlier]) -> Result<Vec<Line>, Failure> {
        let totals = self.totals::<R>(config, period).map_err(|error| Failure::invalid(error.to_string()))?;
        charge::<R>(config, period, &totals, earlier)
    }

    /// The findings of a checking rule.
    ///
    /// # Errors
    /// When the rule refuses its configuration or fails.
    pub fn check<R: Check>(&self, config: &str, period: &Period) -> Result<Vec<Finding>, Failure> {
        let totals = self.totals::<R>(config, period).map_err(|error| Failure::invalid(error.to_string()))?;
        check::<R>(config, period, &totals)
    }
}

/// The sum of what the tenant is charged; what was dropped costs nothing.
///
/// # Panics
/// When the sum leaves the range.
pub fn charged(rated: &[Rated]) -> Money {
    rated.iter().fold(Money::ZERO, |sum, row| sum.plus(row.customer_cost).unwrap_or_else(|error| panic!("{error}")))
}

/// A column a dimension, with all values new.
fn dictionaries(dimensions: usize, combinations: &[Vec<Option<&str>>]) -> Vec<TextColumn> {
    let column = |dimension: usize| {
        let mut column = TextColumn::default();
        for combination in combinations {
            let code = combination[dimension].map_or(NULL_CODE, |value| {
                column.new_values.push(value.to_owned());
                u32::try_from(column.new_values.len() - 1).unwrap_or(NULL_CODE)
            });
            column.codes.push(code);
        }
        column
    };
    (0..dimensions).map(column).collect()
}

/// What a decision says of one row's amount.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Amount(Money),
    Missing(IfMissing),
    /// Null: it leaves the amount alone.
    Nothing,
}

fn outcome<R: Adjust>(rater: &Rater<R>, decision: &PlacedDecision, slot: u32, reads: &[Option<Money>]) -> Result<Answer, Failure> {
    let read = |column: u8| reads[usize::from(column)];
    let money = match decision.amount {
        PlacedAmount::Keep => None,
        PlacedAmount::Zero => Some(Money::ZERO),
        PlacedAmount::Copied { column, if_missing } => match read(column).filter(|money| !money.is_zero()) {
            None => return Ok(Answer::Missing(if_missing)),
            money => money,
        },
        PlacedAmount::Scaled { column, rate, digits, rounding } => {
            read(column).map(|money| money.times(Rate::from_billionths(rate), digits, rounding)).transpose()?
        }
        PlacedAmount::Tiered { column, threshold, scale, below, above, digits, rounding } => match read(column) {
            Some(money) => {
                let threshold = i128::from(threshold).raised(18 - scale)?;
                let lower = money.units().min(threshold);
                let exact = |units: i128, rate: i64| units.times(&Factor::of(Rate::from_billionths(rate)), 18, 18, rounding);
                let sum = exact(lower, below)?.plus(exact(money.units() - lower, above)?)?;
                Some(Money::from_units(sum).times(Rate::ONE, digits, rounding)?)
            }
            None => None,
        },
        PlacedAmount::Custom => custom(rater, slot, reads)?,
    };
    Ok(money.map_or(Answer::Nothing, Answer::Amount))
}

/// Row logic, narrow where the amounts fit and wide where it says overflow, as the daemon asks.
fn custom<R: Adjust>(rater: &Rater<R>, slot: u32, reads: &[Option<Money>]) -> Result<Option<Money>, Failure> {
    const NARROW_SCALE: u8 = 10;
    let narrow: Option<Vec<MoneyColumn>> = reads
        .iter()
        .map(|read| {
            let units = read.map_or(Ok(i64::NULL), |money| i64::of_money(money.units(), NARROW_SCALE)).ok()?;
            Some(MoneyColumn::Narrow { scale: NARROW_SCALE, units: vec![units] })
        })
        .collect();
    let wide = || {
        let column = |read: &Option<Money>| MoneyColumn::wide(18, &[read.map_or(i128::NULL, Money::units)]);
        rater.apply(&[slot], reads.iter().map(column).collect())
    };
    let answer = match narrow.map(|reads| rater.apply(&[slot], reads)) {
        None | Some(Err(Failure::Overflow)) => wide()?,
        Some(answer) => answer?,
    };
    let (scale, units) = match answer {
        MoneyColumn::Narrow { scale, units } => (scale, (units[0] != i64::NULL).then(|| i128::from(units[0]))),
        MoneyColumn::Wide { scale, limbs } => (scale, MoneyColumn::wide_units(&limbs).next().filter(|units| *units != i128::NULL)),
    };
    Ok(units.map(|units| units.raised(18 - scale).map(Money::from_units)).transpose()?)
}

/// The lines that rules wrote on this thread since the last time, at most a hundred. In a component there are none: the host has them.
pub fn logged() -> Vec<String> {
    #[cfg(not(target_arch = "wasm32"))]
    return crate::log::take();
    #[cfg(target_arch = "wasm32")]
    Vec::new()
}
