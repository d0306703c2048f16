//! Pages of a list: at most a thousand items, and where the next page begins.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Result, StoreError};
use crate::clock::Moment;

/// Items of one page at most: enough for any screen, and a page of runs stays below a few megabytes.
pub const MAX_PAGE: u32 = 1_000;

/// Items of a page when the caller does not say.
const DEFAULT_PAGE: u32 = 100;

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    limit: u32,
    after: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: DEFAULT_PAGE, after: None }
    }
}

impl PageRequest {
    /// From 1 to [`MAX_PAGE`] items that come after a page's `next`.
    pub fn new(limit: Option<u32>, after: Option<String>) -> Self {
        Self { limit: limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE), after }
    }

    /// As many as a page may have, from the first.
    pub fn largest() -> Self {
        Self { limit: MAX_PAGE, after: None }
    }

    /// What the last item of the page before is called; the empty text sorts before everything.
    pub(super) fn after(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// The same of a list by time, as [`moment_key`] wrote it: the moment, and what the item is called.
    pub(super) fn after_moment(&self) -> Result<(Moment, &str)> {
        let after = self.after();
        if after.is_empty() {
            return Ok((Moment(i64::MIN), after));
        }
        let found = after.split_once('.').and_then(|(at, id)| Some((Moment(at.parse().ok()?), id)));
        found.ok_or_else(|| StoreError::Invalid("not a page of this list".to_owned()))
    }

    /// Whether so many items are the page, and one more to see that there is another.
    pub(super) fn is_filled(&self, items: usize) -> bool {
        items > self.limit as usize
    }

    /// One more than the page holds, to see whether there is another.
    pub(super) fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    pub(super) fn page<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let limit = self.limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        Page { next: if more { items.last().map(key) } else { None }, items }
    }
}

/// Where an item stands in a list by time.
pub(super) fn moment_key(at: Moment, id: &str) -> String {
    format!("{}.{id}", at.0)
}

/// A part of a list. `next` is absent on the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
