//! Generated types to the SDK's own and back.

use super::describing::rerate::rule::types as wit;
use crate::session::TextColumn;
use crate::{Condition, ConfigError, Failure, Money, MoneyColumn, Period, Plan, Test, Total, TotalGroup, TotalRequest};

pub(super) fn period(period: wit::Period) -> Period {
    Period { start: period.start, end: period.end, currency: period.currency }
}

pub(super) fn failure(failure: Failure) -> wit::Failure {
    match failure {
        Failure::Overflow => wit::Failure::Overflow,
        Failure::Invalid(message) => wit::Failure::Invalid(message),
    }
}

pub(super) fn config_error(error: ConfigError) -> wit::ConfigError {
    wit::ConfigError { pointer: error.pointer, message: error.message }
}

fn conditions(conditions: Vec<Condition>) -> Vec<wit::Condition> {
    conditions
        .into_iter()
        .map(|condition| wit::Condition {
            column: condition.column,
            test: match condition.test {
                Test::IsIn(list) => wit::Test::IsIn(list),
                Test::NotIn(list) => wit::Test::NotIn(list),
                Test::StartsWith(list) => wit::Test::StartsWith(list),
                Test::IsNull => wit::Test::IsNull,
                Test::NotNull => wit::Test::NotNull,
            },
        })
        .collect()
}

pub(super) fn plan(plan: Plan) -> wit::Plan {
    let request = |request: TotalRequest| wit::TotalRequest {
        group_by: request.group_by,
        sums: request.sums,
        where_: conditions(request.conditions),
    };
    wit::Plan {
        dimensions: plan.dimensions,
        reads: plan.reads,
        writes: plan.writes,
        applies_to: conditions(plan.applies_to),
        totals: plan.totals.into_iter().map(request).collect(),
        history: plan.history,
    }
}

pub(super) fn text(text: wit::Text) -> TextColumn {
    TextColumn { new_values: text.new_values, codes: text.codes }
}

pub(super) fn money(money: wit::Money) -> MoneyColumn {
    match money {
        wit::Money::Narrow(narrow) => MoneyColumn::Narrow { scale: narrow.scale, units: narrow.units },
        wit::Money::Wide(wide) => MoneyColumn::Wide { scale: wide.scale, limbs: wide.limbs },
    }
}

pub(super) fn to_money(money: MoneyColumn) -> wit::Money {
    match money {
        MoneyColumn::Narrow { scale, units } => wit::Money::Narrow(wit::NarrowMoney { scale, units }),
        MoneyColumn::Wide { scale, limbs } => wit::Money::Wide(wit::WideMoney { scale, limbs }),
    }
}

pub(super) fn totals(totals: Vec<wit::Total>) -> Result<Vec<Total>, Failure> {
    totals.into_iter().map(total).collect()
}

fn total(total: wit::Total) -> Result<Total, Failure> {
    let malformed = || Failure::invalid("the daemon sent a malformed total");
    let mut groups = vec![TotalGroup::default(); total.rows as usize];
    for column in total.groups {
        if column.codes.len() != groups.len() {
            return Err(malformed());
        }
        for (group, code) in groups.iter_mut().zip(column.codes) {
            group.keys.push(column.new_values.get(code as usize).cloned());
        }
    }
    for sum in total.sums {
        let (scale, units) = match money(sum) {
            MoneyColumn::Narrow { scale, units } => (scale, units.into_iter().map(i128::from).collect::<Vec<i128>>()),
            MoneyColumn::Wide { scale, limbs } => (scale, MoneyColumn::wide_units(&limbs).collect()),
        };
        let up = 18_u32.checked_sub(scale.into()).map(|exponent| 10_i128.pow(exponent)).ok_or_else(malformed)?;
        if units.len() != groups.len() {
            return Err(malformed());
        }
        for (group, units) in groups.iter_mut().zip(units) {
            group.sums.push(Money::from_units(units.checked_mul(up).ok_or(Failure::Overflow)?));
        }
    }
    Ok(Total { groups })
}
