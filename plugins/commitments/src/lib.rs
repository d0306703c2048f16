//! Takes commitment discounts away where the payer, or another tenant, bought the commitment: who bought it keeps what it saves.
//!
//! The rows of BILLING.md section 5, column R2 and the FOCUS table. Whose a commitment is, the daemon finds in its ARN: the column
//! `x_CommitmentOwner`. A commitment of nobody known is held.

use rerate_rule::line::{LINE_KIND_COLUMNS, LineKind};
use rerate_rule::{About, Adjust, Combination, ConfigError, Decision, Failure, Field, IfMissing, Kind, Period, Plan, Rule, Total, Where};

const COMMITMENT_OWNER: &str = "x_CommitmentOwner";
const LIST_COST: &str = "ListCost";
const CONTRACTED_COST: &str = "ContractedCost";
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

pub struct Commitments {
    owners: Owners,
    price: Price,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    owners: Owners,
    #[serde(default)]
    price: Price,
    #[serde(default, rename = "where")]
    conditions: Where,
}

/// Whose commitments the tenant must not profit from.
#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Owners {
    #[default]
    Payer,
    OtherTenant,
    Both,
}

/// What covered usage costs instead.
#[derive(Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Price {
    #[default]
    List,
    Contracted,
}

impl Rule for Commitments {
    type Config = Config;

    const ABOUT: About = About {
        name: "commitments",
        version: env!("CARGO_PKG_VERSION"),
        title: "Commitments",
        summary: "Removes the discounts of reservations and savings plans by who bought them.",
        config: &[
            Field::defaulted(
                "owners",
                Kind::Choice(&["payer", "other-tenant", "both"]),
                "\"payer\"",
                "Whose commitments the tenant does not profit from.",
            ),
            Field::defaulted("price", Kind::Choice(&["list", "contracted"]), "\"list\"", "What usage without the commitment costs."),
            Field::conditions(),
        ],
    };

    fn plan(config: &Config, _: &Period) -> Result<Plan, ConfigError> {
        let mut dimensions = LINE_KIND_COLUMNS.to_vec();
        dimensions.push(COMMITMENT_OWNER);
        Ok(Plan::default().dimensions(&dimensions).reads(&[config.price.column()]).writes(&WRITES).applies_to(config.conditions.clone()))
    }
}

impl Price {
    const fn column(self) -> &'static str {
        match self {
            Self::List => LIST_COST,
            Self::Contracted => CONTRACTED_COST,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::List => "list price without a commitment of others",
            Self::Contracted => "contracted price without a commitment of others",
        }
    }
}

impl Adjust for Commitments {
    fn open(config: Config, _: &Period, _: &[Total]) -> Result<Self, Failure> {
        Ok(Self { owners: config.owners, price: config.price })
    }

    fn decide(&mut self, charge: &Combination<'_>) -> Decision {
        let removed = match LineKind::of(charge) {
            // Billed at nothing: without a price, keeping it would give it away.
            LineKind::Covered => self.covered(IfMissing::Hold),
            LineKind::CoveredAndNetted => self.covered(IfMissing::Keep),
            LineKind::Negation => Decision::drop("nets usage that is now charged in full"),
            LineKind::CommitmentFee => Decision::drop("a commitment of others"),
            LineKind::Tax => return Decision::drop("tax is charged anew on what the tenant pays"),
            LineKind::Correction => return Decision::keep("prior-period delta"),
            LineKind::Unknown => return Decision::hold("unknown line type"),
            LineKind::Usage
            | LineKind::Spot
            | LineKind::Fee
            | LineKind::Purchase
            | LineKind::Marketplace
            | LineKind::PayerDiscount
            | LineKind::BundledDiscount
            | LineKind::Credit
            | LineKind::Refund
            | LineKind::Added => return Decision::keep(""),
        };
        match charge.get(COMMITMENT_OWNER) {
            Some("tenant") => Decision::keep("the tenant's own commitment"),
            Some("payer") if self.owners != Owners::OtherTenant => removed,
            Some("other-tenant") if self.owners != Owners::Payer => removed,
            Some("payer") => Decision::keep("the payer shares its commitment"),
            Some("other-tenant") => Decision::keep("another tenant's commitment, shared"),
            _ => Decision::hold("nobody known owns the commitment"),
        }
    }
}

impl Commitments {
    fn covered(&self, if_missing: IfMissing) -> Decision {
        let [line_type, pricing_category, commitment @ ..] = WRITES;
        let decision = Decision::copied(self.price.column(), if_missing, self.price.reason())
            .relabel(line_type, Some("Usage"))
            .relabel(pricing_category, Some("Standard"));
        commitment.into_iter().fold(decision, |decision, column| decision.relabel(column, None))
    }
}

rerate_rule::export!(adjust Commitments);

#[cfg(test)]
mod tests {
    use super::*;
    use rerate_rule::testing::{Rated, Table, charged, period};
    use rerate_rule::{Treatment, session};

    const COLUMNS: [&str; 7] =
        ["x_SourceFormat", "x_SourceLineType", "CommitmentDiscountId", COMMITMENT_OWNER, LIST_COST, CONTRACTED_COST, "BilledCost"];

    /// One AWS line of list cost 10 and billed cost 7.
    fn line(config: &str, line_type: &str, owner: &str) -> (Treatment, String) {
        let commitment = if owner.is_empty() { "" } else { "arn" };
        let rated = rate(config, &[&["cur", line_type, commitment, owner, "10", "", "7"]]);
        (rated[0].treatment, rated[0].customer_cost.to_string())
    }

