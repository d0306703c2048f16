//! What a rule did to a case, and the text of `expected.csv`.
//!
//! The text is one block for each thing that the rule can do, blocks separated by an empty line, each a table whose first column names
//! what it counts: `Charge`, `Line`, `Finding`; or one block `Refused` or `Failed`. Numbers count from one, so that a difference can be
//! talked about.

use std::collections::BTreeMap;

use super::csv_text::push_record;
use crate::domain::money::Amount;
use crate::domain::rule::{ConfigError, Finding, Line, Severity, Treatment};

/// One charge, as the rule left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatedCharge {
    pub customer_cost: Amount,
    pub treatment: Treatment,
    /// Empty where the rule left the charge alone.
    pub reason: String,
}

/// What a rule did to a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Rated {
        /// In the order of the input; none where the rule cannot change charges.
        charges: Option<Vec<RatedCharge>>,
        /// Columns that the rule set on any charge, whole, by name.
        relabelled: BTreeMap<String, Vec<Option<String>>>,
        /// None where the rule cannot add lines.
        lines: Option<Vec<Line>>,
        /// None where the rule cannot report findings.
        findings: Option<Vec<Finding>>,
    },
    /// The rule refused the configuration.
    Refused(ConfigError),
    /// The rule failed, in the words of the daemon.
    Failed(String),
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Block => "block",
    }
}

impl Outcome {
    /// The text of `expected.csv`.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        match self {
            Self::Refused(error) => {
                push_record(&mut text, ["Refused", "Pointer", "Message"]);
                push_record(&mut text, ["1", &error.pointer, &error.message]);
            }
            Self::Failed(reason) => {
                push_record(&mut text, ["Failed", "Reason"]);
                push_record(&mut text, ["1", stable(reason)]);
            }
            Self::Rated { charges, relabelled, lines, findings } => {
                if let Some(charges) = charges {
                    push_charges(&mut text, charges, relabelled);
                }
                if let Some(lines) = lines {
                    begin_block(
                        &mut text,
                        &["Line", "ChargeCategory", "ChargeDescription", "ServiceName", "SubAccountId", "x_CustomerCost", "Reason"],
                    );
                    for (number, line) in (1_u64..).zip(lines) {
                        let (number, amount) = (number.to_string(), line.amount.to_string());
                        let account = line.sub_account_id.as_deref().unwrap_or_default();
                        let texts = [&line.charge_category, &line.description, &line.service_name].map(String::as_str);
                        push_record(&mut text, [number.as_str()].into_iter().chain(texts).chain([account, &amount, &line.reason]));
                    }
                }
                if let Some(findings) = findings {
                    begin_block(&mut text, &["Finding", "Severity", "Message"]);
                    for (number, finding) in (1_u64..).zip(findings) {
                        push_record(&mut text, [&number.to_string(), severity(finding.severity), &finding.message]);
                    }
                }
            }
        }
        text
    }
}

fn begin_block(text: &mut String, titles: &[&str]) {
    if !text.is_empty() {
        text.push('\n');
    }
    push_record(text, titles.iter().copied());
}

fn push_charges(text: &mut String, charges: &[RatedCharge], relabelled: &BTreeMap<String, Vec<Option<String>>>) {
    let titles = ["Charge", "x_CustomerCost", "x_Treatment", "Reason"].into_iter().chain(relabelled.keys().map(String::as_str));
    push_record(text, titles);
    for (row, charge) in charges.iter().enumerate() {
        let (number, cost) = ((row + 1).to_string(), charge.customer_cost.to_string());
        let labels = relabelled.values().map(|column| column[row].as_deref().unwrap_or_default());
        push_record(text, [number.as_str(), &cost, charge.treatment.name(), &charge.reason].into_iter().chain(labels));
    }
}

/// A crash or a stop without the place in the code: that is another in every build.
pub(super) fn stable(reason: &str) -> &str {
    match reason.split_once("`: ") {
        Some((crash, _)) if crash.starts_with("the rule crashed in `") => &reason[..=crash.len()],
        _ => reason.split_once("; it was in ").map_or(reason, |(stopped, _)| stopped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_capability_has_its_block_and_odd_text_is_quoted() {
        let charge =
            |cost: i128, reason: &str| RatedCharge { customer_cost: Amount(cost), treatment: Treatment::Keep, reason: reason.to_owned() };
        let line = Line {
            description: "Care, \"gold\"".to_owned(),
            charge_category: "Purchase".to_owned(),
            service_name: "Care".to_owned(),
            sub_account_id: None,
            amount: "12.50".parse().unwrap(),
            reason: "fee".to_owned(),
        };
        let outcome = Outcome::Rated {
            charges: Some(vec![charge(1, "tiny"), charge(0, "")]),
            relabelled: BTreeMap::from([("ServiceName".to_owned(), vec![Some("X".to_owned()), None])]),
            lines: Some(vec![line]),
            findings: Some(vec![Finding { severity: Severity::Block, message: "look".to_owned() }]),
        };
        assert_eq!(
            outcome.to_text(),
            "Charge,x_CustomerCost,x_Treatment,Reason,ServiceName\n1,0.000000000000000001,keep,tiny,X\n2,0,keep,,\n\n\
             Line,ChargeCategory,ChargeDescription,ServiceName,SubAccountId,x_CustomerCost,Reason\n\
             1,Purchase,\"Care, \"\"gold\"\"\",Care,,12.5,fee\n\nFinding,Severity,Message\n1,block,look\n"
        );
    }

    #[test]
    fn a_crash_is_expected_without_its_place_and_a_refusal_with_its_words() {
        let failed = |reason: &str| Outcome::Failed(reason.to_owned()).to_text();
        assert_eq!(failed("the rule crashed in `decide`: it panicked in foo < bar"), "Failed,Reason\n1,the rule crashed in `decide`\n");
        assert_eq!(failed("the rule refused: no `x`: y"), "Failed,Reason\n1,the rule refused: no `x`: y\n");
    }
}
