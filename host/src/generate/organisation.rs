//! Who the bill is for: a payer, its accounts, who of the reseller's customers each belongs to, and their tags.

use super::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Aws,
    Azure,
}

/// How the provider grants its enterprise discount. Never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discounts {
    /// Separate lines of negative cost.
    Lines,
    /// Columns beside the undiscounted cost.
    Columns,
}

/// An AWS account or an Azure subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub name: String,
    /// Which customer of the reseller it belongs to; `None` is the reseller's own.
    pub customer: Option<usize>,
}

/// What one bill is about.
#[derive(Clone, Debug)]
pub struct Organisation {
    pub provider: Provider,
    /// The billing account; in AWS also an account that uses things.
    pub payer: Account,
    pub accounts: Vec<Account>,
    pub discounts: Discounts,
    pub currency: &'static str,
}

/// What accounts of one customer are for.
const STAGES: [&str; 6] = ["prod", "staging", "dev", "data", "shared", "sandbox"];

impl Organisation {
    /// Makes up a payer and `accounts` accounts, dealt to `customers` in turn.
    pub fn invent(provider: Provider, seed: u64, name: &str, customers: &[&str], accounts: usize, discounts: Discounts) -> Self {
        let mut random = Random::new(seed, 0x06);
        let mut id = || match provider {
            // One account in eight has a leading zero, as one in ten real ones has.
            Provider::Aws if random.one_in(8) => format!("0{}", random.digits(11)),
            Provider::Aws => format!("{}{}", 1 + random.below(9), random.digits(11)),
            Provider::Azure => random.uuid(),
        };
        let payer = Account { id: id(), name: format!("{name}-billing"), customer: None };
        let of_customer = |number: usize| {
            let (customer, round) = (number % customers.len(), number / customers.len());
            let stage = STAGES[round % STAGES.len()];
            let count = round / STAGES.len();
            let suffix = if count == 0 { String::new() } else { format!("-{}", count + 1) };
            (customer, format!("{}-{stage}{suffix}", slug(customers[customer])))
        };
        let accounts = (0..accounts.max(customers.len()))
            .map(|number| {
                let (customer, name) = of_customer(number);
                Account { id: id(), name, customer: Some(customer) }
            })
            .collect();
        Self { provider, payer, accounts, discounts, currency: "USD" }
    }

    pub(super) fn is_aws(&self) -> bool {
        self.provider == Provider::Aws
    }
}

pub(super) fn slug(name: &str) -> String {
    name.to_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// A map column: its pairs, and its JSON as a quoted CSV field.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    pub(super) pairs: Vec<(&'static str, String)>,
    pub(super) csv: String,
}

impl Pairs {
    pub(super) fn new(pairs: Vec<(&'static str, String)>) -> Self {
        let object: serde_json::Map<String, serde_json::Value> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())).collect();
        let json = serde_json::Value::Object(object).to_string();
        Self { csv: super::csv::quoted(&json), pairs }
    }

    pub(super) fn get(&self, key: &str) -> &str {
        self.pairs.iter().find(|(k, _)| *k == key).map_or("", |(_, value)| value)
    }
}

/// Tag keys: in CUR 2.0's map, as legacy CUR columns, and as Azure writes them.
pub(super) const TAG_KEYS: [(&str, &str, &str); 4] = [
    ("user_environment", "resourceTags/user:Environment", "Environment"),
    ("user_cost_center", "resourceTags/user:CostCenter", "CostCenter"),
    ("user_owner", "resourceTags/user:Owner", "Owner"),
    ("user_project", "resourceTags/user:Project", "Project"),
];

/// A tag set, under AWS's and under Azure's names.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    pub(super) aws: Pairs,
    pub(super) azure: Pairs,
}

/// The tag sets of a bill; the first is empty, the second has text that needs quoting.
pub(super) fn tag_sets(seed: u64) -> Vec<Tags> {
    let mut random = Random::new(seed, 0x7a);
    let environments = ["production", "staging", "development"];
    let owners = ["team-platform", "team-payments", "team-data", "team-web", "team-mobile"];
    let projects = ["checkout", "search", "warehouse", "identity", "reporting", "ingest", "portal"];
    let mut sets = vec![["", "", "", ""].map(str::to_owned), ["production", "CC-1001", "pay, ments \"x\"", "checkout"].map(str::to_owned)];
    for _ in 0..60 {
        let cost_center = format!("CC-{}", 1000 + random.below(24));
        let project = if random.one_in(3) { "" } else { random.pick(&projects) };
        sets.push([random.pick(&environments).to_string(), cost_center, random.pick(&owners).to_string(), project.to_owned()]);
    }
    let named = |values: &[String; 4], name: fn(&(&'static str, &'static str, &'static str)) -> &'static str| {
        Pairs::new(
            TAG_KEYS.iter().zip(values).filter(|(_, value)| !value.is_empty()).map(|(key, value)| (name(key), value.clone())).collect(),
        )
    };
    sets.iter().map(|values| Tags { aws: named(values, |k| k.0), azure: named(values, |k| k.2) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_dealt_to_customers_and_ids_have_the_providers_shape() {
        let aws = Organisation::invent(Provider::Aws, 1, "Northgate", &["Blue Harbor Retail", "Kestrel"], 40, Discounts::Lines);
        assert_eq!(aws.accounts.len(), 40);
        assert!(aws.accounts.iter().all(|a| a.id.len() == 12 && a.id.bytes().all(|b| b.is_ascii_digit())));
        assert!(aws.accounts.iter().any(|a| a.id.starts_with('0')));
        assert_eq!(aws.accounts[0].name, "blue-harbor-retail-prod");
        assert_eq!(aws.accounts[1].customer, Some(1));
        let azure = Organisation::invent(Provider::Azure, 1, "Northgate", &["Kestrel"], 2, Discounts::Columns);
        assert!(azure.accounts.iter().all(|a| a.id.len() == 36));
    }

    #[test]
    fn tags_need_quoting_somewhere_and_are_missing_somewhere() {
        let sets = tag_sets(1);
        assert_eq!(sets[0].aws.csv, "{}");
        assert!(sets[1].aws.csv.contains(r#"pay, ments \""x\"""#), "{}", sets[1].aws.csv);
    }
}
