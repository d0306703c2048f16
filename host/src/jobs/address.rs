//! Where a charge is: its snapshot, part, row group and row. As text the key of a charge whose source gives it none.

use std::fmt;
use std::str::FromStr;

use crate::domain::rated::GroupRef;
use crate::store::Snapshot;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub snapshot: String,
    /// Counted within the snapshot.
    pub part: u32,
    pub group: u32,
    pub row: u32,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}.{}.{}", self.snapshot, self.part, self.group, self.row)
    }
}

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (snapshot, place) = text.split_once(':').filter(|(snapshot, _)| snapshot.starts_with("snp_")).ok_or(())?;
        let numbers: Result<Vec<u32>, _> = place.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([part, group, row]) => Ok(Self { snapshot: snapshot.to_owned(), part: *part, group: *group, row: *row }),
            _ => Err(()),
        }
    }
}

/// The parts of some snapshots, numbered through as readers and overlays do.
#[derive(Clone, Debug, Default)]
pub struct Parts(Vec<(String, u32)>);

impl Parts {
    pub fn of<'a>(snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Self {
        let parts = |snapshot: &Snapshot| u32::try_from(snapshot.parts.len()).unwrap_or(u32::MAX);
        Self(snapshots.into_iter().map(|snapshot| (snapshot.id.clone(), parts(snapshot))).collect())
    }

    pub fn address(&self, group: GroupRef, row: u32) -> Option<Address> {
        let mut part = group.part;
        for (snapshot, parts) in &self.0 {
            if part < *parts {
                return Some(Address { snapshot: snapshot.clone(), part, group: group.group, row });
            }
            part -= parts;
        }
        None
    }

    pub fn group(&self, address: &Address) -> Option<GroupRef> {
        let mut first = 0;
        for (snapshot, parts) in &self.0 {
            if *snapshot == address.snapshot {
                return (address.part < *parts).then_some(GroupRef { part: first + address.part, group: address.group });
            }
            first += parts;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written_and_finds_its_part_again() {
        let parts = Parts(vec![("snp_a".to_owned(), 2), ("snp_b".to_owned(), 1)]);
        let group = GroupRef { part: 2, group: 7 };
        let address = parts.address(group, 9).unwrap();
        assert_eq!(address.to_string(), "snp_b:0.7.9");
        assert_eq!(parts.group(&address.to_string().parse().unwrap()), Some(group));
        assert_eq!(parts.address(GroupRef { part: 3, group: 0 }, 0), None);
        assert!("li-1|2026-09-01T00:00:00Z".parse::<Address>().is_err());
    }
}
