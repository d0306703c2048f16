//! A sample reseller: three sources, four tenants with contracts that differ, two months, every line type.
//!
//! For `rerate demo`, for the tour in the README and for end-to-end tests. It writes files and says what should be made of them; making
//! it is for the daemon.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Compression, Discounts, Format, GenerateError, Generated, Organisation, Provider, Spec, generate};
use crate::domain::period::Period;
use crate::domain::progress::Progress;

const TENANTS: [(&str, &str); 4] = [
    ("Blue Harbor Retail", "finance@blueharbor.example"),
    ("Kestrel Robotics", "ap@kestrel-robotics.example"),
    ("Tidewater Health", "billing@tidewater.example"),
    ("Larkspur Media", "accounts@larkspur.example"),
];
/// An account that the provider's bill has and nobody has been given yet.
const NOT_GIVEN: &str = "kestrel-robotics-dev";
/// The first month; the bills of the second are still open.
const FIRST_PERIOD: (i16, i8) = (2026, 8);

/// The reseller, as it should be set up.
#[derive(Clone, Debug)]
pub struct Sample {
    pub periods: Vec<Period>,
    pub integrations: Vec<SampleIntegration>,
    pub tenants: Vec<SampleTenant>,
    /// In the order of the chain.
    pub rules: Vec<SampleRule>,
    specs: Vec<(usize, Spec)>,
}

#[derive(Clone, Debug)]
pub struct SampleIntegration {
    pub name: &'static str,
    /// Below the sample's folder.
    pub folder: PathBuf,
}

#[derive(Clone, Debug, Serialize)]
pub struct SampleTenant {
    pub name: &'static str,
    #[serde(skip)]
    pub contact_email: &'static str,
    pub subaccounts: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SampleRule {
    pub title: &'static str,
    pub plugin: &'static str,
    /// Names of the tenants it is for; `None` is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<&'static str>>,
    pub config: Value,
}

impl Sample {
    /// The reseller with about `rows` lines in all its bills.
    pub fn new(rows: u64, seed: u64) -> Self {
        let first = Period::of(jiff::civil::date(FIRST_PERIOD.0, FIRST_PERIOD.1, 1));
        let periods = vec![first, first.next()];
        let customers: Vec<&str> = TENANTS.iter().map(|(name, _)| *name).collect();
        let [blue, kestrel, tidewater, larkspur] = customers[..] else { unreachable!("four tenants") };
        // Name, folder, format, provider, discounts, whose accounts, how many, share of the lines in percent.
        let sources = [
            (
                "AWS organisation one",
                "aws-one",
                Format::Cur2,
                Provider::Aws,
                Discounts::Lines,
                vec![blue, kestrel, tidewater, larkspur],
                14,
                50,
            ),
            ("AWS organisation two", "aws-two", Format::Cur, Provider::Aws, Discounts::Columns, vec![kestrel, larkspur, tidewater], 6, 30),
            ("Azure", "azure", Format::Focus, Provider::Azure, Discounts::Columns, vec![tidewater, blue, larkspur], 5, 20),
        ];
        let mut sample = Self { periods, integrations: Vec::new(), tenants: Vec::new(), rules: rules(first), specs: Vec::new() };
        let mut held = vec![Vec::new(); TENANTS.len()];
        for (number, (name, folder, format, provider, discounts, customers, accounts, share)) in (0..).zip(sources) {
            let seed = seed.wrapping_mul(31).wrapping_add(number);
            let organisation = Organisation::invent(provider, seed, &format!("northgate-{folder}"), &customers, accounts, discounts);
            for account in organisation.accounts.iter().filter(|account| account.name != NOT_GIVEN) {
                let tenant = account.customer.and_then(|c| TENANTS.iter().position(|(name, _)| *name == customers[c]));
                if let Some(tenant) = tenant {
                    held[tenant].push(account.id.clone());
                }
            }
            let months = u64::try_from(sample.periods.len()).unwrap_or(1);
            for (month, period) in sample.periods.iter().enumerate() {
                let spec = Spec {
                    rows: rows * share / 100 / months,
                    seed,
                    format,
                    compression: Compression::CsvGz,
                    period: *period,
                    files: None,
                    organisation: organisation.clone(),
                    name: format!("{folder}-costs"),
                    purchases: month == 0,
                    closed: month + 1 < sample.periods.len(),
                };
                sample.specs.push((sample.integrations.len(), spec));
            }
            sample.integrations.push(SampleIntegration { name, folder: Path::new("bills").join(folder) });
        }
        let tenants = TENANTS.iter().zip(held);
        sample.tenants = tenants.map(|((name, contact_email), subaccounts)| SampleTenant { name, contact_email, subaccounts }).collect();
        sample
    }

