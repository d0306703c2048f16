//! AWS Cost and Usage Report: legacy CSV (`lineItem/UnblendedCost`), legacy Parquet (`line_item_unblended_cost`) and CUR 2.0 (the same
//! names, maps for tags, product and discounts).
//!
//! A cost cell stays a native column exactly on the rows whose canonical amount was not taken from it. Discounts are never added up here:
//! they come either as rows or as net columns, and both are read as they are.

use super::super::cells::MoneyRole;
use super::super::charges::Charges;
use super::super::derive::{PerValue, per_combination};
use super::super::error::BillError;
use super::super::raw::Raw;
use super::super::report::Notes;
use super::{Finder, Found, Mapping};
use crate::domain::columns::TextColumn;
use crate::domain::money;

/// Operations of split-cost copies of instances that are billed on their own rows.
const SPLIT_COST: [&str; 2] = ["EKSPod-EC2", "ECSTask-EC2"];

/// Where a line type's `EffectiveCost` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    AsBilled,
    Zero,
    SavingsPlan,
    UnusedCommitment,
    Reservation,
    UnusedReservation,
    /// Zero with a reservation, else as billed.
    Fee,
    /// Zero when it returns a Savings Plan's upfront fee, else as billed.
    Refund,
}

/// What a line type means in FOCUS terms.
#[derive(Clone, Copy, Debug)]
struct LineType {
    name: &'static str,
    category: &'static str,
    frequency: Option<&'static str>,
    effect: Effect,
}

const fn line(name: &'static str, category: &'static str, frequency: Option<&'static str>, effect: Effect) -> LineType {
    LineType { name, category, frequency, effect }
}

const ONCE: Option<&str> = Some("One-Time");
const RECURRING: Option<&str> = Some("Recurring");
const BY_USAGE: Option<&str> = Some("Usage-Based");

const LINE_TYPES: &[LineType] = &[
    line("Usage", "Usage", BY_USAGE, Effect::AsBilled),
    line("SavingsPlanCoveredUsage", "Usage", BY_USAGE, Effect::SavingsPlan),
    line("SavingsPlanNegation", "Usage", BY_USAGE, Effect::Zero),
    line("SavingsPlanRecurringFee", "Purchase", RECURRING, Effect::UnusedCommitment),
    line("SavingsPlanUpfrontFee", "Purchase", ONCE, Effect::Zero),
    line("DiscountedUsage", "Usage", BY_USAGE, Effect::Reservation),
    line("RIFee", "Purchase", RECURRING, Effect::UnusedReservation),
    line("Fee", "Purchase", ONCE, Effect::Fee),
    line("FlatRateSubscription", "Purchase", RECURRING, Effect::AsBilled),
    line("Tax", "Tax", BY_USAGE, Effect::AsBilled),
    line("Credit", "Credit", ONCE, Effect::AsBilled),
    line("Refund", "Adjustment", ONCE, Effect::Refund),
    line("Discount", "Usage", BY_USAGE, Effect::AsBilled),
    line("BundledDiscount", "Usage", BY_USAGE, Effect::AsBilled),
    line("EdpDiscount", "Usage", BY_USAGE, Effect::AsBilled),
    line("PrivateRateDiscount", "Usage", BY_USAGE, Effect::AsBilled),
    line("RiVolumeDiscount", "Purchase", RECURRING, Effect::AsBilled),
    line("SppDiscount", "Adjustment", BY_USAGE, Effect::AsBilled),
    line("DistributorDiscount", "Adjustment", BY_USAGE, Effect::AsBilled),
];

/// A type that AWS added later: kept, counted, and left for a person.
const UNKNOWN: LineType = line("", "Adjustment", None, Effect::AsBilled);

fn line_type(name: Option<&str>) -> &'static LineType {
    name.and_then(|name| LINE_TYPES.iter().find(|known| known.name == name)).unwrap_or(&UNKNOWN)
}

