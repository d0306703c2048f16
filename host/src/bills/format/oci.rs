//! Oracle Cloud cost report.

use super::super::cells::MoneyRole;
use super::super::charges::Charges;
use super::super::derive::per_combination;
use super::super::error::BillError;
use super::super::raw::Raw;
use super::super::report::Notes;
use super::{Finder, Found, Mapping};
use crate::domain::columns::TextColumn;

#[derive(Debug)]
struct Columns {
    reference: Option<usize>,
    cost: Option<usize>,
    quantity: Option<usize>,
    unit_price: Option<usize>,
    start: Option<usize>,
    end: Option<usize>,
    correction: Option<usize>,
    currency: Option<usize>,
    unit: Option<usize>,
    texts: Vec<(&'static str, Option<usize>)>,
    tags: Vec<(usize, String)>,
}

/// Recognises the report by `cost/myCost`.
pub(super) fn detect(finder: &mut Finder<'_>) -> Result<Option<Found>, BillError> {
    let f = finder;
    if !f.has("costmycost") {
        return Ok(None);
    }
    f.is("Oracle Cloud");
    let plain = MoneyRole::default();
    let columns = Columns {
        reference: f.key(&["lineitemreferenceno"]),
        cost: f.money(&["costmycost"], plain),
        quantity: f.money(&["usagebilledquantity"], plain),
        unit_price: f.money(&["costunitprice"], plain),
        start: f.time(&["lineitemintervalusagestart"]),
        end: f.time(&["lineitemintervalusageend"]),
        correction: f.text(&["lineitemiscorrection"]),
        currency: f.text(&["costcurrencycode"]),
        unit: f.text(&["costskuunitdescription"]),
        texts: vec![
            ("BillingAccountId", f.text(&["lineitemtenantid"])),
            ("SubAccountId", f.text(&["productcompartmentid"])),
            ("SubAccountName", f.text(&["productcompartmentname"])),
            ("ServiceName", f.text(&["productservice"])),
            ("ChargeDescription", f.text(&["productdescription"])),
            ("SkuId", f.text(&["costproductsku"])),
            ("RegionId", f.text(&["productregion"])),
            ("AvailabilityZone", f.text(&["productavailabilitydomain"])),
            ("ResourceId", f.text(&["productresourceid"])),
        ],
        tags: f.prefixed("tags/"),
    };
    f.need(columns.start, "lineItem/intervalUsageStart")?;
    f.need(columns.currency, "cost/currencyCode")?;
    Ok(Some(Found { format: "oci", currency: columns.currency, mapping: Box::new(columns) }))
}

impl Mapping for Columns {
    fn charges(&self, raw: &mut Raw<'_>, _notes: &mut Notes) -> Result<Charges, BillError> {
        let rows = raw.rows;
        let mut charges = Charges::new(rows);
        let cost = raw.take_money(self.cost);
        charges.money("EffectiveCost", cost.clone());
        charges.money("BilledCost", cost);
        let quantity = raw.take_money(self.quantity);
        charges.money("PricingQuantity", quantity.clone());
        charges.money("ConsumedQuantity", quantity);
        let price = raw.take_money(self.unit_price);
        charges.money("ContractedUnitPrice", price);
        let (start, end) = (raw.take_times(self.start), raw.take_times(self.end));
        let (month, after) = super::with_period(None, None, start.as_deref());
        charges.time("BillingPeriodStart", month);
        charges.time("BillingPeriodEnd", after);
        charges.time("ChargePeriodStart", start);
        charges.time("ChargePeriodEnd", end);
        for (name, column) in &self.texts {
            let text = raw.take_text(*column);
            charges.text(name, text);
        }
        let currency = raw.take_text(self.currency);
        charges.text("BillingCurrency", currency);
        let unit = raw.take_text(self.unit);
        charges.text("ConsumedUnit", unit.clone());
        charges.text("PricingUnit", unit);
        let correction = raw.take_text(self.correction).unwrap_or_else(|| TextColumn::constant(None, rows));
        let class = per_combination(&[&correction], rows, |texts| (texts[0] == Some("true")).then(|| "Correction".to_owned()));
        charges.text("ChargeClass", Some(class));
        let key = raw.take_key(self.reference, None)?;
        charges.text("x_SourceRowKey", key);
        let tags = super::object_of_columns(raw, &self.tags);
        charges.text("Tags", tags);
        charges.constant("ChargeCategory", "Usage");
        charges.constant("ChargeFrequency", "Usage-Based");
        charges.constant("PricingCategory", "Standard");
        charges.constant("x_SourceLineType", "usage");
        for name in ["HostProviderName", "InvoiceIssuerName", "ServiceProviderName"] {
            charges.constant(name, "Oracle");
        }
        Ok(charges)
    }
}
