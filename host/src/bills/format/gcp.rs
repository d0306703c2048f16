//! Google Cloud billing export from BigQuery, flattened to dotted column names: the net cost is the cost plus its credits.

use super::super::cells::MoneyRole;
use super::super::charges::Charges;
use super::super::derive::{PerValue, json_object, per_combination};
use super::super::error::BillError;
use super::super::raw::Raw;
use super::super::report::Notes;
use super::{Finder, Found, Mapping};
use crate::domain::columns::TextColumn;
use crate::domain::money::{self, Amount};

#[derive(Debug)]
struct Columns {
    cost: Option<usize>,
    credits: Option<usize>,
    list: Option<usize>,
    quantity: Option<usize>,
    consumed: Option<usize>,
    month: Option<usize>,
    start: Option<usize>,
    end: Option<usize>,
    cost_type: Option<usize>,
    currency: Option<usize>,
    sku: Option<usize>,
    labels: Option<usize>,
    texts: Vec<(&'static str, Option<usize>)>,
}

/// Recognises the export by its account, its service and its cost.
pub(super) fn detect(finder: &mut Finder<'_>) -> Result<Option<Found>, BillError> {
    let f = finder;
    if !f.has("billingaccountid") || !f.has("cost") || f.text(&["skuid", "servicedescription"]).is_none() {
        return Ok(None);
    }
    f.is("Google Cloud");
    let plain = MoneyRole::default();
    let columns = Columns {
        cost: f.money(&["cost"], MoneyRole { verbatim: true, ..plain }),
        credits: f.text(&["credits"]),
        list: f.money(&["costatlist"], plain),
        quantity: f.money(&["usageamountinpricingunits"], plain),
        consumed: f.money(&["usageamount"], plain),
        month: f.time(&["invoicemonth"]),
        start: f.time(&["usagestarttime"]),
        end: f.time(&["usageendtime"]),
        cost_type: f.text(&["costtype"]),
        currency: f.text(&["currency"]),
        sku: f.text(&["skudescription"]),
        labels: f.text(&["labels"]),
        texts: vec![
            ("BillingAccountId", f.text(&["billingaccountid"])),
            ("SubAccountId", f.text(&["projectid"])),
            ("SubAccountName", f.text(&["projectname"])),
            ("ServiceName", f.text(&["servicedescription"])),
            ("x_ServiceCode", f.text(&["serviceid"])),
            ("SkuId", f.text(&["skuid"])),
            ("RegionId", f.text(&["locationregion", "locationlocation"])),
            ("AvailabilityZone", f.text(&["locationzone"])),
            ("ResourceId", f.text(&["resourceglobalname"])),
            ("ResourceName", f.text(&["resourcename"])),
            ("PricingUnit", f.text(&["usagepricingunit"])),
            ("ConsumedUnit", f.text(&["usageunit"])),
        ],
    };
    f.need(columns.currency, "currency")?;
    f.need(columns.month.or(columns.start), "invoice.month")?;
    Ok(Some(Found { format: "gcp", currency: columns.currency, mapping: Box::new(columns) }))
}

impl Mapping for Columns {
    fn charges(&self, raw: &mut Raw<'_>, notes: &mut Notes) -> Result<Charges, BillError> {
        let rows = raw.rows;
        let mut charges = Charges::new(rows);
        let net = self.net(raw, notes)?;
        charges.money("EffectiveCost", Some(net.clone()));
        charges.money("BilledCost", Some(net));
        for (name, column) in [("ListCost", self.list), ("PricingQuantity", self.quantity), ("ConsumedQuantity", self.consumed)] {
            let units = raw.take_money(column);
            charges.money(name, units);
        }
        let (start, end) = (raw.take_times(self.start), raw.take_times(self.end));
        let (month, after) = super::with_period(raw.take_times(self.month), None, start.as_deref());
        charges.time("BillingPeriodStart", month);
        charges.time("BillingPeriodEnd", after);
        charges.time("ChargePeriodStart", start);
        charges.time("ChargePeriodEnd", end);
        self.kinds(raw, &mut charges);
        for (name, column) in &self.texts {
            let text = raw.take_text(*column);
            charges.text(name, text);
        }
        let currency = raw.take_text(self.currency);
        charges.text("BillingCurrency", currency);
        let labels = raw.take_text(self.labels);
        charges.text("Tags", labels.map(|labels| per_combination(&[&labels], rows, |texts| object_of_labels(texts[0]?))));
        let credits = raw.take_text(self.credits);
        charges.text(
            "x_DiscountBreakdown",
            credits.map(|credits| per_combination(&[&credits], rows, |texts| texts[0].filter(|text| *text != "[]").map(str::to_owned))),
        );
        for name in ["HostProviderName", "InvoiceIssuerName", "ServiceProviderName"] {
            charges.constant(name, "Google Cloud");
        }
        Ok(charges)
    }
}

impl Columns {
    /// Cost plus credits; the cost stays a native column where credits change it.
    fn net(&self, raw: &mut Raw<'_>, notes: &mut Notes) -> Result<Vec<i128>, BillError> {
        let mut wrong = None;
        let mut rounded = (0_u64, 0_i128);
        let credits = PerValue::new(raw.text(self.credits), |text| match text.map_or(Ok((0, 0)), credit_total) {
            Ok((units, away)) => {
                if away != 0 {
                    rounded = (rounded.0 + 1, rounded.1 + away);
                }
                units
            }
            Err(why) => {
                wrong.get_or_insert((text.unwrap_or_default().to_owned(), why));
                0
            }
        });
        if let Some((value, why)) = wrong {
            let row = raw.text(self.credits).and_then(|column| (0..raw.rows).find(|row| column.get(*row) == Some(&value))).unwrap_or(0);
            let place = raw.place(row, Some("credits"));
            return Err(BillError::NotAnAmount { place, value: super::super::cells::shortened(&value), why });
        }
        if rounded.0 > 0 {
            notes.rounded("credits", rounded.0, rounded.1);
        }
        let sums: Vec<i128> = (0..raw.rows).map(|row| credits.of(raw.text(self.credits), row)).collect();
        let costs = raw.money(self.cost).unwrap_or_default();
        let mut net = Vec::with_capacity(raw.rows);
        for (cost, credit) in costs.iter().zip(&sums) {
            net.push(match (*cost, *credit) {
                (cost, 0) => cost,
                (money::NULL, credit) => credit,
                (cost, credit) => cost.checked_add(credit).ok_or(BillError::SumTooLarge { column: "cost and credits".to_owned() })?,
            });
        }
        raw.leave(self.cost, |row, _| sums[row] == 0);
        Ok(net)
    }

