//! The customers that a partner's bill names line by line, read from its snapshot. What becomes of them is for the store.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::charge::NATIVE_PREFIX;
use crate::domain::columns::TextColumn;
use crate::lake::{LakeError, SnapshotReader};
use crate::store::BilledCustomer;

/// Names of the columns as [`plain`] gives them.
pub const CUSTOMER_NAME: [&str; 3] = ["customername", "customercompanyname", "xcustomername"];
pub const CUSTOMER_ID: [&str; 3] = ["customertenantid", "customerid", "xcustomerid"];
const CUSTOMER_DOMAIN: [&str; 3] = ["customerdomainname", "customerdomain", "domainname"];

/// A column's title as it is compared: in lower case without spaces, underscores and hyphens; a localised file has the English name in
/// parentheses.
pub fn plain(title: &str) -> String {
    let title = title.trim();
    let english = title.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')).map_or(title, |(_, english)| english);
    english.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Each customer once, ordered by id; none of a bill that names none. Charges without a customer are the partner's own.
pub(super) fn customers(reader: &SnapshotReader) -> Result<Vec<BilledCustomer>, LakeError> {
    let natives = reader.natives();
    let column = |names: &[&str]| {
        let of = |wanted: &&str| natives.iter().find(|name| plain(name.strip_prefix(NATIVE_PREFIX).unwrap_or(name)) == **wanted);
        names.iter().find_map(of)
    };
    let Some(id) = column(&CUSTOMER_ID) else { return Ok(Vec::new()) };
    let (name, domain) = (column(&CUSTOMER_NAME), column(&CUSTOMER_DOMAIN));
    let mut wanted: Vec<&str> = vec![&**id, "BillingAccountId", "SubAccountId"];
    wanted.extend([name, domain].into_iter().flatten().map(|name| &**name));
    let mut customers: BTreeMap<String, BilledCustomer> = BTreeMap::new();
    for (group, rows) in reader.groups() {
        let batch = reader.read(group, &wanted)?;
        let text = |name: Option<&str>| name.and_then(|name| batch.text(name));
        let columns = [Some(&**id), name.map(|n| &**n), domain.map(|n| &**n), Some("BillingAccountId"), Some("SubAccountId")].map(text);
        let mut seen = BTreeSet::new();
        for row in 0..rows as usize {
            let codes = columns.map(|column: Option<&TextColumn>| column.map(|column| column.codes[row]));
            if !seen.insert(codes) {
                continue;
            }
            let [id, name, domain, billing, sub] =
                columns.map(|column| column.and_then(|column| column.get(row)).unwrap_or_default().trim());
            if id.is_empty() || sub.is_empty() {
                continue;
            }
            let customer = customers.entry(id.to_owned()).or_insert_with(|| BilledCustomer {
                id: id.to_owned(),
                name: if name.is_empty() { id } else { name }.to_owned(),
                ..BilledCustomer::default()
            });
            if customer.domain.is_none() && !domain.is_empty() {
                customer.domain = Some(domain.to_owned());
            }
            customer.subaccounts.insert((billing.to_owned(), sub.to_owned()));
        }
    }
    Ok(customers.into_values().collect())
}
