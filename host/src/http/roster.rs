//! Reads a list of tenants: `tenants.csv`, or a partner's usage file that names the customer of each line.
//!
//! Which of the two it is, is told by its columns. What the text says is taken as it is; whether the names are known is not looked at here.

use std::collections::BTreeMap;

use crate::jobs::customers::{CUSTOMER_ID, CUSTOMER_NAME, plain};
use crate::store::{MAX_FAULTS, Roster, RosterFault, RosterTenant};

/// Lines of a file: a partner's month has a few hundred thousand.
const MAX_LINES: u64 = 5_000_000;

/// Tenants of a file.
const MAX_TENANTS: usize = 10_000;

/// Names of the columns as `plain` gives them.
const SUBSCRIPTION: [&str; 4] = ["subscriptionid", "subscriptionguid", "entitlementid", "subaccountid"];
const NAME: [&str; 2] = ["name", "tenant"];
const CONTACT: [&str; 3] = ["contact", "contactemail", "email"];
const EXTERNAL: [&str; 1] = ["externalid"];
const SUBACCOUNTS: [&str; 2] = ["subaccounts", "subaccount"];

/// What separates the subaccounts of one cell.
const SEPARATORS: [char; 3] = [';', '|', ' '];

struct Columns {
    name: usize,
    contact: Option<usize>,
    external: Option<usize>,
    subaccounts: Option<usize>,
    is_bill: bool,
}

/// The list of a file, or everything that is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Roster, Vec<RosterFault>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |wanted: u8| first.iter().filter(|byte| **byte == wanted).count();
    let delimiter = if count(b';') > count(b',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let header = reader.headers().map_err(|error| vec![fault(1, "", error.to_string())])?.clone();
    let columns = columns(&header)?;
    let title = |place: Option<usize>| place.and_then(|place| header.get(place)).unwrap_or_default().trim().to_owned();
    let mut roster = Roster {
        name_column: title(Some(columns.name)),
        contact_column: title(columns.contact),
        subaccount_column: title(columns.subaccounts),
        renames: !columns.is_bill,
        ..Roster::default()
    };
    let (mut faults, mut places) = (Vec::new(), BTreeMap::new());
    let mut lines = Lines { bytes, counted: 0, line: 1 };
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                faults.push(fault(error.position().map_or(0, csv::Position::line), "", error.to_string()));
                break;
            }
        };
        let line = lines.of(&record);
        if line > MAX_LINES || roster.tenants.len() > MAX_TENANTS {
            faults.push(fault(line, "", format!("a list has at most {MAX_LINES} lines and {MAX_TENANTS} tenants")));
            break;
        }
        let cell = |place: Option<usize>| place.and_then(|place| record.get(place)).map_or("", str::trim);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let name = cell(Some(columns.name));
        if name.is_empty() {
            if !columns.is_bill {
                faults.push(fault(line, &roster.name_column, "is empty".to_owned()));
            } // a charge of the partner itself
            if faults.len() >= MAX_FAULTS {
                break;
            }
            continue;
        }
        let external = Some(cell(columns.external)).filter(|text| !text.is_empty());
        let key = external.unwrap_or(name).to_lowercase();
        let place = *places.entry(key).or_insert_with(|| {
            roster.tenants.push(RosterTenant {
                line,
                name: name.to_owned(),
                external_id: external.map(str::to_owned),
                ..RosterTenant::default()
            });
            roster.tenants.len() - 1
        });
        let tenant = &mut roster.tenants[place];
        let contact = cell(columns.contact);
        if !contact.is_empty() {
            if tenant.contact_email.as_deref().is_some_and(|known| known != contact) {
                let detail = format!("{contact} is another contact than on line {}", tenant.line);
                faults.push(fault(line, &roster.contact_column, detail));
            }
            tenant.contact_email = Some(contact.to_owned());
        }
        for text in cell(columns.subaccounts).split(SEPARATORS).filter(|text| !text.is_empty()) {
            if !tenant.subaccounts.iter().rev().any(|(known, _)| known == text) {
                tenant.subaccounts.push((text.to_owned(), line));
            }
        }
    }
    if faults.is_empty() && roster.tenants.is_empty() {
        faults.push(fault(1, &roster.name_column, "no line names a tenant".to_owned()));
    }
    if faults.is_empty() { Ok(roster) } else { Err(faults) }
}