    /// Writes the bills below `folder`, and the contracts as chain.toml and tenants.toml for `rerate rate`.
    pub fn write(&self, folder: &Path, progress: &Progress) -> Result<Vec<Generated>, GenerateError> {
        let bills: Vec<Result<Generated, GenerateError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .specs
                .iter()
                .map(|(integration, spec)| {
                    let out = folder.join(&self.integrations[*integration].folder);
                    scope.spawn(move || generate(spec, &out, 1, progress))
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let bills = bills.into_iter().collect::<Result<Vec<_>, _>>()?;
        for (name, text) in [("chain.toml", toml_list("rule", &self.rules)), ("tenants.toml", toml_list("tenant", &self.tenants))] {
            let path = folder.join(name);
            let written = text.and_then(|text| fs::write(&path, text));
            written.map_err(|source| GenerateError::Write { path, source })?;
        }
        Ok(bills)
    }
}

fn toml_list(name: &str, entries: &impl Serialize) -> std::io::Result<String> {
    let table = std::collections::BTreeMap::from([(name, entries)]);
    toml::to_string(&table).map_err(std::io::Error::other)
}

/// What Northgate has agreed with its customers.
fn rules(first: Period) -> Vec<SampleRule> {
    let [blue, kestrel, tidewater, larkspur] = TENANTS.map(|(name, _)| name);
    let rule = |title, plugin, tenants: &[&'static str], config| {
        let tenants = if tenants.is_empty() { None } else { Some(tenants.to_vec()) };
        SampleRule { title, plugin, tenants, config }
    };
    let line_types = |types: &[&str]| json!({"where": [{"column": "x_SourceLineType", "is_in": types}]});
    vec![
        // The reseller's own margin from its programs is nobody else's business.
        rule("Program discounts stay with us", "exclusion", &[], line_types(&["SppDiscount", "DistributorDiscount", "RiVolumeDiscount"])),
        rule(
            "Public price",
            "public-price",
            &[blue, tidewater],
            json!({"spot": "keep", "bundled_discounts": "keep", "credits": "keep", "refunds": "pass", "tax": "strip", "missing": "keep"}),
        ),
        rule("Our commitments are ours", "commitments", &[kestrel, larkspur], json!({"owners": "payer", "price": "list"})),
        rule(
            "Kestrel: the enterprise discount stays with us",
            "exclusion",
            &[kestrel],
            line_types(&["EdpDiscount", "PrivateRateDiscount"]),
        ),
        rule(
            "Tidewater: compute at 92 %",
            "adjustment",
            &[tidewater],
            json!({"percent": "92.0", "where": [{"column": "ServiceName", "is_in": ["Amazon Elastic Compute Cloud", "Virtual Machines"]}]}),
        ),
        rule(
            "Blue Harbor: markup by service",
            "markup",
            &[blue],
            json!({"percent": "4", "services": {"Amazon CloudFront": "12", "AmazonRDS": "8", "Virtual Machines": "6"}}),
        ),
        rule("Kestrel: cost plus 9 %", "markup", &[kestrel], json!({"percent": "9"})),
        rule(
            "Larkspur: markup by volume",
            "markup",
            &[larkspur],
            json!({"tiers": [{"up_to": "2000", "percent": "10"}, {"up_to": "10000", "percent": "7"}, {"percent": "5"}]}),
        ),
        rule(
            "Tidewater: managed service",
            "charge",
            &[tidewater],
            json!({"kind": "charge", "description": "Managed service, flat", "amount": "450.00", "service": "Managed services"}),
        ),
        rule(
            "Blue Harbor: support at 3 % of usage",
            "charge",
            &[blue],
            json!({"kind": "charge", "description": "Premium support", "percent": "3",
                "of": [{"column": "ChargeCategory", "is_in": ["Usage"]}], "service": "Support"}),
        ),
        rule(
            "Larkspur: welcome credit",
            "charge",
            &[larkspur],
            json!({"kind": "credit", "description": "Welcome credit", "amount": "250.00",
                "periods": {"first": first.to_string(), "last": first.to_string()}}),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_two_months_of_three_sources_and_an_account_that_nobody_holds() {
        let folder = tempfile::tempdir().unwrap();
        let sample = Sample::new(20_000, 1);
        let bills = sample.write(folder.path(), &Progress::new()).unwrap();
        assert_eq!((bills.len(), sample.integrations.len(), sample.tenants.len()), (6, 3, 4));
        assert_eq!(bills.iter().map(|b| b.rows).sum::<u64>(), 20_000);
        assert!(sample.tenants.iter().all(|tenant| tenant.subaccounts.len() >= 4));
        let held: std::collections::BTreeSet<&String> = sample.tenants.iter().flat_map(|t| &t.subaccounts).collect();
        let billed: std::collections::BTreeSet<&String> = bills.iter().flat_map(|b| b.by_account.keys()).collect();
        assert!(held.is_subset(&billed), "a tenant holds an account without any cost");
        // Three payers and the one that nobody has been given.
        assert_eq!(billed.len() - held.len(), 4);
    }

    /// Two reports with manifests and a folder without one, side by side.
    #[test]
    fn all_of_it_is_found_from_the_folder_above() {
        let folder = tempfile::tempdir().unwrap();
        Sample::new(20_000, 1).write(folder.path(), &Progress::new()).unwrap();
        let bills = crate::bills::discover(&folder.path().join("bills")).unwrap();
        assert_eq!(bills.len(), 5, "two months of each AWS organisation, and Azure");
        assert_eq!(bills.iter().map(|bill| bill.files.len()).sum::<usize>(), 6);
        assert!(bills.iter().all(|bill| bill.skipped.is_empty()));
    }

    #[test]
    fn the_contracts_are_written_for_the_command_line_too() {
        let folder = tempfile::tempdir().unwrap();
        Sample::new(20_000, 1).write(folder.path(), &Progress::new()).unwrap();
        let read = |name: &str| toml::from_str::<toml::Table>(&fs::read_to_string(folder.path().join(name)).unwrap()).unwrap();
        let rules = read("chain.toml")["rule"].as_array().unwrap().clone();
        assert_eq!(rules[1]["plugin"].as_str(), Some("public-price"));
        assert_eq!(rules[1]["tenants"].as_array().unwrap().len(), 2);
        assert!(rules[0].get("tenants").is_none());
        assert_eq!(read("tenants.toml")["tenant"].as_array().unwrap().len(), 4);
    }
}
