//! The rows of one tenant in one row group, as the rules change them. Source columns are never written; what changes lives beside them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::charge::{COMMITMENT_OWNER, CUSTOMER_COST, LINE_TYPE};
use crate::domain::columns::{Batch, Dictionary, NULL_CODE, TextColumn};
use crate::domain::money;
use crate::domain::rated::RatedGroup;
use crate::domain::rule::{Condition, Treatment};

use super::split::money_of;

/// Charges on their way through a chain.
pub struct Working {
    batch: Arc<Batch>,
    nulls: TextColumn,
    owner: TextColumn,
    /// Customer cost; never null.
    pub cost: Vec<i128>,
    pub treatment: Vec<Treatment>,
    /// A row's entry in the trail, [`NULL_CODE`] before any rule touched it.
    pub trail_codes: Vec<u32>,
    pub trail: Trail,
    relabelled: BTreeMap<Arc<str>, TextColumn>,
}

impl Working {
    /// Source charges: the tenant is charged what was billed, until a rule says otherwise. A batch may carry what rules left before;
    /// stored charges never do.
    pub fn of_charges(batch: Arc<Batch>, owner: TextColumn) -> Self {
        let cost = match money_of(&batch, CUSTOMER_COST).or_else(|| money_of(&batch, "BilledCost")) {
            Some(units) => units.iter().map(|unit| if *unit == money::NULL { 0 } else { *unit }).collect(),
            None => vec![0; batch.rows],
        };
        Self::new(batch, owner, cost)
    }

    /// Lines that a rule added: no billed cost, the customer cost given.
    pub fn of_lines(batch: Batch, cost: Vec<i128>) -> Self {
        let owner = TextColumn::constant(None, batch.rows);
        Self::new(Arc::new(batch), owner, cost)
    }

    fn new(batch: Arc<Batch>, owner: TextColumn, cost: Vec<i128>) -> Self {
        let rows = batch.rows;
        Self {
            nulls: TextColumn::constant(None, rows),
            batch,
            owner,
            cost,
            treatment: vec![Treatment::Keep; rows],
            trail_codes: vec![NULL_CODE; rows],
            trail: Trail::default(),
            relabelled: BTreeMap::new(),
        }
    }

    pub fn rows(&self) -> usize {
        self.batch.rows
    }

    /// The source columns, shared.
    pub fn batch(&self) -> Arc<Batch> {
        Arc::clone(&self.batch)
    }

    /// A text column as the rules so far left it; all null where the charges have none of that name.
    pub fn text(&self, name: &str) -> &TextColumn {
        if let Some(column) = self.relabelled.get(name) {
            return column;
        }
        match name {
            COMMITMENT_OWNER => &self.owner,
            LINE_TYPE => self.batch.text(LINE_TYPE).or_else(|| self.batch.text("x_SourceLineType")).unwrap_or(&self.nulls),
            _ => self.batch.text(name).unwrap_or(&self.nulls),
        }
    }

    /// A money column; none is all null.
    pub fn money(&self, name: &str) -> Option<&[i128]> {
        if name == CUSTOMER_COST { Some(&self.cost) } else { money_of(&self.batch, name) }
    }

    /// Rows that are not dropped and meet every condition, ascending. Each condition is tested once per distinct value.
    pub fn select(&self, conditions: &[Condition]) -> Vec<u32> {
        let mut rows: Vec<u32> =
            (0_u32..).zip(&self.treatment).filter(|(_, treatment)| **treatment != Treatment::Drop).map(|(row, _)| row).collect();
        for condition in conditions {
            let column = self.text(&condition.column);
            let of_null = condition.test.holds(None);
            let of_code: Vec<bool> = column.values.iter().map(|value| condition.test.holds(Some(value))).collect();
            rows.retain(|row| {
                let code = column.codes[*row as usize];
                if code == NULL_CODE { of_null } else { of_code[code as usize] }
            });
        }
        rows
    }

    /// Sets a text column on the rows for which `value_of` gives a value.
    pub fn relabel(&mut self, name: &str, changes: &[(u32, Option<&str>)]) {
        let current = self.text(name);
        let mut codes = current.codes.clone();
        let mut values = Dictionary::clone(&current.values);
        let mut known: HashMap<&str, u32> = HashMap::new();
        for (row, value) in changes {
            codes[*row as usize] = match value {
                None => NULL_CODE,
                Some(text) => *known.entry(text).or_insert_with(|| {
                    let found = current.values.iter().position(|v| v == *text).and_then(|i| u32::try_from(i).ok());
                    found.unwrap_or_else(|| values.push(text))
                }),
            };
        }
        self.relabelled.insert(name.into(), TextColumn { values: Arc::new(values), codes });
    }

    /// The overlay of these charges; `rows` are their positions in the snapshot's row group.
    pub fn into_rated(self, rows: Vec<u32>, titles: &[&str]) -> RatedGroup {
        RatedGroup {
            rows,
            customer_cost: self.cost,
            treatment: self.treatment,
            applied: TextColumn { values: Arc::new(self.trail.to_json(titles)), codes: self.trail_codes },
            commitment_owner: self.owner,
            relabelled: self.relabelled.into_iter().collect(),
        }
    }
}

/// Provenance: which rules touched a row, in order, and why. Rows share entries; an entry points to the one before it.
#[derive(Default)]
pub struct Trail {
    entries: Vec<Entry>,
}

struct Entry {
    parent: u32,
    rule: usize,
    reason: Arc<str>,
}

impl Trail {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends an entry behind `parent` ([`NULL_CODE`] for none).
    pub fn push(&mut self, parent: u32, rule: usize, reason: Arc<str>) -> u32 {
        let code = u32::try_from(self.entries.len()).unwrap_or(NULL_CODE);
        self.entries.push(Entry { parent, rule, reason });
        code
    }

    /// Why the rule of an entry touched the row.
    pub fn reason(&self, code: u32) -> Option<&str> {
        self.entries.get(code as usize).map(|entry| &*entry.reason)
    }

    /// For each entry the JSON list `[{"rule": title, "reason": text}, ...]`, oldest first.
    pub fn to_json(&self, titles: &[&str]) -> Dictionary {
        let mut dictionary = Dictionary::new();
        for code in 0..self.entries.len() {
            dictionary.push(&self.json_of(code, titles));
        }
        dictionary
    }

    pub fn json_of(&self, code: usize, titles: &[&str]) -> String {
        let mut steps = Vec::new();
        let mut next = Some(code);
        while let Some(entry) = next.and_then(|index| self.entries.get(index)) {
            steps.push(serde_json::json!({ "rule": titles[entry.rule], "reason": &*entry.reason }));
            next = (entry.parent != NULL_CODE).then_some(entry.parent as usize);
        }
        steps.reverse();
        serde_json::Value::Array(steps).to_string()
    }
}
