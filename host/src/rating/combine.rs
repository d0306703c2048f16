//! Distinct combinations of text columns: what a rule decides on, and what totals are grouped by.

use std::collections::HashMap;

use crate::domain::columns::{NULL_CODE, TextColumn};

/// Which combination each row has.
pub struct Combinations {
    /// One slot a row of the selection.
    pub slots: Vec<u32>,
    /// For each slot, the position in the selection of its first row.
    pub first: Vec<u32>,
}

/// A dense table is used while it stays in the second-level cache; beyond, a hash map.
const DENSE_CELLS_MAX: usize = 1 << 18;

/// Numbers the combinations of `columns` over the rows of `selection`, in order of first appearance. Without columns every row has the
/// one empty combination.
pub fn combinations(columns: &[&TextColumn], selection: &[u32]) -> Combinations {
    let Some((head, rest)) = columns.split_first() else {
        let first = if selection.is_empty() { Vec::new() } else { vec![0] };
        return Combinations { slots: vec![0; selection.len()], first };
    };
    let mut numbering = Numbering::new(1, head);
    let mut slots: Vec<u32> = selection.iter().map(|row| numbering.number(0, head.codes[*row as usize])).collect();
    let mut count = numbering.count;
    for column in rest {
        let mut numbering = Numbering::new(count as usize, column);
        for (slot, row) in slots.iter_mut().zip(selection) {
            *slot = numbering.number(*slot, column.codes[*row as usize]);
        }
        count = numbering.count;
    }
    let mut first = Vec::with_capacity(count as usize);
    for (position, slot) in (0_u32..).zip(&slots) {
        if *slot as usize == first.len() {
            first.push(position);
        }
    }
    Combinations { slots, first }
}

/// Gives each pair (slot so far, code) a number, counted from zero by first appearance.
struct Numbering {
    table: Table,
    /// Codes of the column, null included.
    width: usize,
    count: u32,
}

enum Table {
    Dense(Vec<u32>),
    Sparse(HashMap<u64, u32>),
}

impl Numbering {
    fn new(slots: usize, column: &TextColumn) -> Self {
        let width = column.values.len() + 1;
        let cells = slots.saturating_mul(width);
        let table = if cells <= DENSE_CELLS_MAX { Table::Dense(vec![u32::MAX; cells]) } else { Table::Sparse(HashMap::new()) };
        Self { table, width, count: 0 }
    }

    fn number(&mut self, slot: u32, code: u32) -> u32 {
        // Null takes the last place, so that the table stays as small as the dictionary.
        let place = if code == NULL_CODE { self.width - 1 } else { code as usize };
        let cell = slot as usize * self.width + place;
        let number = match &mut self.table {
            Table::Dense(table) => &mut table[cell],
            Table::Sparse(map) => map.entry(cell as u64).or_insert(u32::MAX),
        };
        if *number == u32::MAX {
            *number = self.count;
            self.count += 1;
        }
        *number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_share_a_slot_exactly_when_all_their_values_agree(
            rows in prop::collection::vec((0_u8..4, prop::option::of(0_u8..3), 0_u8..2), 1..60)
        ) {
            let names: Vec<String> = (0..4).map(|n| n.to_string()).collect();
            let a = TextColumn::from_rows(rows.iter().map(|r| Some(names[r.0 as usize].as_str())));
            let b = TextColumn::from_rows(rows.iter().map(|r| r.1.map(|v| names[v as usize].as_str())));
            let c = TextColumn::from_rows(rows.iter().map(|r| Some(names[r.2 as usize].as_str())));
            let selection: Vec<u32> = (0_u32..).take(rows.len()).filter(|r| r % 3 != 1).collect();
            let combined = combinations(&[&a, &b, &c], &selection);
            for (i, x) in selection.iter().enumerate() {
                for (j, y) in selection.iter().enumerate() {
                    prop_assert_eq!(rows[*x as usize] == rows[*y as usize], combined.slots[i] == combined.slots[j]);
                }
            }
            for (slot, first) in combined.first.iter().enumerate() {
                prop_assert_eq!(combined.slots[*first as usize] as usize, slot);
            }
        }
    }
}
