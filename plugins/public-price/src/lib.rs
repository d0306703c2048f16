//! Re-rates to public price: the tenant pays what it would have paid the provider directly, without the payer's discounts and
//! commitments.
//!
//! The rows of BILLING.md section 5, column R1 and the FOCUS table. Usage that a commitment priced at nothing and that has no list price
//! is held whatever `missing` says: keeping it would give it away.

use rerate_rule::line::{LINE_KIND_COLUMNS, LineKind};
use rerate_rule::{About, Adjust, Combination, ConfigError, Decision, Failure, Field, IfMissing, Kind, Period, Plan, Rule, Total};

const LIST_COST: &str = "ListCost";
/// What covered usage is called once it is priced as if it were not.
const WRITES: [&str; 7] = [
    "x_LineType",
    "PricingCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountCategory",
    "CommitmentDiscountType",
    "CommitmentDiscountStatus",
];

pub struct PublicPrice {
    config: Config,
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    spot: Spot,
    bundled_discounts: Bundled,
    credits: Policy,
    refunds: Policy,
    tax: Tax,
    missing: Missing,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Spot {
    Keep,
    Public,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bundled {
    Keep,
    Drop,
}

/// Whether the tenant sees what the provider gave back, or the payer keeps it.
#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Policy {
    Pass,
    Keep,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tax {
    Strip,
    Pass,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Missing {
    Keep,
    Hold,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            spot: Spot::Keep,
            bundled_discounts: Bundled::Keep,
            credits: Policy::Pass,
            refunds: Policy::Pass,
            tax: Tax::Strip,
            missing: Missing::Keep,
        }
    }
}

impl Rule for PublicPrice {
    type Config = Config;

    const ABOUT: About = About {
        name: "public-price",
        version: env!("CARGO_PKG_VERSION"),
        title: "Public price",
        summary: "Charges the provider's public price, without the payer's commitments and discounts.",
        config: &[
            Field::defaulted("spot", Kind::Choice(&["keep", "public"]), "\"keep\"", "Spot usage at its spot or at its public price."),
            Field::defaulted("bundled_discounts", Kind::Choice(&["keep", "drop"]), "\"keep\"", "Discounts of public bundles."),
            Field::defaulted("credits", Kind::Choice(&["pass", "keep"]), "\"pass\"", "Pass credits to the tenant or keep them."),
            Field::defaulted("refunds", Kind::Choice(&["pass", "keep"]), "\"pass\"", "Pass refunds to the tenant or keep them."),
            Field::defaulted("tax", Kind::Choice(&["strip", "pass"]), "\"strip\"", "Strip the provider's tax, or pass it on."),
            Field::defaulted("missing", Kind::Choice(&["keep", "hold"]), "\"keep\"", "Without a public price: keep the cost, or hold."),
        ],
    };

    fn plan(_: &Config, _: &Period) -> Result<Plan, ConfigError> {
        Ok(Plan::default().dimensions(&LINE_KIND_COLUMNS).reads(&[LIST_COST]).writes(&WRITES))
    }
}

impl Adjust for PublicPrice {
    fn open(config: Config, _: &Period, _: &[Total]) -> Result<Self, Failure> {
        Ok(Self { config })
    }

    fn decide(&mut self, charge: &Combination<'_>) -> Decision {
        let config = self.config;
        match LineKind::of(charge) {
            LineKind::Usage | LineKind::Purchase => self.public(),
            LineKind::Spot if config.spot == Spot::Public => self.public(),
            LineKind::Spot => Decision::keep(""),
            LineKind::Covered => covered(IfMissing::Hold),
            // Billed at its public price already, so keeping it gives nothing away.
            LineKind::CoveredAndNetted => covered(self.if_missing()),
            LineKind::Negation => Decision::drop("nets usage that is now charged in full"),
            LineKind::CommitmentFee => Decision::drop("the payer's commitment"),
            LineKind::PayerDiscount => Decision::drop("the payer's discount"),
            LineKind::BundledDiscount if config.bundled_discounts == Bundled::Drop => Decision::drop("bundled discount"),
            LineKind::Tax if config.tax == Tax::Strip => Decision::drop("tax is charged anew on what the tenant pays"),
            LineKind::Credit if config.credits == Policy::Keep => Decision::drop("the payer keeps credits"),
            LineKind::Refund if config.refunds == Policy::Keep => Decision::drop("the payer keeps refunds"),
            LineKind::Correction => Decision::keep("prior-period delta"),
            LineKind::Unknown => Decision::hold("unknown line type"),
            LineKind::Fee
            | LineKind::Marketplace
            | LineKind::BundledDiscount
            | LineKind::Tax
            | LineKind::Credit
            | LineKind::Refund
            | LineKind::Added => Decision::keep(""),
        }
    }
}

impl PublicPrice {
    fn public(&self) -> Decision {
        Decision::copied(LIST_COST, self.if_missing(), "list price")
    }

    fn if_missing(&self) -> IfMissing {
        match self.config.missing {
            Missing::Keep => IfMissing::Keep,
            Missing::Hold => IfMissing::Hold,
        }
    }
}

fn covered(if_missing: IfMissing) -> Decision {
    let [line_type, pricing_category, commitment @ ..] = WRITES;
    let decision = Decision::copied(LIST_COST, if_missing, "list price without the commitment")
        .relabel(line_type, Some("Usage"))
        .relabel(pricing_category, Some("Standard"));
    commitment.into_iter().fold(decision, |decision, column| decision.relabel(column, None))
}

rerate_rule::export!(adjust PublicPrice);

#[cfg(test)]
mod tests;
