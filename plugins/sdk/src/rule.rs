//! The traits that a rule's author implements.

use serde::de::DeserializeOwned;

use crate::charge::{Earlier, Finding, Line};
use crate::config::ConfigError;
use crate::decision::Decision;
use crate::exact::{Overflow, Units};
use crate::plan::{Period, Plan, Total};
use crate::row::Row;
use crate::schema::Field;

/// What a rule says of itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Lower case with hyphens: what a chain calls the plugin.
    pub name: &'static str,
    /// `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    pub title: &'static str,
    pub summary: &'static str,
    /// The configuration's fields, from which its JSON Schema is written.
    pub config: &'static [Field],
}

/// Why a rule cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An amount left the range; on narrow rows the daemon repeats the batch wide.
    Overflow,
    /// The tenant's run fails with this message.
    Invalid(String),
}

impl Failure {
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}

impl From<Overflow> for Failure {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Overflow => Overflow.fmt(f),
            Self::Invalid(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

/// A billing rule: its configuration and what it needs under one.
pub trait Rule: Sized + 'static {
    /// Derive `serde::Deserialize` with `deny_unknown_fields`; [`Money`](crate::Money), [`Percent`](crate::Percent),
    /// [`Month`](crate::Month) and [`Where`](crate::Where) read themselves.
    type Config: DeserializeOwned;

    const ABOUT: About;

    /// Checks the configuration beyond what its types say, and names the columns that the rule reads and writes.
    ///
    /// # Errors
    /// With a pointer to what is wrong.
    fn plan(config: &Self::Config, period: &Period) -> Result<Plan, ConfigError>;
}

/// Changes charges: re-rating, markup, exclusion. One value lives as long as the daemon feeds it batches of one bill.
pub trait Adjust: Rule {
    /// `totals` answers the plan's requests, in their order.
    ///
    /// # Errors
    /// When the bill cannot be rated under this configuration.
    fn open(config: Self::Config, period: &Period, totals: &[Total]) -> Result<Self, Failure>;

    /// Decides for all charges that share a combination of the plan's dimensions. Called once for each combination, in order of
    /// [`Combination::slot`].
    fn decide(&mut self, charge: &Combination<'_>) -> Decision;

    /// Row logic: the customer amount of one row whose decision was `custom`, or `None` to leave it as it was. Written once for both
    /// widths of [`Units`].
    ///
    /// # Errors
    /// [`Failure::Overflow`] by the arithmetic of [`Row`]; the daemon then repeats the batch wide.
    fn apply<N: Units>(&self, slot: u32, row: &Row<'_, N>) -> Result<Option<N>, Failure> {
        let _ = (slot, row);
        Err(Failure::invalid("decides `custom` but has no row logic: implement Adjust::apply"))
    }
}

/// Adds charges: fees, credits, percentages, minimum commitments.
pub trait Charge: Rule {
    /// `totals` answers the plan's requests in their order; `earlier` is empty unless the plan asks for history, oldest first.
    ///
    /// # Errors
    /// When the lines cannot be computed.
    fn charge(config: Self::Config, period: &Period, totals: &[Total], earlier: &[Earlier]) -> Result<Vec<Line>, Failure>;
}

/// Reads the outcome and reports findings; changes nothing.
pub trait Check: Rule {
    /// # Errors
    /// When the outcome cannot be judged.
    fn check(config: Self::Config, period: &Period, totals: &[Total]) -> Result<Vec<Finding>, Failure>;
}

/// One combination of the values of the plan's dimensions.
#[derive(Clone, Copy, Debug)]
pub struct Combination<'a> {
    pub(crate) names: &'a [String],
    pub(crate) values: &'a [Option<&'a str>],
    pub(crate) slot: u32,
}

impl<'a> Combination<'a> {
    /// The value of one of the plan's dimensions; null, like a column that the plan does not name, is `None`.
    pub fn get(&self, column: &str) -> Option<&'a str> {
        let position = self.names.iter().position(|name| name == column);
        debug_assert!(position.is_some(), "{column} is not among the plan's dimensions");
        position.and_then(|position| self.values[position])
    }

    /// Numbers combinations from zero; [`Adjust::apply`] is given it for each row.
    pub const fn slot(&self) -> u32 {
        self.slot
    }
}
