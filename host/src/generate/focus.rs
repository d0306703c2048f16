//! The columns of FOCUS 1.2 as Azure exports them, and what each line puts into them.

use super::catalogue::Nature;
use super::columns::{Cell, Column, Row, Stored, Value};
use super::decimal::{Units, percent};
use super::fleet::CommitmentKind;
use super::line::{Line, LineType};
use super::lines::EDP_PERCENT;

const fn text(name: &'static str, value: Value) -> Column {
    Column { cur2: name, legacy: "", stored: Stored::Text, value }
}

const fn number(name: &'static str, value: Value) -> Column {
    Column { cur2: name, legacy: "", stored: Stored::Double, value }
}

const fn time(name: &'static str, value: Value) -> Column {
    Column { cur2: name, legacy: "", stored: Stored::Time, value }
}

fn optional(text: &str) -> Cell<'_> {
    if text.is_empty() { Cell::Empty } else { Cell::Free(text) }
}

fn category(line: &Line<'_>) -> &'static str {
    match line.kind {
        LineType::Tax => "Tax",
        LineType::Credit => "Credit",
        LineType::Refund => "Adjustment",
        LineType::Fee
        | LineType::FlatRateSubscription
        | LineType::RIFee
        | LineType::SavingsPlanRecurringFee
        | LineType::SavingsPlanUpfrontFee => "Purchase",
        _ => "Usage",
    }
}

fn is_covered(line: &Line<'_>) -> bool {
    matches!(line.kind, LineType::SavingsPlanCoveredUsage | LineType::DiscountedUsage)
}

fn is_commitment_purchase(line: &Line<'_>) -> bool {
    category(line) == "Purchase" && line.commitment.is_some()
}

/// The enterprise price: what Azure would charge without a commitment.
fn contracted(line: &Line<'_>) -> Units {
    match line.kind {
        _ if is_covered(line) => line.list_cost - percent(line.list_cost, EDP_PERCENT),
        LineType::UnusedCommitment => 0,
        _ => line.billed(),
    }
}

fn list_cost(line: &Line<'_>) -> Units {
    match line.kind {
        // Azure writes 0, which means missing, on purchases of commitments.
        _ if is_commitment_purchase(line) => 0,
        LineType::Tax | LineType::Credit | LineType::Refund => line.billed(),
        _ => line.list_cost,
    }
}

fn effective(line: &Line<'_>) -> Units {
    match line.kind {
        _ if is_covered(line) || line.kind == LineType::UnusedCommitment => line.amounts.effective,
        _ if is_commitment_purchase(line) => 0,
        _ => line.billed(),
    }
}

fn is_usage(line: &Line<'_>) -> bool {
    category(line) == "Usage"
}

fn commitment<'a>(line: &Line<'a>, text: fn(&'a super::fleet::Commitment) -> &'a str) -> Cell<'a> {
    line.commitment.map_or(Cell::Empty, |c| Cell::Text(text(c)))
}

