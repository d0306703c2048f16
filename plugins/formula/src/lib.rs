//! Conditions and exact arithmetic that an administrator writes as text: no compiler, no deployment.
//!
//! The language is in `docs/formula.md`. A configuration is read into cases; each case's texts are parsed ([`parse`]), checked for names,
//! types and size ([`check`]), and, once the text of a combination of charges is known, folded to what depends on amounts alone
//! ([`fold`]). What is then a share of one column is a closed form of the daemon; the rest is computed for each charge ([`compute`]).
//! Conditions that the daemon can filter by are handed to it, so that other charges are never looked at.
//!
//! # Why a language of our own
//! GoRules' zen-expression 2.1.6 was looked at first. It brings chrono-tz, a regular expression engine, serde_json, fastrand and ahash into
//! a component that has no clock and no randomness; its numbers are rust_decimal's, with 28 digits where an amount has 38 and 18 of
//! them decimals, and it takes powers through floats; it rounds each operation where a bill must round once, with a name; and it does not
//! tell money from text before it runs. A formula here is a few tables and a recursive descent, exact in 512 bits, rounded where it says.
//!
//! What it deliberately has not: loops, variables, dates, regular expressions, totals of the bill, and any rounding that is not written down.

mod check;
mod columns;
mod compute;
mod config;
mod fold;
mod lex;
mod linear;
mod number;
mod parse;
mod plan;
mod problem;
mod program;
mod syntax;
mod wide;

use std::borrow::Cow;
use std::collections::HashMap;

use rerate_rule::{
    About, Adjust, Amount, CUSTOMER_COST, Combination, ConfigError, Decision, Failure, Field, Kind, Overflow, Period, Plan, Row, Rule,
    Total, Units,
};

use columns::NUMBERS;
use compute::Amounts;
pub use config::Config;
use config::{Case, Round, cut};
use number::{Int, SCALE, Value};
use program::{Number, Test};
use wide::Wide;

/// Bytes of a decision's reason, which may name several cases.
const REASON_BYTES_MAX: usize = 480;

/// The columns that exist for a formula, for the test that holds them against the daemon's.
#[doc(hidden)]
pub mod known {
    pub use crate::columns::{DERIVED, NUMBERS, TEXTS, Unit, WITHHELD, WRITABLE};
}

pub struct Formula {
    cases: Vec<Case>,
    round: Round,
    /// Columns of amounts in the order of the plan's `reads`.
    places: Vec<u8>,
    /// Row logic: each that was needed, once.
    branches: Vec<Vec<Branch>>,
    known: HashMap<Vec<Branch>, u32>,
    /// A slot's place in `branches`.
    slots: Vec<u32>,
}

/// An amount and when it is taken; none keeps the charge as it was.
type Branch = (Test, Option<Number>);

const CASE: [Field; 5] = [
    Field::optional("when", Kind::Text, "A condition; absent takes every charge."),
    Field::optional("amount", Kind::Text, "What the tenant is charged, as a formula; absent keeps the amount."),
    Field::defaulted("set", Kind::Map(&Kind::Text), "{}", "Text columns to set, each to a formula of text."),
    Field::defaulted(
        "treatment",
        Kind::Choice(&["keep", "drop", "hold"]),
        "\"keep\"",
        "Drop: not charged and not seen. Hold: a person must look.",
    ),
    Field::optional("reason", Kind::Text, "Why, for the charge's provenance; absent shows the formula."),
];

impl Rule for Formula {
    type Config = Config;

    const ABOUT: About = About {
        name: "formula",
        version: env!("CARGO_PKG_VERSION"),
        title: "Formula",
        summary: "Conditions and exact arithmetic over a charge's columns, written as text.",
        config: &[
            CASE[0],
            CASE[1],
            CASE[2],
            CASE[3],
            CASE[4],
            Field::defaulted("cases", Kind::List(&Kind::Object(&CASE)), "[]", "Several, tried in order; the first that holds is taken."),
            Field::defaulted(
                "round",
                Kind::Object(&[
                    Field::defaulted("digits", Kind::UpTo(SCALE), "18", "Decimals of the amount."),
                    Field::defaulted("mode", Kind::Choice(&["half-even", "half-up", "down", "up"]), "\"half-even\"", "How."),
                ]),
                "{}",
                "The last step of every amount, and the only one that rounds unless the formula says round or div.",
            ),
            Field::conditions(),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        Ok(plan::of(config, config::cases(config)?)?.plan)
    }
}

impl Adjust for Formula {
    fn open(config: Config, _: &Period, _: &[Total]) -> Result<Self, Failure> {
        let refused = |error: ConfigError| Failure::invalid(error.to_string());
        let planned = plan::of(&config, config::cases(&config).map_err(refused)?).map_err(refused)?;
        Ok(Self {
            cases: planned.cases,
            round: config.round,
            places: planned.places,
            branches: Vec::new(),
            known: HashMap::new(),
            slots: Vec::new(),
        })
    }