    fn kinds(&self, raw: &mut Raw<'_>, charges: &mut Charges) {
        let rows = raw.rows;
        let types = raw.take_text(self.cost_type).unwrap_or_else(|| TextColumn::constant(Some("regular"), rows));
        let category = per_combination(&[&types], rows, |texts| {
            Some(match texts[0] {
                Some("regular") | None => "Usage".to_owned(),
                Some("tax") => "Tax".to_owned(),
                Some(_) => "Adjustment".to_owned(),
            })
        });
        charges.text("ChargeCategory", Some(category));
        charges.text("x_SourceLineType", Some(types));
        let sku = raw.take_text(self.sku);
        let pricing = sku.as_ref().map(|sku| {
            per_combination(&[sku], rows, |texts| {
                let spot = texts[0].is_some_and(|text| text.contains("Spot ") || text.contains("Preemptible"));
                Some(if spot { "Dynamic" } else { "Standard" }.to_owned())
            })
        });
        charges.text("PricingCategory", pricing);
        charges.text("SkuMeter", sku.clone());
        charges.text("ChargeDescription", sku);
    }
}

const NOT_CREDITS: &str = "not a JSON list of credits";

/// The sum of the `amount`s of a list of credits, and what rounding took away. Numbers are read as text: JSON libraries make floats of
/// them.
fn credit_total(text: &str) -> Result<(i128, i128), String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| NOT_CREDITS.to_owned())?;
    if text.trim() == "null" {
        return Ok((0, 0));
    }
    let bytes = text.as_bytes();
    let (mut units, mut away) = (0_i128, 0_i128);
    let (mut at, mut depth) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'[' if depth != 1 => depth += 1,
            b'{' if depth != 0 => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' if depth > 1 => {
                let end = end_of_string(bytes, at);
                let behind = text[end..].trim_start();
                if depth == 2 && &text[at..end] == "\"amount\"" && behind.starts_with(':') {
                    let value = behind[1..].trim_start();
                    let value = match value.strip_prefix('"') {
                        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
                        None => value.split([',', '}', ' ', '\t', '\r', '\n']).next().unwrap_or_default(),
                    };
                    if value != "null" {
                        let parsed = Amount::parse(value.as_bytes()).map_err(|error| format!("credit {value:?}: {error}"))?;
                        units = units.checked_add(parsed.amount.0).ok_or("the sum of the credits is too large")?;
                        away += parsed.rounded_away;
                    }
                }
                at = end;
                continue;
            }
            b',' => {}
            // A list, of objects: in any other shape no credit would be found, and the customer would pay what was credited.
            byte if depth < 2 && !byte.is_ascii_whitespace() => return Err(NOT_CREDITS.to_owned()),
            _ => {}
        }
        at += 1;
    }
    Ok((units, away))
}

/// One past the closing quote; the text is known to be JSON.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// `[{"key": "a", "value": "b"}]` to `{"a":"b"}`; what has another shape stays as it is.
fn object_of_labels(text: &str) -> Option<String> {
    let Ok(serde_json::Value::Array(labels)) = serde_json::from_str(text) else { return Some(text.to_owned()) };
    let members: Option<Vec<(&str, &str)>> =
        labels.iter().map(|label| Some((label.get("key")?.as_str()?, label.get("value")?.as_str()?))).collect();
    members.map_or_else(|| Some(text.to_owned()), json_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_of_another_shape_are_refused_and_not_passed_over() {
        for text in [
            "[{'amount': 1}]",
            r#"{"amount": -5}"#,
            r#"{"list": [{"amount": -5}]}"#,
            r#"[[{"amount": -5}]]"#,
            "-5",
            "[-5]",
            r#"["amount"]"#,
            r#""amount""#,
            r#"[{"amount": "-1,5"}]"#,
            r#"[{"amount": {"value": -5}}]"#,
        ] {
            assert!(credit_total(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credits_are_summed_exactly_and_only_their_own_amounts_count() {
        let text = r#"[{"name": "a \"amount\": 5", "amount": -0.1, "type": "X"}, {"amount":-2e-1,"more":{"amount":7}}, {"amount": null}]"#;
        assert_eq!(credit_total(text).map(|(units, _)| Amount(units).to_string()), Ok("-0.3".to_owned()));
        for none in ["[]", " [ ] ", "null", "[{}]", r#"[{"amount": null}]"#] {
            assert_eq!(credit_total(none), Ok((0, 0)), "{none}");
        }
        assert_eq!(
            credit_total("[{\"amount\":\"-0.25\"},{\"amount\":\t-1\t}]").map(|(units, _)| Amount(units).to_string()),
            Ok("-1.25".to_owned())
        );
    }
}
