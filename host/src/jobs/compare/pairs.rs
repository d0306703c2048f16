//! The charges of two results, side by side, and whether their texts are the same.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::domain::columns::{Column, NULL_CODE, TextColumn};
use crate::domain::rated::RatedGroup;

/// One charge on both sides.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// In the snapshot's row group.
    pub(super) row: u32,
    /// Its place in either overlay's row group.
    pub(super) before: Option<usize>,
    pub(super) after: Option<usize>,
}

/// The charges of both sides, each once, by row.
pub(super) fn pairs(before: &RatedGroup, after: &RatedGroup) -> impl Iterator<Item = Pair> {
    let (mut old, mut new) = (0, 0);
    std::iter::from_fn(move || {
        let (left, right) = (before.rows.get(old), after.rows.get(new));
        let row = *match (left, right) {
            (Some(left), Some(right)) => left.min(right),
            (left, right) => left.or(right)?,
        };
        let here = |side: Option<&u32>, at: usize| side.is_some_and(|at| *at == row).then_some(at);
        let pair = Pair { row, before: here(left, old), after: here(right, new) };
        old += usize::from(pair.before.is_some());
        new += usize::from(pair.after.is_some());
        Some(pair)
    })
}

/// The largest changes first; of equal ones the earlier row.
pub(super) fn cut(candidates: &mut Vec<(i128, Pair)>, limit: usize) {
    candidates.sort_by_key(|(delta, pair)| (Reverse(delta.unsigned_abs()), pair.row));
    candidates.truncate(limit);
}

/// A column that a rule relabelled on one side or on both.
pub(super) struct Label<'a> {
    source: Option<&'a TextColumn>,
    before: Option<&'a TextColumn>,
    after: Option<&'a TextColumn>,
}

impl<'a> Label<'a> {
    pub(super) fn of(name: &str, source: &'a Column, before: &'a RatedGroup, after: &'a RatedGroup) -> Self {
        fn find<'a>(group: &'a RatedGroup, name: &str) -> Option<&'a TextColumn> {
            group.relabelled.iter().find(|(known, _)| **known == *name).map(|(_, column)| column)
        }
        let source = match source {
            Column::Text(column) => Some(column),
            _ => None,
        };
        Self { source, before: find(before, name), after: find(after, name) }
    }

    pub(super) fn differs(&self, pair: Pair) -> bool {
        let (Some(old), Some(new)) = (pair.before, pair.after) else { return false };
        let of = |column: Option<&'a TextColumn>, at: usize| match column {
            Some(column) => column.get(at),
            None => self.source.and_then(|source| source.get(pair.row as usize)),
        };
        of(self.before, old) != of(self.after, new)
    }
}

/// Compares texts of two columns, each pair of codes once.
pub(super) struct SameTexts<'a> {
    before: &'a TextColumn,
    after: &'a TextColumn,
    known: HashMap<(u32, u32), bool>,
}

impl<'a> SameTexts<'a> {
    pub(super) fn new(before: &'a TextColumn, after: &'a TextColumn) -> Self {
        Self { before, after, known: HashMap::new() }
    }

    pub(super) fn same(&mut self, pair: Pair) -> bool {
        let code = |column: &TextColumn, at: Option<usize>| at.map_or(NULL_CODE, |at| column.codes[at]);
        let codes = (code(self.before, pair.before), code(self.after, pair.after));
        *self.known.entry(codes).or_insert_with(|| {
            let text = |column: &'a TextColumn, code: u32| (code != NULL_CODE).then(|| column.values.get(code));
            text(self.before, codes.0) == text(self.after, codes.1)
        })
    }
}
