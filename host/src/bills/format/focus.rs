//! FOCUS 1.0 to 1.4: the canonical names already. What this adds is tolerance for how exports write null, enumerations and amounts, each
//! case counted.

use super::super::cells::{MoneyRole, Seen, is_null_word};
use super::super::charges::Charges;
use super::super::derive::per_combination;
use super::super::error::BillError;
use super::super::raw::Raw;
use super::super::report::Notes;
use super::{Finder, Found, Mapping};
use crate::domain::charge::{Kind, STORED};
use crate::domain::columns::TextColumn;

/// Stored columns that are ours even if a source has columns of these names.
const OURS: &[&str] = &["x_SourceFormat", "x_SourceLineType", "x_SourceRowKey", "x_CommitmentOwnerAccountId", "x_DiscountBreakdown"];

/// Values that columns of a closed set may have.
const CLOSED: &[(&str, &[&str])] = &[
    ("ChargeCategory", &["Usage", "Purchase", "Tax", "Credit", "Adjustment"]),
    ("ChargeClass", &["Correction"]),
    ("ChargeFrequency", &["One-Time", "Recurring", "Usage-Based"]),
    ("PricingCategory", &["Standard", "Dynamic", "Committed", "Other"]),
    ("CommitmentDiscountCategory", &["Spend", "Usage"]),
    ("CommitmentDiscountStatus", &["Used", "Unused"]),
];

struct Columns {
    stored: Vec<(&'static str, Kind, Option<usize>)>,
    provider: Option<usize>,
    publisher: Option<usize>,
    discounts: Option<usize>,
}

/// Recognises FOCUS by the two columns that every version and every example has.
pub(super) fn detect(finder: &mut Finder<'_>) -> Result<Option<Found>, BillError> {
    if !finder.has("billedcost") || !finder.has("chargecategory") {
        return Ok(None);
    }
    finder.is("FOCUS");
    let role = MoneyRole { tidied: true, ..MoneyRole::default() };
    let stored = STORED.iter().filter(|(name, _)| !OURS.contains(name)).map(|(name, kind)| {
        let key = super::key(name);
        let column = match kind {
            Kind::Text => finder.text(&[&key]),
            Kind::Money => finder.money(&[&key], role),
            Kind::Time => finder.time(&[&key]),
        };
        (*name, *kind, column)
    });
    let columns = Columns {
        stored: stored.collect(),
        provider: finder.text(&["providername"]),
        publisher: finder.text(&["publishername"]),
        discounts: finder.text(&["xdiscounts"]),
    };
    finder.need(columns.of("BillingPeriodStart").or(columns.of("ChargePeriodStart")), "BillingPeriodStart")?;
    let currency = columns.of("BillingCurrency");
    Ok(Some(Found { format: "focus", currency, mapping: Box::new(columns) }))
}

impl Mapping for Columns {
    fn charges(&self, raw: &mut Raw<'_>, notes: &mut Notes) -> Result<Charges, BillError> {
        let mut charges = Charges::new(raw.rows);
        let (mut start, mut end, mut charged) = (None, None, None);
        for (name, kind, column) in &self.stored {
            match kind {
                Kind::Text => {
                    let text = self.text(raw, name, *column, notes);
                    charges.text(name, text);
                }
                Kind::Money => {
                    let units = raw.take_money(*column);
                    charges.money(name, units);
                }
                Kind::Time => {
                    let micros = raw.take_times(*column);
                    match *name {
                        "BillingPeriodStart" => start = micros,
                        "BillingPeriodEnd" => end = micros,
                        "ChargePeriodStart" => charged = micros,
                        name => charges.time(name, micros),
                    }
                }
            }
        }
        let (start, end) = super::with_period(start, end, charged.as_deref());
        charges.time("BillingPeriodStart", start);
        charges.time("BillingPeriodEnd", end);
        charges.time("ChargePeriodStart", charged);
        self.provider(raw, &mut charges);
        let owner = charges.stored_text("CommitmentDiscountId").map(|ids| super::owner_of_arn(ids, raw.rows));
        charges.text("x_CommitmentOwnerAccountId", owner);
        let discounts = raw.take_text(self.discounts);
        charges.text("x_DiscountBreakdown", discounts);
        Ok(charges)
    }
}

impl Columns {
    fn of(&self, name: &str) -> Option<usize> {
        self.stored.iter().find(|(stored, _, _)| *stored == name).and_then(|(_, _, column)| *column)
    }

    fn text(&self, raw: &mut Raw<'_>, name: &str, column: Option<usize>, notes: &mut Notes) -> Option<TextColumn> {
        let text = raw.take_text(column)?;
        let text = super::without(raw, text, column, "a word for null in a text column", is_null_word, notes);
        let text = if name.ends_with("Id") {
            super::without(raw, text, column, "a placeholder for null in an id", super::is_placeholder, notes)
        } else {
            text
        };
        Some(match CLOSED.iter().find(|(closed, _)| *closed == name) {
            Some((_, values)) => closed(raw, &text, column, values, notes),
            None => text,
        })
    }

    /// Up to 1.2 the service provider is `ProviderName`; some exports leave it empty and name the publisher.
    fn provider(&self, raw: &mut Raw<'_>, charges: &mut Charges) {
        let rows = raw.rows;
        let none = TextColumn::constant(None, rows);
        let own = charges.stored_text("ServiceProviderName").unwrap_or(&none);
        let provider = raw.text(self.provider).unwrap_or(&none);
        let publisher = raw.text(self.publisher).unwrap_or(&none);
        let named = per_combination(&[own, provider, publisher], rows, |texts| {
            texts.iter().flatten().find(|text| !is_null_word(text)).map(|text| (*text).to_owned())
        });
        if self.of("ServiceProviderName").is_none() {
            raw.take_text(self.provider);
        }
        charges.text("ServiceProviderName", Some(named));
    }
}

/// Values of a closed set as the specification writes them; others stay and are counted.
fn closed(raw: &Raw<'_>, text: &TextColumn, column: Option<usize>, values: &[&str], notes: &mut Notes) -> TextColumn {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let meant = |text: &str| values.iter().find(|value| letters(value) == letters(text)).copied();
    let (mut rewritten, mut unknown) = (Seen::default(), Seen::default());
    let kinds: Vec<u8> = text.values.iter().map(|value| meant(value).map_or(2, |meant| u8::from(meant != value))).collect();
    for (row, code) in text.codes.iter().enumerate() {
        match kinds.get(*code as usize) {
            Some(1) => rewritten.add(row),
            Some(2) => unknown.add(row),
            _ => {}
        }
    }
    super::quirk(raw, notes, "a value of a closed set in another writing", rewritten, column);
    super::quirk(raw, notes, "a value that the specification does not have", unknown, column);
    if rewritten.count == 0 {
        return text.clone();
    }
    per_combination(&[text], raw.rows, |texts| texts[0].map(|text| meant(text).unwrap_or(text).to_owned()))
}