/// Lines as an editor counts them: the reader places a record before the end of the line above it, and does not count empty ones.
struct Lines<'a> {
    bytes: &'a [u8],
    counted: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, record: &csv::StringRecord) -> u64 {
        let begin = record.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.counted);
        let rest = self.bytes.get(begin..).unwrap_or_default();
        let end = begin + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.bytes.get(self.counted..end).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.counted = end.max(self.counted);
        self.line
    }
}

fn fault(line: u64, column: &str, detail: String) -> RosterFault {
    RosterFault { line, column: column.to_owned(), detail }
}

fn columns(header: &csv::StringRecord) -> Result<Columns, Vec<RosterFault>> {
    let titles: Vec<String> = header.iter().map(plain).collect();
    let place = |names: &[&str]| titles.iter().position(|title| names.contains(&title.as_str()));
    if let Some(name) = place(&CUSTOMER_NAME) {
        let Some(subaccounts) = place(&SUBSCRIPTION) else {
            return Err(vec![fault(
                1,
                "SubscriptionId",
                "a partner's file names the subscription of each line; this column is missing".to_owned(),
            )]);
        };
        let (external, subaccounts) = (place(&CUSTOMER_ID), Some(subaccounts));
        return Ok(Columns { name, contact: None, external, subaccounts, is_bill: true });
    }
    let Some(name) = place(&NAME) else {
        let detail =
            "the first line names the columns: name, contact, subaccounts (separated by ;), external_id; or those of a partner's file";
        return Err(vec![fault(1, "name", detail.to_owned())]);
    };
    Ok(Columns { name, contact: place(&CONTACT), external: place(&EXTERNAL), subaccounts: place(&SUBACCOUNTS), is_bill: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let show = |tenant: RosterTenant| {
            let subaccounts: Vec<String> = tenant.subaccounts.iter().map(|(text, line)| format!("{text}@{line}")).collect();
            let optional = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            format!(
                "{} {} {} {} [{}]",
                tenant.line,
                tenant.name,
                optional(tenant.external_id),
                optional(tenant.contact_email),
                subaccounts.join(" ")
            )
        };
        match read(text.as_bytes()) {
            Ok(roster) => roster.tenants.into_iter().map(show).collect(),
            Err(faults) => faults.into_iter().map(|f| format!("line {} {}: {}", f.line, f.column, f.detail)).collect(),
        }
    }

    #[test]
    fn a_list_has_a_tenant_a_line_and_its_subaccounts_in_one_cell_or_in_several_lines() {
        let text = "\u{feff}Name,Contact,Subaccounts\r\nAcme,cloud+acme@msp.example,111; 222\r\n\r\nBolt,,333\r\nACME,,444\r\n";
        assert_eq!(told(text), ["2 Acme - cloud+acme@msp.example [111@2 222@2 444@5]", "4 Bolt - - [333@4]"]);
        assert_eq!(told("name;subaccounts\n\"Acme, Ltd\";111|222\n"), ["2 Acme, Ltd - - [111@2 222@2]"]);
    }

    #[test]
    fn a_partners_file_names_the_customer_of_each_line() {
        let text = "CustomerName,customerTenantId,SubscriptionId,Cost\nAcme,t-1,s-1,1\nBolt,t-2,s-2,2\nAcme Ltd,t-1,s-3,3\n,,s-9,4\nAcme,t-1,s-1,5\n";
        assert_eq!(told(text), ["2 Acme t-1 - [s-1@2 s-3@4]", "3 Bolt t-2 - [s-2@3]"]);
        assert_eq!(told("Kunde (CustomerName),Abonnement (SubscriptionId)\nAcme,s-1\n"), ["2 Acme - - [s-1@2]"]);
        assert!(told("CustomerName,Cost\nAcme,1\n")[0].starts_with("line 1 SubscriptionId: "));
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_column() {
        let text = "name,contact,subaccounts\n,a@msp.example,1\nAcme,a@msp.example,2\nAcme,b@msp.example,3\n";
        assert_eq!(told(text), ["line 2 name: is empty", "line 4 contact: b@msp.example is another contact than on line 3"]);
        assert!(told("a,b\n1,2\n")[0].starts_with("line 1 name: the first line names the columns"));
        assert_eq!(told("name\n"), ["line 1 name: no line names a tenant"]);
    }
}
