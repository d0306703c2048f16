//! The columns of AWS's two report formats, and what each line puts into them.
//!
//! One list for both: a column has its CUR 2.0 name (also that of legacy Parquet) and its legacy CSV name, or only one of them.

use super::catalogue::Nature;
use super::decimal::Units;
use super::fleet::CommitmentKind;
use super::line::{Line, LineType};
use super::organisation::{Pairs, TAG_KEYS};
use super::{BillFacts, organisation::Discounts};

/// A value on its way into a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Empty,
    /// Text that never needs quoting: ids, codes, enumerations.
    Text(&'a str),
    /// Text that may hold commas and quotes.
    Free(&'a str),
    Double(Units),
    /// A rate: text with ten decimals.
    Rate(Units),
    /// Plain decimal text.
    Plain(Units),
    /// As text, and in seconds since 1970.
    Time(&'a str, i64),
    Map(&'a Pairs),
    /// The discount map of CUR 2.0: one entry, or none.
    Discount(Option<(&'static str, Units)>),
}

/// How a column is stored in Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Text,
    Double,
    Time,
    TextMap,
    DoubleMap,
}

impl Stored {
    /// As a Data Exports manifest calls it.
    pub(super) fn manifest_name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Double => "double",
            Self::Time => "timestamp",
            Self::TextMap => "map<string,string>",
            Self::DoubleMap => "map<string,double>",
        }
    }
}

pub(super) type Value = for<'a> fn(&'a Line<'a>, &'a Row<'a>) -> Cell<'a>;

/// What a line does not know of itself.
pub(super) struct Row<'a> {
    pub(super) bill: &'a BillFacts,
    /// Unique in the bill.
    pub(super) id: &'a str,
}

#[derive(Clone, Copy)]
pub(super) struct Column {
    /// Empty where CUR 2.0 has no such column.
    pub(super) cur2: &'static str,
    pub(super) legacy: &'static str,
    pub(super) stored: Stored,
    pub(super) value: Value,
}

const fn text(cur2: &'static str, legacy: &'static str, value: Value) -> Column {
    Column { cur2, legacy, stored: Stored::Text, value }
}

const fn double(cur2: &'static str, legacy: &'static str, value: Value) -> Column {
    Column { cur2, legacy, stored: Stored::Double, value }
}

const fn time(cur2: &'static str, legacy: &'static str, value: Value) -> Column {
    Column { cur2, legacy, stored: Stored::Time, value }
}

fn empty<'a>(_: &'a Line<'a>, _: &'a Row<'a>) -> Cell<'a> {
    Cell::Empty
}

fn zero<'a>(_: &'a Line<'a>, _: &'a Row<'a>) -> Cell<'a> {
    Cell::Double(0)
}

fn optional(text: &str) -> Cell<'_> {
    if text.is_empty() { Cell::Empty } else { Cell::Text(text) }
}

/// Usage of any kind: lines that come from a resource's meter.
fn is_metered(line: &Line<'_>) -> bool {
    matches!(
        line.kind,
        LineType::Usage
            | LineType::SavingsPlanCoveredUsage
            | LineType::DiscountedUsage
            | LineType::SavingsPlanNegation
            | LineType::EdpDiscount
            | LineType::PrivateRateDiscount
    )
}

fn plan<'a>(line: &Line<'a>) -> Option<&'a super::fleet::Commitment> {
    line.commitment.filter(|c| c.kind == CommitmentKind::SavingsPlan)
}

fn reservation<'a>(line: &Line<'a>) -> Option<&'a super::fleet::Commitment> {
    line.commitment.filter(|c| c.kind == CommitmentKind::Reservation)
}

/// Doubles of savings plan columns are zero elsewhere, as AWS writes them.
fn plan_amount<'a>(line: &Line<'a>, amount: Units) -> Cell<'a> {
    Cell::Double(if plan(line).is_some() { amount } else { 0 })
}