/// Columns by their place in the header.
#[derive(Debug, Default)]
struct Columns {
    cur2: bool,
    item_id: Option<usize>,
    interval: Option<usize>,
    invoice: Option<usize>,
    invoicing_entity: Option<usize>,
    billing_entity: Option<usize>,
    legal_entity: Option<usize>,
    payer: Option<usize>,
    payer_name: Option<usize>,
    period_start: Option<usize>,
    period_end: Option<usize>,
    account: Option<usize>,
    account_name: Option<usize>,
    line_type: Option<usize>,
    usage_start: Option<usize>,
    usage_end: Option<usize>,
    product_code: Option<usize>,
    usage_type: Option<usize>,
    operation: Option<usize>,
    zone: Option<usize>,
    resource: Option<usize>,
    quantity: Option<usize>,
    currency: Option<usize>,
    unblended: Option<usize>,
    net_unblended: Option<usize>,
    description: Option<usize>,
    list_cost: Option<usize>,
    list_rate: Option<usize>,
    unit: Option<usize>,
    rate_code: Option<usize>,
    product: Option<usize>,
    product_name: Option<usize>,
    family: Option<usize>,
    region: Option<usize>,
    sku: Option<usize>,
    reservation: Option<usize>,
    reservation_cost: Option<usize>,
    unused_upfront: Option<usize>,
    unused_recurring: Option<usize>,
    plan: Option<usize>,
    plan_cost: Option<usize>,
    commitment: Option<usize>,
    used_commitment: Option<usize>,
    tags: Option<usize>,
    tag_columns: Vec<(usize, String)>,
    discount: Option<usize>,
    discount_columns: Vec<(usize, String)>,
}

/// Recognises a CUR by its cost column.
pub(super) fn detect(finder: &mut Finder<'_>) -> Result<Option<Found>, BillError> {
    if !finder.has("lineitemunblendedcost") {
        return Ok(None);
    }
    finder.is("AWS CUR");
    let verbatim = MoneyRole { verbatim: true, ..MoneyRole::default() };
    let listed = MoneyRole { verbatim: true, text: true, ..MoneyRole::default() };
    let f = finder;
    let (tags, product) = (f.text(&["resourcetags"]), f.text(&["product"]));
    let discount = f.text(&["discount"]);
    let columns = Columns {
        cur2: tags.is_some() || product.is_some(),
        item_id: f.key(&["identitylineitemid"]),
        interval: f.text(&["identitytimeinterval"]),
        invoice: f.text(&["billinvoiceid"]),
        invoicing_entity: f.text(&["billinvoicingentity"]),
        billing_entity: f.text(&["billbillingentity"]),
        legal_entity: f.text(&["lineitemlegalentity"]),
        payer: f.text(&["billpayeraccountid"]),
        payer_name: f.text(&["billpayeraccountname"]),
        period_start: f.time(&["billbillingperiodstartdate"]),
        period_end: f.time(&["billbillingperiodenddate"]),
        account: f.text(&["lineitemusageaccountid"]),
        account_name: f.text(&["lineitemusageaccountname"]),
        line_type: f.text(&["lineitemlineitemtype"]),
        usage_start: f.time(&["lineitemusagestartdate"]),
        usage_end: f.time(&["lineitemusageenddate"]),
        product_code: f.text(&["lineitemproductcode"]),
        usage_type: f.text(&["lineitemusagetype"]),
        operation: f.text(&["lineitemoperation"]),
        zone: f.text(&["lineitemavailabilityzone"]),
        resource: f.text(&["lineitemresourceid"]),
        quantity: f.money(&["lineitemusageamount"], MoneyRole::default()),
        currency: f.text(&["lineitemcurrencycode"]),
        unblended: f.money(&["lineitemunblendedcost"], verbatim),
        net_unblended: f.money(&["lineitemnetunblendedcost"], verbatim),
        description: f.text(&["lineitemlineitemdescription"]),
        list_cost: f.money(&["pricingpublicondemandcost"], listed),
        list_rate: f.money(&["pricingpublicondemandrate"], listed),
        unit: f.text(&["pricingunit"]),
        rate_code: f.text(&["pricingratecode"]),
        product,
        product_name: f.text(&["productproductname"]),
        family: f.text(&["productproductfamily"]),
        region: f.text(&["productregioncode", "productregion"]),
        sku: f.text(&["productsku"]),
        reservation: f.text(&["reservationreservationarn"]),
        reservation_cost: f.money(&["reservationeffectivecost"], verbatim),
        unused_upfront: f.money(&["reservationunusedamortizedupfrontfeeforbillingperiod"], verbatim),
        unused_recurring: f.money(&["reservationunusedrecurringfee"], verbatim),
        plan: f.text(&["savingsplansavingsplanarn"]),
        plan_cost: f.money(&["savingsplansavingsplaneffectivecost"], verbatim),
        commitment: f.money(&["savingsplantotalcommitmenttodate"], verbatim),
        used_commitment: f.money(&["savingsplanusedcommitment"], verbatim),
        tags,
        tag_columns: if tags.is_some() { Vec::new() } else { either_prefix(f, "resourceTags/", "resource_tags_") },
        discount,
        discount_columns: if discount.is_some() { Vec::new() } else { either_prefix(f, "discount/", "discount_") },
    };
    f.need(columns.line_type, "lineItem/LineItemType (line_item_line_item_type)")?;
    f.need(columns.payer, "bill/PayerAccountId (bill_payer_account_id)")?;
    f.need(columns.account, "lineItem/UsageAccountId (line_item_usage_account_id)")?;
    f.need(columns.currency, "lineItem/CurrencyCode (line_item_currency_code)")?;
    f.need(columns.period_start.or(columns.usage_start), "bill/BillingPeriodStartDate (bill_billing_period_start_date)")?;
    let format = if columns.cur2 { "cur2" } else { "cur" };
    Ok(Some(Found { format, currency: columns.currency, mapping: Box::new(columns) }))
}

