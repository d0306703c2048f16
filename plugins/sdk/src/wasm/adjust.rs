use std::cell::RefCell;

use super::adjusting::exports::rerate::rule::adjust::{self as wit, Guest, GuestRater};
use super::describing::rerate::rule::types;
use super::{Component, convert};
use crate::session::{self, PlacedAmount, PlacedDecision};
use crate::{Adjust, IfMissing, Rounding, Treatment};

pub struct Rater<R>(RefCell<session::Rater<R>>);

impl<R: Adjust> Guest for Component<R> {
    type Rater = Rater<R>;
}

impl<R: Adjust> GuestRater for Rater<R> {
    fn open(config: String, period: types::Period, totals: Vec<types::Total>) -> Result<wit::Rater, types::Failure> {
        let totals = convert::totals(totals).map_err(convert::failure)?;
        let rater = session::Rater::<R>::open(&config, &convert::period(period), &totals).map_err(convert::failure)?;
        Ok(wit::Rater::new(Self(RefCell::new(rater))))
    }

    fn decide(&self, dimensions: Vec<types::Text>) -> Result<Vec<wit::Decision>, types::Failure> {
        let dimensions = dimensions.into_iter().map(convert::text).collect();
        let decisions = self.0.borrow_mut().decide(dimensions).map_err(convert::failure)?;
        Ok(decisions.into_iter().map(decision).collect())
    }

    fn apply(&self, slots: Vec<u32>, reads: Vec<types::Money>) -> Result<types::Money, types::Failure> {
        let reads = reads.into_iter().map(convert::money).collect();
        self.0.borrow().apply(&slots, reads).map(convert::to_money).map_err(convert::failure)
    }
}

fn decision(decision: PlacedDecision) -> wit::Decision {
    wit::Decision {
        amount: amount(decision.amount),
        treatment: match decision.treatment {
            Treatment::Keep => wit::Treatment::Keep,
            Treatment::Drop => wit::Treatment::Drop,
            Treatment::Hold => wit::Treatment::Hold,
        },
        relabel: decision.relabel,
        reason: decision.reason,
    }
}

fn amount(amount: PlacedAmount) -> wit::Amount {
    match amount {
        PlacedAmount::Keep => wit::Amount::Keep,
        PlacedAmount::Zero => wit::Amount::Zero,
        PlacedAmount::Custom => wit::Amount::Custom,
        PlacedAmount::Copied { column, if_missing } => {
            let if_missing = match if_missing {
                IfMissing::Keep => wit::Missing::Keep,
                IfMissing::Hold => wit::Missing::Hold,
            };
            wit::Amount::Copied(wit::Copied { column, if_missing })
        }
        PlacedAmount::Scaled { column, rate, digits, rounding: mode } => {
            wit::Amount::Scaled(wit::Scaled { column, rate, digits, rounding: rounding(mode) })
        }
        PlacedAmount::Tiered { column, threshold, scale, below, above, digits, rounding: mode } => {
            wit::Amount::Tiered(wit::Tiered { column, threshold, scale, below, above, digits, rounding: rounding(mode) })
        }
    }
}

fn rounding(rounding: Rounding) -> wit::Rounding {
    match rounding {
        Rounding::HalfEven => wit::Rounding::HalfEven,
        Rounding::HalfUp => wit::Rounding::HalfUp,
        Rounding::Down => wit::Rounding::Down,
        Rounding::Up => wit::Rounding::Up,
    }
}
