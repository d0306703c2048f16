//! One line of a bill before it has a format: what happened, in numbers and references into the fleet.

use super::decimal::Units;
use super::fleet::{Commitment, Sku};
use super::organisation::{Account, Tags};

/// CUR's line item types, and one that only FOCUS has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineType {
    Usage,
    SavingsPlanCoveredUsage,
    SavingsPlanNegation,
    SavingsPlanRecurringFee,
    SavingsPlanUpfrontFee,
    DiscountedUsage,
    RIFee,
    Fee,
    FlatRateSubscription,
    EdpDiscount,
    PrivateRateDiscount,
    RiVolumeDiscount,
    BundledDiscount,
    SppDiscount,
    DistributorDiscount,
    Discount,
    Credit,
    Refund,
    Tax,
    /// The unused part of a commitment, a line of its own in FOCUS.
    UnusedCommitment,
}

impl LineType {
    pub const ALL: [Self; 20] = [
        Self::Usage,
        Self::SavingsPlanCoveredUsage,
        Self::SavingsPlanNegation,
        Self::SavingsPlanRecurringFee,
        Self::SavingsPlanUpfrontFee,
        Self::DiscountedUsage,
        Self::RIFee,
        Self::Fee,
        Self::FlatRateSubscription,
        Self::EdpDiscount,
        Self::PrivateRateDiscount,
        Self::RiVolumeDiscount,
        Self::BundledDiscount,
        Self::SppDiscount,
        Self::DistributorDiscount,
        Self::Discount,
        Self::Credit,
        Self::Refund,
        Self::Tax,
        Self::UnusedCommitment,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "Usage",
            Self::SavingsPlanCoveredUsage => "SavingsPlanCoveredUsage",
            Self::SavingsPlanNegation => "SavingsPlanNegation",
            Self::SavingsPlanRecurringFee => "SavingsPlanRecurringFee",
            Self::SavingsPlanUpfrontFee => "SavingsPlanUpfrontFee",
            Self::DiscountedUsage => "DiscountedUsage",
            Self::RIFee => "RIFee",
            Self::Fee => "Fee",
            Self::FlatRateSubscription => "FlatRateSubscription",
            Self::EdpDiscount => "EdpDiscount",
            Self::PrivateRateDiscount => "PrivateRateDiscount",
            Self::RiVolumeDiscount => "RiVolumeDiscount",
            Self::BundledDiscount => "BundledDiscount",
            Self::SppDiscount => "SppDiscount",
            Self::DistributorDiscount => "DistributorDiscount",
            Self::Discount => "Discount",
            Self::Credit => "Credit",
            Self::Refund => "Refund",
            Self::Tax => "Tax",
            Self::UnusedCommitment => "UnusedCommitment",
        }
    }
}

/// From when to when, as the formats write it.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub(super) start_seconds: i64,
    pub(super) end_seconds: i64,
    /// `2026-09-01T00:00:00.000Z`
    pub(super) start: String,
    pub(super) end: String,
    /// `2026-09-01T00:00:00Z/2026-09-01T01:00:00Z`
    pub(super) interval: String,
}

impl Span {
    pub(super) fn new(start_seconds: i64, end_seconds: i64) -> Self {
        let text = |seconds: i64| jiff::Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default();
        let (start, end) = (text(start_seconds), text(end_seconds));
        let interval = format!("{start}/{end}");
        let millis = |text: String| text.replace('Z', ".000Z");
        Self { start_seconds, end_seconds, start: millis(start), end: millis(end), interval }
    }
}

/// Columns that only commitment lines fill.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CommitmentAmounts {
    /// What the covered usage costs under the commitment.
    pub(super) effective: Units,
    /// Of `effective`, what was paid upfront.
    pub(super) upfront_part: Units,
    pub(super) total: Units,
    pub(super) used: Units,
    pub(super) recurring_fee: Units,
    pub(super) amortized_fee: Units,
    pub(super) unused_recurring: Units,
    pub(super) unused_upfront: Units,
    pub(super) unused_quantity: Units,
}

#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    pub(super) kind: LineType,
    pub(super) account: &'a Account,
    pub(super) sku: &'a Sku,
    pub(super) resource: &'a str,
    pub(super) tags: &'a Tags,
    pub(super) zone: &'a str,
    pub(super) span: &'a Span,
    pub(super) description: &'a str,
    pub(super) quantity: Units,
    /// `None` where the provider writes no rate: taxes, fees, discounts.
    pub(super) rate: Option<Units>,
    pub(super) cost: Units,
    pub(super) list_cost: Units,
    /// A discount in columns: negative; zero where there is none.
    pub(super) discount: Units,
    pub(super) commitment: Option<&'a Commitment>,
    pub(super) amounts: CommitmentAmounts,
    pub(super) tax_type: &'static str,
}

impl Line<'_> {
    /// What the provider charges for the line; a split-cost copy counts in no total.
    pub(super) fn billed(&self) -> Units {
        if self.is_split_cost() { 0 } else { self.cost + self.discount }
    }

    pub(super) fn is_split_cost(&self) -> bool {
        self.sku.meter.nature == super::catalogue::Nature::SplitCost
    }
}