fn either_prefix(finder: &Finder<'_>, legacy: &str, snake: &str) -> Vec<(usize, String)> {
    let found = finder.prefixed(legacy);
    if found.is_empty() { finder.prefixed(snake) } else { found }
}

impl Mapping for Columns {
    fn charges(&self, raw: &mut Raw<'_>, notes: &mut Notes) -> Result<Charges, BillError> {
        let mut charges = Charges::new(raw.rows);
        self.money(raw, &mut charges, notes)?;
        self.kinds(raw, &mut charges, notes);
        self.commitments(raw, &mut charges);
        self.texts(raw, &mut charges)?;
        self.maps(raw, &mut charges);
        self.times(raw, &mut charges);
        Ok(charges)
    }
}

impl Columns {
    /// The four costs by BILLING's table of line types; each amount comes from one cell, or from the difference or sum of two.
    fn money(&self, raw: &mut Raw<'_>, charges: &mut Charges, notes: &mut Notes) -> Result<(), BillError> {
        let rows = raw.rows;
        let types = PerValue::new(raw.text(self.line_type), line_type);
        let split = PerValue::new(raw.text(self.operation), |text| text.is_some_and(|text| SPLIT_COST.contains(&text)));
        let reserved = PerValue::new(raw.text(self.reservation), |text| text.is_some());
        let of_plans = PerValue::new(raw.text(self.product_code), |text| text == Some("ComputeSavingsPlans"));
        let returns_fee = PerValue::new(raw.text(self.description), |text| {
            text.is_some_and(|text| text.starts_with("Refund for one-time fee for Savings Plan"))
        });
        let effects: Vec<Effect> = (0..rows)
            .map(|row| match types.of(raw.text(self.line_type), row).effect {
                Effect::Fee if reserved.of(raw.text(self.reservation), row) => Effect::Zero,
                Effect::Refund if of_plans.of(raw.text(self.product_code), row) && returns_fee.of(raw.text(self.description), row) => {
                    Effect::Zero
                }
                Effect::Fee | Effect::Refund => Effect::AsBilled,
                effect => effect,
            })
            .collect();
        let negation = PerValue::new(raw.text(self.line_type), |text| text == Some("SavingsPlanNegation"));
        let is_split: Vec<bool> = (0..rows).map(|row| split.of(raw.text(self.operation), row)).collect();
        let is_negation: Vec<bool> = (0..rows).map(|row| negation.of(raw.text(self.line_type), row)).collect();

        let cell = |column: Option<usize>, row: usize| raw.money(column).map_or(money::NULL, |units| units[row]);
        let (mut billed, mut effective, mut list) = (Vec::with_capacity(rows), Vec::with_capacity(rows), Vec::with_capacity(rows));
        for row in 0..rows {
            let net = cell(self.net_unblended, row);
            let cost = if net == money::NULL { cell(self.unblended, row) } else { net };
            if is_split[row] {
                notes.split_rows += 1;
                let excluded = if cost == money::NULL { 0 } else { cost };
                notes.split_units =
                    notes.split_units.checked_add(excluded).ok_or(BillError::SumTooLarge { column: "split cost".into() })?;
                billed.push(0);
                effective.push(0);
                list.push(0);
                continue;
            }
            billed.push(cost);
            effective.push(match effects[row] {
                Effect::AsBilled | Effect::Fee | Effect::Refund => cost,
                Effect::Zero => 0,
                Effect::SavingsPlan => cell(self.plan_cost, row),
                Effect::Reservation => cell(self.reservation_cost, row),
                Effect::UnusedCommitment => combined(cell(self.commitment, row), cell(self.used_commitment, row), i128::checked_sub),
                Effect::UnusedReservation => combined(cell(self.unused_upfront, row), cell(self.unused_recurring, row), i128::checked_add),
            });
            list.push(if is_negation[row] { money::NULL } else { cell(self.list_cost, row) });
        }

        let net: Option<Vec<bool>> = raw.money(self.net_unblended).map(|units| units.iter().map(|u| *u != money::NULL).collect());
        let has_net = |row: usize| net.as_ref().is_some_and(|net| net[row]);
        raw.leave(self.unblended, |row, _| !is_split[row] && !has_net(row));
        raw.leave(self.net_unblended, |row, _| !is_split[row]);
        raw.leave(self.list_cost, |row, units| !is_split[row] && !is_negation[row] && units != money::NULL);
        raw.leave(self.plan_cost, |row, _| !is_split[row] && effects[row] == Effect::SavingsPlan);
        raw.leave(self.reservation_cost, |row, _| !is_split[row] && effects[row] == Effect::Reservation);
        for column in [self.commitment, self.used_commitment, self.unused_upfront, self.unused_recurring] {
            raw.leave(column, |_, _| false);
        }
        let rate = raw.money(self.list_rate).map(<[i128]>::to_vec);
        raw.leave(self.list_rate, |_, units| units != money::NULL);
        let quantity = raw.take_money(self.quantity);
        charges.money("ListUnitPrice", rate);
        charges.money("PricingQuantity", quantity.clone());
        charges.money("ConsumedQuantity", quantity);
        charges.money("BilledCost", Some(billed));
        charges.money("EffectiveCost", Some(effective));
        charges.money("ListCost", Some(list));
        Ok(())
    }

