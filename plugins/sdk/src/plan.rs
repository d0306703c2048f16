//! What a rule is told of the bill, and what it says that it needs.

use crate::condition::Condition;
use crate::money::Money;
use crate::month::Month;

/// The bill that is being rated: first day and the day after the last (`YYYY-MM-DD`), and its currency (ISO 4217).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    pub start: String,
    pub end: String,
    pub currency: String,
}

impl Period {
    /// # Errors
    /// When the daemon sent no date.
    pub fn month(&self) -> Result<Month, String> {
        self.start.get(..7).unwrap_or_default().parse()
    }
}

/// Sums that the daemon computes over the charges as the rules before left them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalRequest {
    /// Text columns to group by; none asks for one grand total.
    pub group_by: Vec<String>,
    /// Money columns to add up.
    pub sums: Vec<String>,
    /// All hold.
    pub conditions: Vec<Condition>,
}

impl TotalRequest {
    /// The sum of one money column over the charges that `conditions` select.
    pub fn grand(column: &str, conditions: impl Into<Vec<Condition>>) -> Self {
        Self { group_by: Vec::new(), sums: vec![column.to_owned()], conditions: conditions.into() }
    }
}

/// The answer to a [`TotalRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub groups: Vec<TotalGroup>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalGroup {
    /// In the order of `group_by`.
    pub keys: Vec<Option<String>>,
    /// In the order of `sums`.
    pub sums: Vec<Money>,
}

impl Total {
    /// The first sum of the first group: the answer to [`TotalRequest::grand`]. Zero where no charge matched.
    pub fn grand(&self) -> Money {
        self.groups.first().and_then(|group| group.sums.first()).copied().unwrap_or_default()
    }
}

/// What a rule needs and touches under one configuration. The daemon enforces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Text columns that decisions depend on. The fewer, the faster: the work grows with their distinct combinations.
    pub dimensions: Vec<String>,
    /// Money columns that decisions name, and that row logic is given in this order.
    pub reads: Vec<String>,
    /// Text columns that decisions may relabel.
    pub writes: Vec<String>,
    /// Charges that the rule sees at all; all hold.
    pub applies_to: Vec<Condition>,
    pub totals: Vec<TotalRequest>,
    /// Whether the rule wants to know what it charged in earlier periods.
    pub history: bool,
}

impl Plan {
    #[must_use]
    pub fn dimensions(mut self, columns: &[&str]) -> Self {
        self.dimensions = owned(columns);
        self
    }

    #[must_use]
    pub fn reads(mut self, columns: &[&str]) -> Self {
        self.reads = owned(columns);
        self
    }

    #[must_use]
    pub fn writes(mut self, columns: &[&str]) -> Self {
        self.writes = owned(columns);
        self
    }

    #[must_use]
    pub fn applies_to(mut self, conditions: impl Into<Vec<Condition>>) -> Self {
        self.applies_to = conditions.into();
        self
    }

    #[must_use]
    pub fn total(mut self, request: TotalRequest) -> Self {
        self.totals.push(request);
        self
    }

    #[must_use]
    pub fn history(mut self, wanted: bool) -> Self {
        self.history = wanted;
        self
    }
}

fn owned(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|column| (*column).to_owned()).collect()
}