fn reservation_amount<'a>(line: &Line<'a>, amount: Units) -> Cell<'a> {
    Cell::Double(if reservation(line).is_some() { amount } else { 0 })
}

fn instance<'a>(line: &Line<'a>) -> Option<&'static super::catalogue::Instance> {
    line.sku.instance.filter(|_| is_metered(line))
}

/// Net columns exist where the discount comes in columns.
fn net<'a>(row: &Row<'a>, amount: Units) -> Cell<'a> {
    if row.bill.discounts == Discounts::Columns { Cell::Double(amount) } else { Cell::Empty }
}

fn discount_name(line: &Line<'_>) -> &'static str {
    if line.sku.meter.nature == Nature::PrivateRate { "private_rate_discount" } else { "edp_discount" }
}

pub(super) const COLUMNS: &[Column] = &[
    text("identity_line_item_id", "identity/LineItemId", |_, r| Cell::Text(r.id)),
    text("identity_time_interval", "identity/TimeInterval", |l, _| Cell::Text(&l.span.interval)),
    text("bill_invoice_id", "bill/InvoiceId", |l, r| optional(r.bill.invoice(l))),
    text("bill_invoicing_entity", "bill/InvoicingEntity", |_, r| Cell::Free(&r.bill.legal_entity)),
    text("bill_billing_entity", "bill/BillingEntity", |l, _| {
        Cell::Text(if l.sku.meter.nature == Nature::Marketplace { "AWS Marketplace" } else { "AWS" })
    }),
    text("bill_bill_type", "bill/BillType", |l, _| Cell::Text(if l.kind == LineType::Refund { "Refund" } else { "Anniversary" })),
    text("bill_payer_account_id", "bill/PayerAccountId", |_, r| Cell::Text(&r.bill.payer.id)),
    text("bill_payer_account_name", "", |_, r| Cell::Free(&r.bill.payer.name)),
    time("bill_billing_period_start_date", "bill/BillingPeriodStartDate", |_, r| {
        Cell::Time(&r.bill.month.start, r.bill.month.start_seconds)
    }),
    time("bill_billing_period_end_date", "bill/BillingPeriodEndDate", |_, r| Cell::Time(&r.bill.month.end, r.bill.month.end_seconds)),
    text("line_item_usage_account_id", "lineItem/UsageAccountId", |l, _| Cell::Text(&l.account.id)),
    text("line_item_usage_account_name", "", |l, _| Cell::Free(&l.account.name)),
    text("line_item_line_item_type", "lineItem/LineItemType", |l, _| Cell::Text(l.kind.name())),
    time("line_item_usage_start_date", "lineItem/UsageStartDate", |l, _| Cell::Time(&l.span.start, l.span.start_seconds)),
    time("line_item_usage_end_date", "lineItem/UsageEndDate", |l, _| Cell::Time(&l.span.end, l.span.end_seconds)),
    text("line_item_product_code", "lineItem/ProductCode", |l, _| Cell::Text(l.sku.meter.service)),
    text("line_item_usage_type", "lineItem/UsageType", |l, _| match l.kind {
        LineType::Tax | LineType::Credit | LineType::Refund => Cell::Empty,
        _ => Cell::Text(&l.sku.usage_type),
    }),
    text("line_item_operation", "lineItem/Operation", |l, _| if is_metered(l) { optional(l.sku.meter.operation) } else { Cell::Empty }),
    text("line_item_availability_zone", "lineItem/AvailabilityZone", |l, _| optional(l.zone)),
    text("line_item_resource_id", "lineItem/ResourceId", |l, _| optional(l.resource)),
    double("line_item_usage_amount", "lineItem/UsageAmount", |l, _| Cell::Double(l.quantity)),
    double("line_item_normalization_factor", "lineItem/NormalizationFactor", |l, _| {
        Cell::Double(instance(l).map_or(0, |i| i.normalization))
    }),
    double("line_item_normalized_usage_amount", "lineItem/NormalizedUsageAmount", |l, _| {
        Cell::Double(instance(l).map_or(0, |i| super::decimal::product(i.normalization, l.quantity)))
    }),
    text("line_item_currency_code", "lineItem/CurrencyCode", |_, r| Cell::Text(r.bill.currency)),
    text("line_item_unblended_rate", "lineItem/UnblendedRate", |l, _| l.rate.map_or(Cell::Empty, Cell::Rate)),
    double("line_item_unblended_cost", "lineItem/UnblendedCost", |l, _| Cell::Double(l.cost)),
    text("line_item_blended_rate", "lineItem/BlendedRate", |l, _| l.rate.map_or(Cell::Empty, Cell::Rate)),
    double("line_item_blended_cost", "lineItem/BlendedCost", |l, _| match l.kind {
        LineType::Discount | LineType::EdpDiscount => Cell::Empty, // AWS leaves it out
        _ => Cell::Double(l.cost),
    }),
    text("line_item_net_unblended_rate", "lineItem/NetUnblendedRate", |l, r| match (l.rate, r.bill.discounts) {
        (Some(rate), Discounts::Columns) if l.discount == 0 => Cell::Rate(rate),
        _ => Cell::Empty,
    }),
    double("line_item_net_unblended_cost", "lineItem/NetUnblendedCost", |l, r| net(r, l.cost + l.discount)),
    text("line_item_line_item_description", "lineItem/LineItemDescription", |l, _| Cell::Free(l.description)),
    text("line_item_tax_type", "lineItem/TaxType", |l, _| optional(l.tax_type)),
    text("line_item_legal_entity", "lineItem/LegalEntity", |l, r| {
        Cell::Free(if l.sku.meter.nature == Nature::Marketplace { l.sku.meter.product } else { &r.bill.legal_entity })
    }),
    text("pricing_currency", "pricing/currency", |l, r| if is_metered(l) { Cell::Text(r.bill.currency) } else { Cell::Empty }),
    text("pricing_lease_contract_length", "pricing/LeaseContractLength", |l, _| {
        if reservation(l).is_some() { Cell::Text("1yr") } else { Cell::Empty }
    }),
    text("pricing_offering_class", "pricing/OfferingClass", |l, _| reservation(l).map_or(Cell::Empty, |c| Cell::Text(c.offering))),
    text("pricing_purchase_option", "pricing/PurchaseOption", |l, _| {
        reservation(l).map_or(Cell::Empty, |c| Cell::Text(if c.all_upfront { "All Upfront" } else { "No Upfront" }))
    }),
    double("pricing_public_on_demand_cost", "pricing/publicOnDemandCost", |l, _| Cell::Double(l.list_cost)),
    text("pricing_public_on_demand_rate", "pricing/publicOnDemandRate", |l, _| {
        if l.list_cost == 0 { Cell::Empty } else { Cell::Rate(l.sku.public_rate) }
    }),
    text("pricing_rate_code", "pricing/RateCode", |l, _| if is_metered(l) { Cell::Text(&l.sku.rate_code) } else { Cell::Empty }),
    text("pricing_rate_id", "pricing/RateId", |l, _| if is_metered(l) { Cell::Text(&l.sku.rate_id) } else { Cell::Empty }),
    text("pricing_term", "pricing/term", |l, _| match (l.kind, l.sku.meter.nature) {
        (LineType::DiscountedUsage, _) => Cell::Text("Reserved"),
        (LineType::Usage | LineType::SavingsPlanCoveredUsage, nature) if nature != Nature::Spot => Cell::Text("OnDemand"),
        _ => Cell::Empty,
    }),
    text("pricing_unit", "pricing/unit", |l, _| if is_metered(l) { Cell::Text(l.sku.meter.unit) } else { Cell::Empty }),
    Column { cur2: "product", legacy: "", stored: Stored::TextMap, value: |l, _| Cell::Map(&l.sku.product) },
    text("", "product/ProductName", |l, _| Cell::Free(l.sku.meter.product)),
    text("product_instance_family", "product/instanceFamily", |l, _| instance(l).map_or(Cell::Empty, |i| Cell::Text(i.family))),
    text("product_instance_type", "product/instanceType", |l, _| instance(l).map_or(Cell::Empty, |i| Cell::Text(i.kind))),
    text("product_location", "product/location", |l, _| Cell::Free(l.sku.region.name)),
    text("product_location_type", "product/locationType", |l, _| if is_metered(l) { Cell::Text("AWS Region") } else { Cell::Empty }),
    text("product_operation", "product/operation", |l, _| if is_metered(l) { optional(l.sku.meter.operation) } else { Cell::Empty }),
    text("product_product_family", "product/productFamily", |l, _| Cell::Free(l.sku.meter.family)),
    text("product_region_code", "product/regionCode", |l, _| Cell::Text(l.sku.region.id)),
    text("product_servicecode", "product/servicecode", |l, _| Cell::Text(l.sku.meter.service)),
    text("product_sku", "product/sku", |l, _| Cell::Text(&l.sku.sku)),
    text("product_usagetype", "product/usagetype", |l, _| if is_metered(l) { Cell::Text(&l.sku.usage_type) } else { Cell::Empty }),
    double("reservation_amortized_upfront_cost_for_usage", "reservation/AmortizedUpfrontCostForUsage", |l, _| {
        reservation_amount(l, l.amounts.upfront_part)
    }),
    double("reservation_amortized_upfront_fee_for_billing_period", "reservation/AmortizedUpfrontFeeForBillingPeriod", |l, _| {
        reservation_amount(l, l.amounts.amortized_fee)
    }),
    double("reservation_effective_cost", "reservation/EffectiveCost", |l, _| reservation_amount(l, l.amounts.effective)),
    double("reservation_net_effective_cost", "reservation/NetEffectiveCost", |l, r| {
        reservation(l).map_or(Cell::Empty, |_| net(r, l.amounts.effective))
    }),
    double("reservation_recurring_fee_for_usage", "reservation/RecurringFeeForUsage", |l, _| {
        reservation_amount(l, l.amounts.effective - l.amounts.upfront_part)
    }),
    text("reservation_reservation_a_r_n", "reservation/ReservationARN", |l, _| reservation(l).map_or(Cell::Empty, |c| Cell::Text(&c.id))),
    text(
        "reservation_subscription_id",
        "reservation/SubscriptionId",
        |l, _| {
            if is_metered(l) { Cell::Text(&l.sku.rate_id) } else { Cell::Empty }
        },
    ),
    double(
        "reservation_unused_amortized_upfront_fee_for_billing_period",
        "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod",
        |l, _| reservation_amount(l, l.amounts.unused_upfront),
    ),
    double("reservation_unused_normalized_unit_quantity", "reservation/UnusedNormalizedUnitQuantity", zero),
    double("reservation_unused_quantity", "reservation/UnusedQuantity", |l, _| reservation_amount(l, l.amounts.unused_quantity)),
    double("reservation_unused_recurring_fee", "reservation/UnusedRecurringFee", |l, _| reservation_amount(l, l.amounts.unused_recurring)),
    double("reservation_upfront_value", "reservation/UpfrontValue", zero),
    double(
        "savings_plan_amortized_upfront_commitment_for_billing_period",
        "savingsPlan/AmortizedUpfrontCommitmentForBillingPeriod",
        |l, _| plan_amount(l, l.amounts.amortized_fee),
    ),
    text("savings_plan_offering_type", "savingsPlan/OfferingType", |l, _| plan(l).map_or(Cell::Empty, |c| Cell::Text(c.offering))),
    text("savings_plan_payment_option", "savingsPlan/PaymentOption", |l, _| {
        plan(l).map_or(Cell::Empty, |c| Cell::Text(if c.all_upfront { "All Upfront" } else { "No Upfront" }))
    }),
    text("savings_plan_purchase_term", "savingsPlan/PurchaseTerm", |l, _| if plan(l).is_some() { Cell::Text("1yr") } else { Cell::Empty }),
    double("savings_plan_recurring_commitment_for_billing_period", "savingsPlan/RecurringCommitmentForBillingPeriod", |l, _| {
        plan_amount(l, l.amounts.recurring_fee)
    }),
    text("savings_plan_savings_plan_a_r_n", "savingsPlan/SavingsPlanARN", |l, _| plan(l).map_or(Cell::Empty, |c| Cell::Text(&c.id))),
    double("savings_plan_savings_plan_effective_cost", "savingsPlan/SavingsPlanEffectiveCost", |l, _| plan_amount(l, l.amounts.effective)),
    double("savings_plan_savings_plan_rate", "savingsPlan/SavingsPlanRate", |l, _| match (l.kind, plan(l)) {
        (LineType::SavingsPlanCoveredUsage, Some(c)) => Cell::Double(super::decimal::percent(l.sku.public_rate, c.price)),
        _ => Cell::Double(0),
    }),
    double("savings_plan_total_commitment_to_date", "savingsPlan/TotalCommitmentToDate", |l, _| plan_amount(l, l.amounts.total)),
    double("savings_plan_used_commitment", "savingsPlan/UsedCommitment", |l, _| plan_amount(l, l.amounts.used)),
    text("split_line_item_parent_resource_id", "splitLineItem/ParentResourceId", |l, _| {
        if l.is_split_cost() { Cell::Text(l.resource) } else { Cell::Empty }
    }),
    double(
        "split_line_item_split_cost",
        "splitLineItem/SplitCost",
        |l, _| if l.is_split_cost() { Cell::Double(l.cost) } else { Cell::Empty },
    ),
    double("discount_total_discount", "discount/TotalDiscount", |l, r| net(r, l.discount)),
    double("", "discount/EdpDiscount", |l, r| match discount_name(l) {
        "edp_discount" => net(r, l.discount),
        _ => net(r, 0),
    }),
    double("", "discount/PrivateRateDiscount", |l, r| match discount_name(l) {
        "edp_discount" => net(r, 0),
        _ => net(r, l.discount),
    }),
    Column {
        cur2: "discount",
        legacy: "",
        stored: Stored::DoubleMap,
        value: |l, _| Cell::Discount(Some((discount_name(l), l.discount)).filter(|_| l.discount != 0)),
    },
    Column { cur2: "cost_category", legacy: "", stored: Stored::TextMap, value: |_, r| Cell::Map(&r.bill.no_pairs) },
    Column { cur2: "resource_tags", legacy: "", stored: Stored::TextMap, value: |l, _| Cell::Map(&l.tags.aws) },
    text("", TAG_KEYS[0].1, |l, _| tag(l, 0)),
    text("", TAG_KEYS[1].1, |l, _| tag(l, 1)),
    text("", TAG_KEYS[2].1, |l, _| tag(l, 2)),
    text("", TAG_KEYS[3].1, |l, _| tag(l, 3)),
    text("", "resourceTags/aws:createdBy", empty),
];

fn tag<'a>(line: &'a Line<'a>, key: usize) -> Cell<'a> {
    match line.tags.aws.get(TAG_KEYS[key].0) {
        "" => Cell::Empty,
        value => Cell::Free(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_have_as_many_columns_as_real_reports_and_no_name_twice() {
        for name in [|c: &Column| c.cur2, |c: &Column| c.legacy] {
            let mut names: Vec<&str> = COLUMNS.iter().map(name).filter(|n| !n.is_empty()).collect();
            let count = names.len();
            assert!((75..=127).contains(&count), "{count}");
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