    fn decide(&mut self, charge: &Combination<'_>) -> Decision {
        let texts = |column: &str| charge.get(column);
        let mut branches: Vec<Branch> = Vec::new();
        let mut reasons: Vec<&str> = Vec::new();
        let mut treatment = rerate_rule::Treatment::Keep;
        let mut relabel = Vec::new();
        for case in &self.cases {
            let test = case.when.as_ref().map_or(Test::Known(true), |when| when.folded(&texts));
            if test == Test::Known(false) {
                continue;
            }
            if !reasons.contains(&case.reason.as_str()) {
                reasons.push(&case.reason);
            }
            let certain = test == Test::Known(true);
            branches.push((test, case.amount.as_ref().map(|amount| amount.folded(&texts))));
            if certain {
                treatment = case.treatment.into();
                relabel.extend(case.set.iter().map(|(column, text)| (column.clone().into(), text.value(&texts).map(Cow::into_owned))));
                break;
            }
        }
        let reason = cut(&reasons.join(" or "), REASON_BYTES_MAX);
        let amount = match branches.as_slice() {
            [] => Amount::Keep,
            [(Test::Known(true), amount)] => self.closed(amount.as_ref()).unwrap_or(Amount::Custom),
            _ => Amount::Custom,
        };
        let kept = branches.is_empty();
        let slot = if amount == Amount::Custom { self.branch(branches) } else { 0 };
        self.slots.push(slot);
        Decision { amount, treatment, relabel, reason: if kept { String::new() } else { reason }.into() }
    }

    fn apply<N: Units>(&self, slot: u32, row: &Row<'_, N>) -> Result<Option<N>, Failure> {
        let branches = &self.branches[self.slots[slot as usize] as usize];
        let amounts = Amounts { row, places: &self.places };
        // Every number has a bound that 512 bits hold; what is left to overflow there is the amount itself.
        let units = match self.amount::<i128, N>(&amounts, branches) {
            Err(Overflow) => self.amount::<Wide, N>(&amounts, branches)?,
            Ok(units) => units,
        };
        Ok(units.map(N::of_i128).transpose()?)
    }
}

impl Formula {
    /// The form in which the daemon computes the amount itself, if there is one.
    fn closed(&self, amount: Option<&Number>) -> Option<Amount> {
        let Round { digits, mode } = self.round;
        let number = match amount {
            None | Some(Number::Null) => return Some(Amount::Keep),
            Some(Number::Literal(number)) if number.units == 0 => return Some(Amount::Zero),
            Some(number) => number,
        };
        let linear::Share { column, rate } = linear::share(number)?;
        let column = NUMBERS[usize::from(column)].0;
        if column == CUSTOMER_COST && rate == rerate_rule::Rate::ONE && digits == SCALE {
            return Some(Amount::Keep);
        }
        Some(Amount::Scaled { column: column.into(), rate, digits, rounding: mode.rounding() })
    }

    fn branch(&mut self, branches: Vec<Branch>) -> u32 {
        if let Some(place) = self.known.get(&branches) {
            return *place;
        }
        let place = u32::try_from(self.branches.len()).unwrap_or(u32::MAX);
        self.branches.push(branches.clone());
        self.known.insert(branches, place);
        place
    }

    /// The first branch that holds, rounded once, in the row's units.
    fn amount<I: Int, N: Units>(&self, amounts: &Amounts<'_, N>, branches: &[Branch]) -> Result<Option<i128>, Overflow> {
        for (test, number) in branches {
            if amounts.holds::<I>(test)? {
                let Some(number) = number else { return Ok(None) };
                let value: Option<Value<I>> = amounts.number(number)?;
                let rounded = value.map(|value| value.rounded(self.round.digits, self.round.mode.rounding())).transpose()?;
                return rounded.map(|value| value.at_scale(amounts.row.scale())).transpose();
            }
        }
        Ok(None)
    }
}

rerate_rule::export!(adjust Formula);

#[cfg(test)]
mod tests;