pub(super) const COLUMNS: &[Column] = &[
    text("ProviderName", |_, _| Cell::Text("Microsoft")),
    text("PublisherName", |l, _| Cell::Text(if l.sku.meter.nature == Nature::Marketplace { l.sku.meter.product } else { "Microsoft" })),
    text("InvoiceIssuerName", |_, r| Cell::Free(&r.bill.legal_entity)),
    text("InvoiceId", |l, r| optional(r.bill.invoice(l))),
    text("BillingAccountId", |_, r| Cell::Text(&r.bill.payer.id)),
    text("BillingAccountName", |_, r| Cell::Free(&r.bill.payer.name)),
    text("BillingAccountType", |_, _| Cell::Text("Billing Profile")),
    text("SubAccountId", |l, _| Cell::Text(&l.account.id)),
    text("SubAccountName", |l, _| Cell::Free(&l.account.name)),
    text("SubAccountType", |_, _| Cell::Text("Subscription")),
    time("BillingPeriodStart", |_, r| Cell::Time(&r.bill.month.start, r.bill.month.start_seconds)),
    time("BillingPeriodEnd", |_, r| Cell::Time(&r.bill.month.end, r.bill.month.end_seconds)),
    time("ChargePeriodStart", |l, _| Cell::Time(&l.span.start, l.span.start_seconds)),
    time("ChargePeriodEnd", |l, _| Cell::Time(&l.span.end, l.span.end_seconds)),
    text("ChargeCategory", |l, _| Cell::Text(category(l))),
    text("ChargeClass", |l, _| if l.kind == LineType::Refund { Cell::Text("Correction") } else { Cell::Empty }),
    text("ChargeDescription", |l, _| Cell::Free(l.description)),
    text("ChargeFrequency", |l, _| {
        Cell::Text(match l.kind {
            _ if is_usage(l) => "Usage-Based",
            LineType::RIFee | LineType::SavingsPlanRecurringFee | LineType::FlatRateSubscription => "Recurring",
            _ => "One-Time",
        })
    }),
    number("BilledCost", |l, _| Cell::Plain(l.billed())),
    number("EffectiveCost", |l, _| Cell::Plain(effective(l))),
    number("ListCost", |l, _| Cell::Plain(list_cost(l))),
    number("ContractedCost", |l, _| Cell::Plain(contracted(l))),
    number("ListUnitPrice", |l, _| if is_usage(l) { Cell::Plain(l.sku.public_rate) } else { Cell::Empty }),
    number("ContractedUnitPrice", |l, _| match l.rate {
        Some(rate) if l.discount != 0 => Cell::Plain(rate - percent(rate, EDP_PERCENT)),
        Some(rate) if is_usage(l) => Cell::Plain(rate),
        _ => Cell::Empty,
    }),
    text("PricingCategory", |l, _| match (category(l), l.sku.meter.nature) {
        ("Usage", _) if l.commitment.is_some() => Cell::Text("Committed"),
        ("Usage", Nature::Spot) => Cell::Text("Dynamic"),
        ("Usage" | "Purchase", _) => Cell::Text("Standard"),
        _ => Cell::Empty,
    }),
    number("PricingQuantity", |l, _| Cell::Plain(l.quantity)),
    text("PricingUnit", |l, _| if is_usage(l) { Cell::Text(l.sku.meter.unit) } else { Cell::Empty }),
    text("BillingCurrency", |_, r| Cell::Text(r.bill.currency)),
    number("ConsumedQuantity", |l, _| if is_usage(l) { Cell::Plain(l.quantity) } else { Cell::Empty }),
    text("ConsumedUnit", |l, _| if is_usage(l) { Cell::Text(l.sku.meter.unit) } else { Cell::Empty }),
    text("ServiceName", |l, _| Cell::Free(l.sku.meter.product)),
    text("ServiceCategory", |l, _| Cell::Free(l.sku.meter.category.0)),
    text("ServiceSubcategory", |l, _| Cell::Free(l.sku.meter.category.1)),
    text("SkuId", |l, _| Cell::Text(&l.sku.sku)),
    text("SkuMeter", |l, _| Cell::Free(&l.sku.usage_type)),
    text("SkuPriceId", |l, _| Cell::Text(&l.sku.rate_code)),
    text("ResourceId", |l, _| optional(l.resource)),
    text("ResourceName", |l, _| optional(l.resource.rsplit('/').next().unwrap_or(""))),
    text("ResourceType", |l, _| if l.resource.is_empty() { Cell::Empty } else { Cell::Free(l.sku.meter.family) }),
    text("RegionId", |l, _| Cell::Text(l.sku.region.id)),
    text("RegionName", |l, _| Cell::Free(l.sku.region.name)),
    text("AvailabilityZone", |l, _| optional(l.zone)),
    text("CommitmentDiscountId", |l, _| commitment(l, |c| &c.id)),
    text("CommitmentDiscountName", |l, _| commitment(l, |c| c.id.rsplit('/').next().unwrap_or(""))),
    text("CommitmentDiscountCategory", |l, _| commitment(l, |c| if c.kind == CommitmentKind::SavingsPlan { "Spend" } else { "Usage" })),
    text("CommitmentDiscountType", |l, _| {
        commitment(l, |c| if c.kind == CommitmentKind::SavingsPlan { "Savings Plan" } else { "Reservation" })
    }),
    text("CommitmentDiscountStatus", |l, _| match l.kind {
        LineType::UnusedCommitment => Cell::Text("Unused"),
        _ if is_covered(l) => Cell::Text("Used"),
        _ => Cell::Empty,
    }),
    Column { cur2: "Tags", legacy: "", stored: Stored::TextMap, value: |l, _| Cell::Map(&l.tags.azure) },
    text("x_SkuMeterCategory", |l, _| Cell::Free(l.sku.meter.service)),
    text("x_CostAllocationRuleName", |_: &Line<'_>, _: &Row<'_>| Cell::Empty),
];