    fn rate(config: &str, rows: &[&[&str]]) -> Vec<Rated> {
        Table::new(&COLUMNS, rows).rate::<Commitments>(config).unwrap()
    }

    fn of(treatment: Treatment, cost: &str) -> (Treatment, String) {
        (treatment, cost.to_owned())
    }

    #[test]
    fn who_bought_a_commitment_decides() {
        for (owners, owner, covered, fee) in [
            ("payer", "tenant", of(Treatment::Keep, "7"), Treatment::Keep),
            ("payer", "payer", of(Treatment::Keep, "10"), Treatment::Drop),
            ("payer", "other-tenant", of(Treatment::Keep, "7"), Treatment::Keep),
            ("payer", "unknown", of(Treatment::Hold, "7"), Treatment::Hold),
            ("other-tenant", "tenant", of(Treatment::Keep, "7"), Treatment::Keep),
            ("other-tenant", "payer", of(Treatment::Keep, "7"), Treatment::Keep),
            ("other-tenant", "other-tenant", of(Treatment::Keep, "10"), Treatment::Drop),
            ("both", "tenant", of(Treatment::Keep, "7"), Treatment::Keep),
            ("both", "payer", of(Treatment::Keep, "10"), Treatment::Drop),
            ("both", "other-tenant", of(Treatment::Keep, "10"), Treatment::Drop),
            ("both", "unknown", of(Treatment::Hold, "7"), Treatment::Hold),
        ] {
            let config = format!(r#"{{"owners":"{owners}"}}"#);
            for line_type in ["DiscountedUsage", "SavingsPlanCoveredUsage"] {
                assert_eq!(line(&config, line_type, owner), covered, "{owners} {owner} {line_type}");
            }
            for line_type in ["SavingsPlanNegation", "SavingsPlanRecurringFee", "SavingsPlanUpfrontFee", "RIFee", "Fee"] {
                assert_eq!(line(&config, line_type, owner).0, fee, "{owners} {owner} {line_type}");
            }
        }
    }

    #[test]
    fn lines_without_a_commitment_are_kept_except_tax_and_what_is_unknown() {
        for line_type in ["Usage", "Fee", "FlatRateSubscription", "EdpDiscount", "RiVolumeDiscount", "BundledDiscount", "Credit", "Refund"]
        {
            assert_eq!(line("{}", line_type, ""), of(Treatment::Keep, "7"), "{line_type}");
        }
        assert_eq!(line("{}", "Tax", "").0, Treatment::Drop);
        assert_eq!(line("{}", "Discount", "").0, Treatment::Hold);
    }

    #[test]
    fn a_payers_savings_plan_leaves_the_tenant_with_its_usage_at_list_price() {
        let rated = rate(
            "{}",
            &[
                &["cur2", "SavingsPlanCoveredUsage", "arn:1", "payer", "215.47", "", "215.47"],
                &["cur2", "SavingsPlanNegation", "arn:1", "payer", "", "", "-215.47"],
                &["cur2", "SavingsPlanRecurringFee", "arn:1", "payer", "", "", "150"],
                &["cur2", "DiscountedUsage", "arn:2", "tenant", "50", "", "0"],
                &["cur2", "RIFee", "arn:2", "tenant", "", "", "30"],
            ],
        );
        assert_eq!(charged(&rated).to_string(), "245.47");
        assert_eq!(rated[0].relabelled["x_LineType"].as_deref(), Some("Usage"));
        assert_eq!(rated[0].relabelled["CommitmentDiscountId"], None);
        assert!(rated[3].relabelled.is_empty());
    }

    #[test]
    fn focus_rows_take_the_list_or_the_contracted_price() {
        let columns = [
            "x_SourceFormat",
            "ChargeCategory",
            "PricingCategory",
            "CommitmentDiscountId",
            "CommitmentDiscountStatus",
            COMMITMENT_OWNER,
            LIST_COST,
            CONTRACTED_COST,
            "BilledCost",
        ];
        let rows: [&[&str]; 5] = [
            &["focus", "Usage", "Committed", "c", "Used", "payer", "10", "8", "0"],
            &["focus", "Usage", "Committed", "c", "Unused", "payer", "", "", "2"],
            &["focus", "Usage", "Committed", "d", "Unused", "tenant", "", "", "3"],
            &["focus", "Purchase", "", "c", "", "payer", "", "", "100"],
            &["focus", "Usage", "Standard", "", "", "", "10", "8", "8"],
        ];
        let table = Table::new(&columns, &rows);
        let costs =
            |config: &str| table.rate::<Commitments>(config).unwrap().iter().map(|row| row.customer_cost.to_string()).collect::<Vec<_>>();
        assert_eq!(costs("{}"), ["10", "0", "3", "0", "8"]);
        assert_eq!(costs(r#"{"price":"contracted"}"#), ["8", "0", "3", "0", "8"]);
    }

    #[test]
    fn covered_usage_without_a_price_is_held_where_its_bill_amount_is_no_price() {
        let config = r#"{"price":"contracted"}"#;
        assert_eq!(line(config, "DiscountedUsage", "payer").0, Treatment::Hold);
        assert_eq!(line(config, "SavingsPlanCoveredUsage", "payer"), of(Treatment::Keep, "7"));
    }

    #[test]
    fn a_policy_that_does_not_exist_is_refused_by_its_field() {
        for (config, pointer) in
            [(r#"{"owners":"tenant"}"#, "/owners"), (r#"{"price":"public"}"#, "/price"), (r#"{"owner":"payer"}"#, "/owner")]
        {
            assert_eq!(session::configure::<Commitments>(config, &period("2026-09")).unwrap_err().pointer, pointer, "{config}");
        }
    }
}
