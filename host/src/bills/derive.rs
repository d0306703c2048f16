//! Text columns computed from text columns: once for each distinct combination of values, not once a row.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::domain::columns::{Dictionary, NULL_CODE, TextColumn};

/// A column whose value on each row depends only on the row's values of `inputs`.
pub(super) fn per_combination(inputs: &[&TextColumn], rows: usize, mut value: impl FnMut(&[Option<&str>]) -> Option<String>) -> TextColumn {
    let mut outputs = Outputs::default();
    if let [single] = inputs {
        let mut map: Vec<Option<u32>> = vec![None; single.values.len() + 1];
        let mut codes = Vec::with_capacity(rows);
        for code in &single.codes {
            let slot = if *code == NULL_CODE { single.values.len() } else { *code as usize };
            codes.push(match map[slot] {
                Some(known) => known,
                None => {
                    let text = (*code != NULL_CODE).then(|| single.values.get(*code));
                    let new = outputs.code(value(&[text]));
                    map[slot] = Some(new);
                    new
                }
            });
        }
        return outputs.finish(codes);
    }
    let hasher = RandomState::new();
    let mut known: HashTable<(u64, usize)> = HashTable::new();
    let mut combinations: Vec<u32> = Vec::new();
    let mut results: Vec<u32> = Vec::new();
    let mut row_codes: Vec<u32> = vec![0; inputs.len()];
    let mut last = None;
    let mut codes = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut same = true;
        for (slot, input) in row_codes.iter_mut().zip(inputs) {
            same &= *slot == input.codes[row];
            *slot = input.codes[row];
        }
        if let (true, Some(code)) = (same, last) {
            codes.push(code);
            continue;
        }
        let hash = hasher.hash_one(&row_codes);
        let width = inputs.len();
        let found = known.find(hash, |(h, at)| *h == hash && combinations[at * width..(at + 1) * width] == row_codes);
        let code = match found {
            Some((_, at)) => results[*at],
            None => {
                let texts: Vec<Option<&str>> = inputs.iter().map(|input| input.get(row)).collect();
                let code = outputs.code(value(&texts));
                known.insert_unique(hash, (hash, results.len()), |(h, _)| *h);
                combinations.extend_from_slice(&row_codes);
                results.push(code);
                code
            }
        };
        last = Some(code);
        codes.push(code);
    }
    outputs.finish(codes)
}

/// One thing a distinct value; look it up with [`PerValue::of`].
pub(super) struct PerValue<T> {
    values: Vec<T>,
    null: T,
}

impl<T: Copy> PerValue<T> {
    pub(super) fn new(column: Option<&TextColumn>, mut value: impl FnMut(Option<&str>) -> T) -> Self {
        let null = value(None);
        let values = column.map_or_else(Vec::new, |column| column.values.iter().map(|text| value(Some(text))).collect());
        Self { values, null }
    }

    pub(super) fn of(&self, column: Option<&TextColumn>, row: usize) -> T {
        match column.map_or(NULL_CODE, |column| column.codes[row]) {
            NULL_CODE => self.null,
            code => self.values[code as usize],
        }
    }
}

#[derive(Default)]
struct Outputs {
    values: Dictionary,
    known: HashMap<String, u32>,
}

impl Outputs {
    fn code(&mut self, value: Option<String>) -> u32 {
        let Some(value) = value else { return NULL_CODE };
        if let Some(code) = self.known.get(&value) {
            return *code;
        }
        let code = self.values.push(&value);
        self.known.insert(value, code);
        code
    }

    fn finish(self, codes: Vec<u32>) -> TextColumn {
        TextColumn { values: Arc::new(self.values), codes }
    }
}

/// A JSON object of text values, in the given order; `None` when it would be empty.
pub(super) fn json_object<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let mut text = String::from("{");
    for (key, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        // Writing a string as JSON cannot fail.
        text.push_str(&serde_json::to_string(key).unwrap_or_default());
        text.push(':');
        text.push_str(&serde_json::to_string(value).unwrap_or_default());
    }
    text.push('}');
    (text.len() > 2).then_some(text)
}
