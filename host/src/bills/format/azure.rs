//! Azure cost exports: EA, MCA and CSP, actual and amortized, which share their columns but not their spelling.
//!
//! An actual and an amortized export have the same header, so nothing here tells one from the other: `BilledCost` and `EffectiveCost`
//! are both the cost of the row as exported, and ties to the file. Import one of the two, not both.

use super::super::cells::{MoneyRole, Seen};
use super::super::charges::Charges;
use super::super::derive::per_combination;
use super::super::error::BillError;
use super::super::raw::Raw;
use super::super::report::Notes;
use super::super::time::DAY;
use super::{Finder, Found, Mapping};
use crate::domain::columns::{NULL_TIME, TextColumn};
use crate::domain::money::{self, divide_half_even};

#[derive(Debug)]
struct Columns {
    period_start: Option<usize>,
    period_end: Option<usize>,
    date: Option<usize>,
    cost: Option<usize>,
    list_cost: Option<usize>,
    list_price: Option<usize>,
    unit_price: Option<usize>,
    quantity: Option<usize>,
    currency: Option<usize>,
    pricing_currency: Option<usize>,
    charge_type: Option<usize>,
    frequency: Option<usize>,
    pricing_model: Option<usize>,
    benefit: Option<usize>,
    reservation: Option<usize>,
    benefit_name: Option<usize>,
    reservation_name: Option<usize>,
    publisher: Option<usize>,
    publisher_type: Option<usize>,
    unit: Option<usize>,
    tags: Option<usize>,
    ids: Vec<(&'static str, Option<usize>)>,
    texts: Vec<(&'static str, Option<usize>)>,
}

/// Recognises an Azure export by a meter and a cost.
pub(super) fn detect(finder: &mut Finder<'_>) -> Result<Option<Found>, BillError> {
    const COSTS: &[&str] = &["costinbillingcurrency", "cost", "pretaxcost", "billingpretaxtotal", "extendedcost"];
    let f = finder;
    if f.text(&["meterid", "metercategory", "metername"]).is_none() || f.text(COSTS).is_none() {
        return Ok(None);
    }
    f.is("Azure cost");
    let tidied = MoneyRole { tidied: true, ..MoneyRole::default() };
    let columns = Columns {
        period_start: f.time(&["billingperiodstartdate", "billingperiodstart", "chargestartdate"]),
        period_end: f.time(&["billingperiodenddate", "billingperiodend", "chargeenddate"]),
        date: f.time(&["date", "usagedate", "usagedatetime"]),
        cost: f.money(COSTS, tidied),
        list_cost: f.money(&["paygcostinbillingcurrency"], tidied),
        list_price: f.money(&["paygprice"], tidied),
        unit_price: f.money(&["unitprice"], tidied),
        quantity: f.money(&["quantity", "consumedquantity", "usagequantity", "billablequantity"], tidied),
        currency: f.text(&["billingcurrency", "billingcurrencycode", "currency", "currencycode"]),
        pricing_currency: f.text(&["pricingcurrency", "pricingcurrencycode"]),
        charge_type: f.text(&["chargetype"]),
        frequency: f.text(&["frequency"]),
        pricing_model: f.text(&["pricingmodel"]),
        benefit: f.text(&["benefitid"]),
        reservation: f.text(&["reservationid"]),
        benefit_name: f.text(&["benefitname"]),
        reservation_name: f.text(&["reservationname"]),
        publisher: f.text(&["publishername"]),
        publisher_type: f.text(&["publishertype"]),
        unit: f.text(&["unitofmeasure", "unit", "unittype"]),
        tags: f.text(&["tags"]),
        ids: vec![
            ("BillingAccountId", f.text(&["billingaccountid", "billingaccountnumber", "partnerid"])),
            ("SubAccountId", f.text(&["subscriptionid", "subscriptionguid", "entitlementid"])),
            ("InvoiceId", f.text(&["invoiceid", "invoicenumber"])),
            ("SkuId", f.text(&["meterid"])),
            ("ResourceId", f.text(&["resourceid", "instanceid", "resourceuri"])),
        ],
        texts: vec![
            ("BillingAccountName", f.text(&["billingaccountname", "partnername"])),
            ("SubAccountName", f.text(&["subscriptionname", "entitlementdescription"])),
            ("ChargeDescription", f.text(&["productname", "product"])),
            ("ServiceName", f.text(&["metercategory"])),
            ("SkuMeter", f.text(&["metername"])),
            ("RegionId", f.text(&["resourcelocation", "location"])),
            ("AvailabilityZone", f.text(&["availabilityzone"])),
            ("ResourceName", f.text(&["resourcename", "instancename"])),
            ("x_ServiceCode", f.text(&["consumedservice"])),
            ("x_ProductFamily", f.text(&["servicefamily"])),
        ],
    };
    f.need(columns.date, "Date")?;
    f.need(columns.currency, "BillingCurrency")?;
    Ok(Some(Found { format: "azure", currency: columns.currency, mapping: Box::new(columns) }))
}

impl Mapping for Columns {
    fn charges(&self, raw: &mut Raw<'_>, notes: &mut Notes) -> Result<Charges, BillError> {
        let mut charges = Charges::new(raw.rows);
        self.times(raw, &mut charges);
        self.money(raw, &mut charges, notes);
        self.kinds(raw, &mut charges, notes);
        for (name, column) in &self.ids {
            if let Some(text) = raw.take_text(*column) {
                let what = "a placeholder for null in an id";
                charges.text(name, Some(super::without(raw, text, *column, what, super::is_placeholder, notes)));
            }
        }
        for (name, column) in &self.texts {
            let text = raw.take_text(*column);
            charges.text(name, text);
        }
        let tags = self.tags(raw, notes);
        charges.text("Tags", tags);
        Ok(charges)
    }
}

impl Columns {
    /// A row is a day's. Periods are written with their last day; the canonical end is the day after.
    fn times(&self, raw: &mut Raw<'_>, charges: &mut Charges) {
        let date = raw.take_times(self.date);
        let start = raw.take_times(self.period_start);
        let end = raw.take_times(self.period_end).map(|mut ends| {
            for (row, end) in ends.iter_mut().enumerate() {
                let first_of_month = super::super::time::month_of(*end).is_some_and(|(first, _)| first == *end);
                let later = start.as_ref().is_some_and(|start| start[row] < *end);
                if *end != NULL_TIME && !(first_of_month && later) {
                    *end = end.saturating_add(DAY);
                }
            }
            ends
        });
        let (start, end) = super::with_period(start, end, date.as_deref());
        let next =
            date.as_ref().map(|days| days.iter().map(|day| if *day == NULL_TIME { NULL_TIME } else { day.saturating_add(DAY) }).collect());
        charges.time("BillingPeriodStart", start);
        charges.time("BillingPeriodEnd", end);
        charges.time("ChargePeriodStart", date);
        charges.time("ChargePeriodEnd", next);
    }

    fn money(&self, raw: &mut Raw<'_>, charges: &mut Charges, notes: &mut Notes) {
        let cost = raw.take_money(self.cost);
        let quantity = raw.take_money(self.quantity);
        let price = raw.take_money(self.list_price);
        let list = raw.take_money(self.list_cost).or_else(|| {
            let foreign = raw.text(self.pricing_currency).zip(raw.text(self.currency));
            let (price, quantity) = (price.as_ref()?, quantity.as_ref()?);
            let mut unusable = Seen::default();
            let list = (0..raw.rows).map(|row| {
                let same = foreign.is_none_or(|(pricing, billing)| pricing.get(row).is_none_or(|code| Some(code) == billing.get(row)));
                // A price of zero means that there is none, not that it is free.
                if !same || matches!(price[row], 0 | money::NULL) || quantity[row] == money::NULL {
                    return money::NULL;
                }
                product(price[row], quantity[row]).unwrap_or_else(|| {
                    unusable.add(row);
                    money::NULL
                })
            });
            let list = list.collect();
            super::quirk(raw, notes, "a list price with more digits than can be multiplied, read as none", unusable, self.list_price);
            Some(list)
        });
        let unit_price = raw.take_money(self.unit_price);
        charges.money("EffectiveCost", cost.clone());
        charges.money("BilledCost", cost);
        charges.money("ListCost", list);
        charges.money("ListUnitPrice", price);
        charges.money("ContractedUnitPrice", unit_price);
        charges.money("PricingQuantity", quantity.clone());
        charges.money("ConsumedQuantity", quantity);
        let unit = raw.take_text(self.unit);
        charges.text("ConsumedUnit", unit.clone());
        charges.text("PricingUnit", unit);
        let currency = raw.take_text(self.currency);
        charges.text("BillingCurrency", currency);
    }

    fn kinds(&self, raw: &mut Raw<'_>, charges: &mut Charges, notes: &mut Notes) {
        let rows = raw.rows;
        let none = TextColumn::constant(None, rows);
        let kind = raw.take_text(self.charge_type).unwrap_or_else(|| none.clone());
        let model = raw.take_text(self.pricing_model).unwrap_or_else(|| none.clone());
        let frequency = raw.take_text(self.frequency).unwrap_or_else(|| none.clone());
        let line_type = per_combination(&[&kind, &model], rows, |texts| match (texts[0], texts[1]) {
            (None, None) => None,
            (Some(kind), None) => Some(kind.to_owned()),
            (kind, Some(model)) => Some(format!("{}/{model}", kind.unwrap_or_default())),
        });
        charges.text("x_SourceLineType", Some(line_type));
        let of_kind = |value: fn(&str) -> Option<&'static str>| {
            per_combination(&[&kind], rows, |texts| value(&texts[0].unwrap_or("usage").to_ascii_lowercase()).map(str::to_owned))
        };
        let category = of_kind(|kind| {
            Some(match kind {
                "purchase" => "Purchase",
                "tax" => "Tax",
                "credit" => "Credit",
                "usage" | "unusedreservation" | "unusedsavingsplan" => "Usage",
                _ => "Adjustment",
            })
        });
        charges.text("ChargeCategory", Some(category));
        charges.text("ChargeClass", Some(of_kind(|kind| (kind == "refund").then_some("Correction"))));
        let frequency = per_combination(&[&frequency], rows, |texts| {
            Some(match texts[0]?.to_ascii_lowercase().as_str() {
                "usagebased" => "Usage-Based".to_owned(),
                "onetime" => "One-Time".to_owned(),
                "recurring" => "Recurring".to_owned(),
                _ => texts[0]?.to_owned(),
            })
        });
        charges.text("ChargeFrequency", Some(frequency));
        let committed = |texts: &[Option<&str>]| match texts[1] {
            Some("Reservation") => Some(("Usage", "Reservation")),
            Some("SavingsPlan") => Some(("Spend", "Savings Plan")),
            _ => match texts[0] {
                Some("UnusedReservation") => Some(("Usage", "Reservation")),
                Some("UnusedSavingsPlan") => Some(("Spend", "Savings Plan")),
                _ => None,
            },
        };
        let derived = |value: &dyn Fn(&[Option<&str>]) -> Option<String>| per_combination(&[&kind, &model], rows, value);
        charges.text("CommitmentDiscountCategory", Some(derived(&|texts| committed(texts).map(|c| c.0.to_owned()))));
        charges.text("CommitmentDiscountType", Some(derived(&|texts| committed(texts).map(|c| c.1.to_owned()))));
        let status = |texts: &[Option<&str>]| match (committed(texts), texts[0]) {
            (Some(_), Some("UnusedReservation" | "UnusedSavingsPlan")) => Some("Unused"),
            (Some(_), Some("Usage") | None) => Some("Used"),
            _ => None,
        };
        charges.text("CommitmentDiscountStatus", Some(derived(&|texts| status(texts).map(str::to_owned))));
        let pricing = derived(&|texts| {
            Some(
                if status(texts).is_some() {
                    "Committed"
                } else if texts[1] == Some("Spot") {
                    "Dynamic"
                } else {
                    "Standard"
                }
                .to_owned(),
            )
        });
        charges.text("PricingCategory", Some(pricing));
        self.commitments(raw, charges, notes);
        self.providers(raw, charges);
    }

    fn commitments(&self, raw: &mut Raw<'_>, charges: &mut Charges, notes: &mut Notes) {
        let rows = raw.rows;
        let none = TextColumn::constant(None, rows);
        for (name, first, second) in
            [("CommitmentDiscountId", self.benefit, self.reservation), ("CommitmentDiscountName", self.benefit_name, self.reservation_name)]
        {
            let preferred = raw.take_text(first).unwrap_or_else(|| none.clone());
            let other = raw.text(second).unwrap_or(&none);
            let either = per_combination(&[&preferred, other], rows, |texts| texts[0].or(texts[1]).map(str::to_owned));
            if first.is_none() {
                raw.take_text(second);
            }
            let what = "a placeholder for null in an id";
            charges.text(name, Some(super::without(raw, either, first.or(second), what, super::is_placeholder, notes)));
        }
    }

    fn providers(&self, raw: &mut Raw<'_>, charges: &mut Charges) {
        let rows = raw.rows;
        let none = TextColumn::constant(None, rows);
        let kind = raw.take_text(self.publisher_type).unwrap_or_else(|| none.clone());
        let publisher = raw.text(self.publisher).unwrap_or(&none);
        let provider = per_combination(&[&kind, publisher], rows, |texts| match (texts[0], texts[1]) {
            (Some("Marketplace"), Some(publisher)) => Some(publisher.to_owned()),
            _ => Some("Microsoft".to_owned()),
        });
        charges.text("ServiceProviderName", Some(provider));
        charges.text("x_BillingEntity", Some(kind));
        charges.constant("HostProviderName", "Microsoft");
        charges.constant("InvoiceIssuerName", "Microsoft");
    }

    /// Tags as a JSON object: EA exports leave the braces away.
    fn tags(&self, raw: &mut Raw<'_>, notes: &mut Notes) -> Option<TextColumn> {
        let tags = raw.take_text(self.tags)?;
        let braced = |text: &str| {
            let text = text.trim();
            let json = if text.starts_with('{') { text.to_owned() } else { format!("{{{}}}", text.trim_end_matches(',')) };
            serde_json::from_str::<serde::de::IgnoredAny>(&json).ok().map(|_| json)
        };
        let valid: Vec<bool> = tags.values.iter().map(|text| braced(text).is_some()).collect();
        let mut invalid = Seen::default();
        for (row, code) in tags.codes.iter().enumerate() {
            if valid.get(*code as usize) == Some(&false) {
                invalid.add(row);
            }
        }
        super::quirk(raw, notes, "tags that are not JSON, kept as text", invalid, self.tags);
        Some(per_combination(&[&tags], raw.rows, |texts| texts[0].map(|text| braced(text).unwrap_or_else(|| text.to_owned()))))
    }
}

/// Price times quantity in units of 10^-18, rounded half-even; `None` when the digits do not fit.
fn product(price: i128, quantity: i128) -> Option<i128> {
    let (price, price_decimals) = without_zeros(price);
    let (quantity, quantity_decimals) = without_zeros(quantity);
    let digits = price.checked_mul(quantity)?;
    let decimals = price_decimals + quantity_decimals;
    let units = if decimals <= money::SCALE {
        digits.checked_mul(money::power_of_ten(money::SCALE - decimals))?
    } else {
        divide_half_even(digits, money::power_of_ten(decimals - money::SCALE))
    };
    money::Amount(units).is_storable().then_some(units)
}

/// Digits and decimals of an amount, without zeros at the end.
const fn without_zeros(units: i128) -> (i128, u32) {
    let (mut digits, mut decimals) = (units, money::SCALE);
    while decimals > 0 && digits % 10 == 0 {
        digits /= 10;
        decimals -= 1;
    }
    (digits, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_exact_where_it_fits_and_absent_where_it_does_not() {
        let amount = |text: &str| money::Amount::parse_exact(text).unwrap().0;
        assert_eq!(product(amount("0.1"), amount("0.0004")), Some(amount("0.00004")));
        assert_eq!(product(amount("-2.5"), amount("1000000")), Some(amount("-2500000")));
        assert_eq!(product(amount("0.000000000000000001"), amount("0.5")), Some(0));
        assert_eq!(product(amount("99999999999999999999"), amount("99999999999999999999")), None);
    }
}
