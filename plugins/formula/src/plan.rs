//! What a configuration needs of the daemon, and what of its conditions the daemon can filter by.

use rerate_rule::{CUSTOMER_COST, Condition, ConfigError, Plan};

use crate::columns::NUMBERS;
use crate::config::{Case, Config};
use crate::program::{Test, Text, TextTest};

/// Text columns that decisions may depend on, as the daemon allows.
const DIMENSIONS_MAX: usize = 64;

pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// Without the conditions that the plan applies.
    pub(crate) cases: Vec<Case>,
    /// Columns of amounts in the order of the plan's `reads`.
    pub(crate) places: Vec<u8>,
}

/// # Errors
/// When it looks at more than the daemon gives one rule.
pub(crate) fn of(config: &Config, mut cases: Vec<Case>) -> Result<Planned, ConfigError> {
    let mut applies_to: Vec<Condition> = config.conditions.clone().into();
    // With several cases, a charge that one of them leaves alone may be another's.
    if let [case] = cases.as_mut_slice() {
        case.when = case.when.take().and_then(|when| pushed_down(when, &mut applies_to));
    }
    let (mut dimensions, mut places, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    for case in &cases {
        if let Some(when) = &case.when {
            when.columns(&mut dimensions);
            when.amounts(&mut places);
        }
        if let Some(amount) = &case.amount {
            amount.columns(&mut dimensions);
            amount.amounts(&mut places);
        }
        for (column, text) in &case.set {
            text.columns(&mut dimensions);
            if !writes.contains(column) {
                writes.push(column.clone());
            }
        }
    }
    if dimensions.len() > DIMENSIONS_MAX {
        return Err(ConfigError::whole(format!("looks at {} text columns; the most is {DIMENSIONS_MAX}", dimensions.len())));
    }
    places.sort_unstable();
    let mut reads: Vec<String> = places.iter().map(|place| NUMBERS[usize::from(*place)].0.to_owned()).collect();
    if reads.is_empty() {
        // A constant amount is row logic too, and rows without a column have no width to be repeated in.
        reads.push(CUSTOMER_COST.to_owned());
    }
    let plan = Plan { dimensions, reads, writes, applies_to, ..Plan::default() };
    Ok(Planned { plan, cases, places })
}

/// Takes out of a condition what the daemon tests in the same way; the rest, if any, stays.
fn pushed_down(when: Test, conditions: &mut Vec<Condition>) -> Option<Test> {
    let parts = match when {
        Test::All(parts) => parts,
        other => vec![other],
    };
    let mut left = Vec::new();
    for part in parts {
        if matches!(part, Test::All(_)) {
            left.extend(pushed_down(part, conditions));
            continue;
        }
        match part {
            Test::Known(true) => {}
            Test::Text(test) => match filter(&test) {
                Some(condition) => conditions.push(condition),
                None => left.push(Test::Text(test)),
            },
            other => left.push(other),
        }
    }
    match left.len() {
        0 => None,
        1 => left.pop(),
        _ => Some(Test::All(left)),
    }
}

/// The same test as a condition of the contract: one column and literals.
fn filter(test: &TextTest) -> Option<Condition> {
    let column = |value: &Text| if let Text::Column(name) = value { Some(name.clone()) } else { None };
    let literals = |list: &[Text]| {
        let literal = |item: &Text| if let Text::Literal(text) = item { Some(text.clone()) } else { None };
        list.iter().map(literal).collect::<Option<Vec<_>>>()
    };
    let (column, test) = match test {
        TextTest::In(value, list) => (column(value)?, rerate_rule::Test::IsIn(literals(list)?)),
        TextTest::NotIn(value, list) => (column(value)?, rerate_rule::Test::NotIn(literals(list)?)),
        TextTest::StartsWith(value, list) => (column(value)?, rerate_rule::Test::StartsWith(literals(list)?)),
        TextTest::Null(value) => (column(value)?, rerate_rule::Test::IsNull),
        TextTest::NotNull(value) => (column(value)?, rerate_rule::Test::NotNull),
        TextTest::EndsWith(..) | TextTest::Contains(..) => return None,
    };
    Some(Condition { column, test })
}
