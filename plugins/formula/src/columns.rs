//! The columns that a formula may name. A component cannot ask the daemon, so the names are here; a test holds them against the
//! daemon's own.

/// What the numbers of a column count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A literal: goes with either of the others.
    Plain,
    Money,
    /// Quantities and ratios.
    Number,
}

/// Columns of amounts; formulas are compiled to positions in this list.
pub const NUMBERS: [(&str, Unit); 9] = [
    ("PricingQuantity", Unit::Number),
    ("ConsumedQuantity", Unit::Number),
    ("ListUnitPrice", Unit::Money),
    ("ContractedUnitPrice", Unit::Money),
    ("ListCost", Unit::Money),
    ("ContractedCost", Unit::Money),
    ("BilledCost", Unit::Money),
    ("EffectiveCost", Unit::Money),
    ("x_CustomerCost", Unit::Money),
];

pub const TEXTS: [&str; 45] = [
    "BillingAccountId",
    "BillingAccountName",
    "SubAccountId",
    "SubAccountName",
    "InvoiceId",
    "InvoiceIssuerName",
    "ServiceProviderName",
    "HostProviderName",
    "BillingCurrency",
    "ChargeCategory",
    "ChargeClass",
    "ChargeFrequency",
    "ChargeDescription",
    "ServiceCategory",
    "ServiceSubcategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
    "SkuMeter",
    "RegionId",
    "RegionName",
    "AvailabilityZone",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "Tags",
    "PricingCategory",
    "PricingUnit",
    "ConsumedUnit",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountCategory",
    "CommitmentDiscountType",
    "CommitmentDiscountStatus",
    "x_SourceFormat",
    "x_SourceLineType",
    "x_SourceRowKey",
    "x_CommitmentOwnerAccountId",
    "x_BillingEntity",
    "x_DiscountBreakdown",
    "x_ServiceCode",
    "x_UsageType",
    "x_Operation",
    "x_ProductFamily",
    "x_LineType",
];

/// Text that the daemon derives for the tenant.
pub const DERIVED: [&str; 1] = ["x_CommitmentOwner"];

/// Columns that exist and that no rule is given.
pub const WITHHELD: [(&str, &str); 6] = [
    ("BillingPeriodStart", "times are not given to rules"),
    ("BillingPeriodEnd", "times are not given to rules"),
    ("ChargePeriodStart", "times are not given to rules"),
    ("ChargePeriodEnd", "times are not given to rules"),
    ("x_Treatment", "what became of a charge is a result, not a column to ask"),
    ("x_AppliedRules", "what became of a charge is a result, not a column to ask"),
];

/// Text that a rule may set.
pub const WRITABLE: [&str; 14] = [
    "ChargeCategory",
    "ChargeClass",
    "ChargeFrequency",
    "ChargeDescription",
    "ServiceCategory",
    "ServiceSubcategory",
    "ServiceName",
    "PricingCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountCategory",
    "CommitmentDiscountType",
    "CommitmentDiscountStatus",
    "x_LineType",
];

pub(crate) fn is_text(name: &str) -> bool {
    let keyed = ["Tags.", "x_Native."].iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix));
    keyed || TEXTS.contains(&name) || DERIVED.contains(&name)
}

/// Position in [`NUMBERS`] and unit.
pub(crate) fn number(name: &str) -> Option<(u8, Unit)> {
    (0_u8..).zip(NUMBERS).find(|(_, (known, _))| *known == name).map(|(position, (_, unit))| (position, unit))
}

/// All that a formula may name, for suggestions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NUMBERS.into_iter().map(|(name, _)| name).chain(TEXTS).chain(DERIVED)
}