    /// What kind of charge each line is.
    fn kinds(&self, raw: &mut Raw<'_>, charges: &mut Charges, notes: &mut Notes) {
        let rows = raw.rows;
        let Some(types) = raw.take_text(self.line_type) else { return };
        let of_type = |value: fn(&LineType) -> Option<&'static str>| {
            per_combination(&[&types], rows, |texts| value(line_type(texts[0])).map(str::to_owned))
        };
        charges.text("ChargeCategory", Some(of_type(|line| Some(line.category))));
        charges.text("ChargeFrequency", Some(of_type(|line| line.frequency)));
        charges.text("ChargeClass", Some(of_type(|line| (line.name == "Refund").then_some("Correction"))));
        let none = TextColumn::constant(None, rows);
        let usage_type = raw.text(self.usage_type).unwrap_or(&none);
        let pricing = per_combination(&[&types, usage_type], rows, |texts| {
            Some(
                match (texts[0], texts[1]) {
                    (Some("SavingsPlanCoveredUsage" | "DiscountedUsage"), _) => "Committed",
                    (Some("Usage"), Some(usage)) if usage.contains("SpotUsage") => "Dynamic",
                    _ => "Standard",
                }
                .to_owned(),
            )
        });
        charges.text("PricingCategory", Some(pricing));
        let mut unknown: Vec<u64> = vec![0; types.values.len()];
        for code in &types.codes {
            if let Some(count) = unknown.get_mut(*code as usize) {
                *count += 1;
            }
        }
        for (name, count) in types.values.iter().zip(unknown) {
            if count > 0 && line_type(Some(name)).name.is_empty() {
                *notes.unknown_line_types.entry(name.to_owned()).or_default() += count;
            }
        }
        charges.text("x_SourceLineType", Some(types));
    }

    /// The commitment behind a line, and who bought it.
    fn commitments(&self, raw: &mut Raw<'_>, charges: &mut Charges) {
        let rows = raw.rows;
        let none = TextColumn::constant(None, rows);
        let plan = raw.take_text(self.plan).unwrap_or_else(|| none.clone());
        let reservation = raw.take_text(self.reservation).unwrap_or_else(|| none.clone());
        let id = per_combination(&[&plan, &reservation], rows, |texts| texts[0].or(texts[1]).map(str::to_owned));
        let of_kind = |plan_value: &str, reservation_value: &str| {
            per_combination(&[&plan, &reservation], rows, |texts| match (texts[0], texts[1]) {
                (Some(_), _) => Some(plan_value.to_owned()),
                (None, Some(_)) => Some(reservation_value.to_owned()),
                (None, None) => None,
            })
        };
        charges.text("CommitmentDiscountCategory", Some(of_kind("Spend", "Usage")));
        charges.text("CommitmentDiscountType", Some(of_kind("Savings Plan", "Reserved Instance")));
        charges.text("x_CommitmentOwnerAccountId", Some(super::owner_of_arn(&id, rows)));
        charges.text("CommitmentDiscountId", Some(id));
        let status = charges.stored_text("x_SourceLineType").map(|types| {
            per_combination(&[types], rows, |texts| {
                let status = match texts[0] {
                    Some("SavingsPlanCoveredUsage" | "DiscountedUsage") => Some("Used"),
                    // Their effective cost is what of the commitment was not used.
                    Some("SavingsPlanRecurringFee" | "RIFee") => Some("Unused"),
                    _ => None,
                };
                status.map(str::to_owned)
            })
        });
        charges.text("CommitmentDiscountStatus", status);
    }

    fn texts(&self, raw: &mut Raw<'_>, charges: &mut Charges) -> Result<(), BillError> {
        let rows = raw.rows;
        let interval = raw.take_text(self.interval);
        charges.text("x_SourceRowKey", raw.take_key(self.item_id, interval.as_ref())?);
        let code = raw.take_text(self.product_code);
        let name = raw.take_text(self.product_name).or_else(|| {
            let product = raw.text(self.product)?;
            Some(per_combination(&[product], rows, |texts| {
                serde_json::from_str::<serde_json::Value>(texts[0]?).ok()?.get("product_name")?.as_str().map(str::to_owned)
            }))
        });
        let service = match (name, &code) {
            (Some(name), Some(code)) => {
                Some(per_combination(&[&name, code], rows, |texts| texts.iter().flatten().find(|t| !t.is_empty()).map(|t| (*t).to_owned())))
            }
            (name, code) => name.or_else(|| code.clone()),
        };
        charges.text("ServiceName", service);
        charges.text("x_ServiceCode", code);
        charges.constant("HostProviderName", "AWS");
        let provider = match (raw.text(self.billing_entity), raw.text(self.legal_entity)) {
            (Some(billing), Some(legal)) => per_combination(&[billing, legal], rows, |texts| match (texts[0], texts[1]) {
                (Some("AWS Marketplace"), Some(seller)) => Some(seller.to_owned()),
                _ => Some("AWS".to_owned()),
            }),
            _ => TextColumn::constant(Some("AWS"), rows),
        };
        charges.text("ServiceProviderName", Some(provider));
        let unit = raw.take_text(self.unit);
        charges.text("ConsumedUnit", unit.clone());
        charges.text("PricingUnit", unit);
        for (name, column) in [
            ("BillingAccountId", self.payer),
            ("BillingAccountName", self.payer_name),
            ("SubAccountId", self.account),
            ("SubAccountName", self.account_name),
            ("InvoiceId", self.invoice),
            ("InvoiceIssuerName", self.invoicing_entity),
            ("BillingCurrency", self.currency),
            ("ChargeDescription", self.description),
            ("SkuId", self.sku),
            ("SkuPriceId", self.rate_code),
            ("RegionId", self.region),
            ("AvailabilityZone", self.zone),
            ("ResourceId", self.resource),
            ("x_BillingEntity", self.billing_entity),
            ("x_UsageType", self.usage_type),
            ("x_Operation", self.operation),
            ("x_ProductFamily", self.family),
        ] {
            let taken = raw.take_text(column);
            charges.text(name, taken);
        }
        Ok(())
    }

    /// Tags and discounts as JSON, with keys as in the source.
    fn maps(&self, raw: &mut Raw<'_>, charges: &mut Charges) {
        let tags = raw.take_text(self.tags).or_else(|| super::object_of_columns(raw, &self.tag_columns));
        charges.text("Tags", tags);
        let discounts = raw.take_text(self.discount).or_else(|| super::object_of_columns(raw, &self.discount_columns));
        charges.text("x_DiscountBreakdown", discounts);
    }

    fn times(&self, raw: &mut Raw<'_>, charges: &mut Charges) {
        let (start, end) = (raw.take_times(self.period_start), raw.take_times(self.period_end));
        let (from, to) = (raw.take_times(self.usage_start), raw.take_times(self.usage_end));
        let (start, end) = super::with_period(start, end, from.as_deref());
        charges.time("BillingPeriodStart", start);
        charges.time("BillingPeriodEnd", end);
        charges.time("ChargePeriodStart", from);
        charges.time("ChargePeriodEnd", to);
    }
}

/// Both cells, an empty one as zero; null when both are empty.
fn combined(first: i128, second: i128, operation: fn(i128, i128) -> Option<i128>) -> i128 {
    let value = |units: i128| if units == money::NULL { 0 } else { units };
    if first == money::NULL && second == money::NULL {
        return money::NULL;
    }
    operation(value(first), value(second)).unwrap_or(money::NULL)
}
