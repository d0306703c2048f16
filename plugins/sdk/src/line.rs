//! The kinds of charges that re-rating tells apart, found in a charge's columns.
//!
//! AWS bills (`x_SourceFormat` is `cur` or `cur2`) are told apart by their line type, everything else by its FOCUS columns, to which the
//! other formats are normalised.

use crate::rule::Combination;

const SOURCE_FORMAT: &str = "x_SourceFormat";
const SOURCE_LINE_TYPE: &str = "x_SourceLineType";
const BILLING_ENTITY: &str = "x_BillingEntity";
const CHARGE_CATEGORY: &str = "ChargeCategory";
const CHARGE_CLASS: &str = "ChargeClass";
const PRICING_CATEGORY: &str = "PricingCategory";
const COMMITMENT_ID: &str = "CommitmentDiscountId";
const COMMITMENT_STATUS: &str = "CommitmentDiscountStatus";

/// The columns that [`LineKind::of`] looks at: dimensions of a rule that uses it.
pub const LINE_KIND_COLUMNS: [&str; 8] =
    [SOURCE_FORMAT, SOURCE_LINE_TYPE, BILLING_ENTITY, CHARGE_CATEGORY, CHARGE_CLASS, PRICING_CATEGORY, COMMITMENT_ID, COMMITMENT_STATUS];

/// What a charge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Usage at the provider's ordinary price.
    Usage,
    /// Usage at a changing price: spot.
    Spot,
    /// Usage that a commitment priced and that is billed at nothing: its bill amount is no price.
    Covered,
    /// Usage that a savings plan priced, billed at its public price and netted by a [`LineKind::Negation`].
    CoveredAndNetted,
    /// Takes the public price of covered usage off the bill again.
    Negation,
    /// What a commitment costs: upfront, monthly, or its unused part.
    CommitmentFee,
    /// A fee or a subscription of an AWS bill, without a commitment; it has no public price.
    Fee,
    /// Another provider's purchase without a commitment.
    Purchase,
    Marketplace,
    /// A discount that the provider gives the payer: EDP, private rates, volume, partner.
    PayerDiscount,
    /// A public offer that bundles a discount.
    BundledDiscount,
    Tax,
    Credit,
    /// Money back, and other adjustments.
    Refund,
    /// Corrects a period before this one.
    Correction,
    /// A line that an earlier rule of the chain added: no provider's bill has it.
    Added,
    /// Nothing that is known: a person must look.
    Unknown,
}

impl LineKind {
    pub fn of(charge: &Combination<'_>) -> Self {
        match charge.get(SOURCE_FORMAT) {
            Some("cur" | "cur2") => Self::of_cur(charge),
            Some(_) => Self::of_focus(charge),
            None => Self::Added,
        }
    }

    fn of_cur(charge: &Combination<'_>) -> Self {
        let has_commitment = charge.get(COMMITMENT_ID).is_some();
        match charge.get(SOURCE_LINE_TYPE) {
            Some("Usage") if charge.get(BILLING_ENTITY) == Some("AWS Marketplace") => Self::Marketplace,
            Some("Usage") if charge.get(PRICING_CATEGORY) == Some("Dynamic") => Self::Spot,
            Some("Usage") => Self::Usage,
            Some("DiscountedUsage") => Self::Covered,
            Some("SavingsPlanCoveredUsage") => Self::CoveredAndNetted,
            Some("SavingsPlanNegation") => Self::Negation,
            Some("SavingsPlanRecurringFee" | "SavingsPlanUpfrontFee" | "RIFee") => Self::CommitmentFee,
            Some("Fee") if has_commitment => Self::CommitmentFee,
            Some("Fee" | "FlatRateSubscription") => Self::Fee,
            Some("EdpDiscount" | "PrivateRateDiscount" | "SppDiscount" | "DistributorDiscount" | "RiVolumeDiscount") => Self::PayerDiscount,
            Some("BundledDiscount") => Self::BundledDiscount,
            Some("Tax") => Self::Tax,
            Some("Credit") => Self::Credit,
            Some("Refund") => Self::Refund,
            _ => Self::Unknown,
        }
    }

    fn of_focus(charge: &Combination<'_>) -> Self {
        let category = charge.get(CHARGE_CATEGORY);
        match category {
            Some("Tax") => return Self::Tax,
            Some("Usage" | "Purchase" | "Credit" | "Adjustment") => {}
            _ => return Self::Unknown,
        }
        if charge.get(CHARGE_CLASS) == Some("Correction") {
            return Self::Correction;
        }
        let status = charge.get(COMMITMENT_STATUS);
        let pricing = charge.get(PRICING_CATEGORY);
        match category {
            Some("Credit") => Self::Credit,
            Some("Adjustment") => Self::Refund,
            Some("Purchase") if charge.get(COMMITMENT_ID).is_some() => Self::CommitmentFee,
            Some("Purchase") => Self::Purchase,
            _ if status == Some("Unused") => Self::CommitmentFee,
            _ if status == Some("Used") || pricing == Some("Committed") => Self::Covered,
            _ if pricing == Some("Dynamic") => Self::Spot,
            _ => Self::Usage,
        }
    }
}
