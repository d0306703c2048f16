//! The canonical charge: the names and kinds of its columns, FOCUS 1.2 plus what rating needs.
//!
//! A bill's other columns travel as text columns named `x_Native.<source column>`; a tag is read as `Tags.<key>`, which is not stored but
//! taken from the JSON text of `Tags`.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Text,
    Money,
    Time,
}

/// Prefix of the source's own columns.
pub const NATIVE_PREFIX: &str = "x_Native.";
/// Prefix of a single tag.
pub const TAG_PREFIX: &str = "Tags.";

/// What the tenant is charged: starts as `BilledCost` (null as zero) and is what rules change.
pub const CUSTOMER_COST: &str = "x_CustomerCost";
/// The currency of a bill that names none (ISO 4217: no currency involved).
pub const NO_CURRENCY: &str = "XXX";
/// `keep`, `drop` or `hold`.
pub const TREATMENT: &str = "x_Treatment";
/// JSON list of the rules that changed the charge, each with its reason.
pub const APPLIED_RULES: &str = "x_AppliedRules";
/// What the tenant's bill calls the line: `x_SourceLineType` until a rule relabels it.
pub const LINE_TYPE: &str = "x_LineType";
/// Whose commitment priced the line, seen from the tenant: `tenant`, `payer`, `other-tenant` or `unknown`; null without a commitment.
/// Derived from `x_CommitmentOwnerAccountId` when a tenant is rated.
pub const COMMITMENT_OWNER: &str = "x_CommitmentOwner";

/// The stored columns of a charge, in the order in which they are written. Every stored charge has all of them, null where the source
/// has no such column.
pub const STORED: &[(&str, Kind)] = &[
    ("BillingAccountId", Kind::Text),
    ("BillingAccountName", Kind::Text),
    ("SubAccountId", Kind::Text),
    ("SubAccountName", Kind::Text),
    ("InvoiceId", Kind::Text),
    ("InvoiceIssuerName", Kind::Text),
    ("ServiceProviderName", Kind::Text),
    ("HostProviderName", Kind::Text),
    ("BillingPeriodStart", Kind::Time),
    ("BillingPeriodEnd", Kind::Time),
    ("ChargePeriodStart", Kind::Time),
    ("ChargePeriodEnd", Kind::Time),
    ("BillingCurrency", Kind::Text),
    ("ChargeCategory", Kind::Text),
    ("ChargeClass", Kind::Text),
    ("ChargeFrequency", Kind::Text),
    ("ChargeDescription", Kind::Text),
    ("ServiceCategory", Kind::Text),
    ("ServiceSubcategory", Kind::Text),
    ("ServiceName", Kind::Text),
    ("SkuId", Kind::Text),
    ("SkuPriceId", Kind::Text),
    ("SkuMeter", Kind::Text),
    ("RegionId", Kind::Text),
    ("RegionName", Kind::Text),
    ("AvailabilityZone", Kind::Text),
    ("ResourceId", Kind::Text),
    ("ResourceName", Kind::Text),
    ("ResourceType", Kind::Text),
    ("Tags", Kind::Text),
    ("PricingCategory", Kind::Text),
    ("PricingQuantity", Kind::Money),
    ("PricingUnit", Kind::Text),
    ("ConsumedQuantity", Kind::Money),
    ("ConsumedUnit", Kind::Text),
    ("ListUnitPrice", Kind::Money),
    ("ContractedUnitPrice", Kind::Money),
    ("ListCost", Kind::Money),
    ("ContractedCost", Kind::Money),
    ("BilledCost", Kind::Money),
    ("EffectiveCost", Kind::Money),
    ("CommitmentDiscountId", Kind::Text),
    ("CommitmentDiscountName", Kind::Text),
    ("CommitmentDiscountCategory", Kind::Text),
    ("CommitmentDiscountType", Kind::Text),
    ("CommitmentDiscountStatus", Kind::Text),
    ("x_SourceFormat", Kind::Text),
    ("x_SourceLineType", Kind::Text),
    ("x_SourceRowKey", Kind::Text),
    ("x_CommitmentOwnerAccountId", Kind::Text),
    ("x_BillingEntity", Kind::Text),
    ("x_DiscountBreakdown", Kind::Text),
    ("x_ServiceCode", Kind::Text),
    ("x_UsageType", Kind::Text),
    ("x_Operation", Kind::Text),
    ("x_ProductFamily", Kind::Text),
];

/// Columns that exist only in a rated charge.
pub const RATED: &[(&str, Kind)] = &[
    (CUSTOMER_COST, Kind::Money),
    (TREATMENT, Kind::Text),
    (LINE_TYPE, Kind::Text),
    (COMMITMENT_OWNER, Kind::Text),
    (APPLIED_RULES, Kind::Text),
];

/// What people are shown of a rated charge when they do not say which columns they want. The first ten tell nothing of what was billed or
/// how it was treated.
pub const SHOWN: [&str; 13] = [
    "SubAccountId",
    "ChargePeriodStart",
    "ChargeCategory",
    "ServiceName",
    "x_UsageType",
    "RegionId",
    "ResourceId",
    "ChargeDescription",
    "PricingQuantity",
    "PricingUnit",
    "BilledCost",
    CUSTOMER_COST,
    TREATMENT,
];

/// How many of [`SHOWN`] a tenant may see.
pub const SHOWN_TO_TENANTS: usize = 10;

/// What a tenant may see of a charge: what was used, where and when, and what it is charged for it. Nothing that tells what was billed to the
/// MSP, at which price, under which commitment, or what rules made of it.
pub const TENANT: &[&str] = &[
    "SubAccountId",
    "SubAccountName",
    "ServiceProviderName",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "BillingCurrency",
    "ChargeCategory",
    "ChargeFrequency",
    "ChargeDescription",
    "ServiceCategory",
    "ServiceSubcategory",
    "ServiceName",
    "SkuId",
    "SkuMeter",
    "RegionId",
    "RegionName",
    "AvailabilityZone",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "Tags",
    "PricingQuantity",
    "PricingUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "x_UsageType",
    CUSTOMER_COST,
];

/// Whether a tenant may see a column.
pub fn is_for_tenants(name: &str) -> bool {
    name.starts_with(TAG_PREFIX) || TENANT.contains(&name)
}

/// Text columns that a rule may relabel: how the tenant's bill describes the line. Identity, accounts, period, currency and
/// everything named `x_Source...` belong to the source and stay.
pub const RELABELLABLE: &[&str] = &[
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
    LINE_TYPE,
];

/// The kind of a column by its name; `None` for a name that no charge has. Native columns and tags are text.
pub fn kind_of(name: &str) -> Option<Kind> {
    if name.starts_with(TAG_PREFIX) || name.starts_with(NATIVE_PREFIX) {
        return Some(Kind::Text);
    }
    STORED.iter().chain(RATED).find(|(n, _)| *n == name).map(|(_, kind)| *kind)
}
