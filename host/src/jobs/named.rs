//! The files that the database names, or will when what is under way ends: nothing else is kept.

use std::collections::BTreeSet;

use super::data_dir::{COMPONENTS, LAKE};
use super::work::overlay_name;
use crate::plugins::name_of;
use crate::store::{PageRequest, Part, Snapshot, Store, StoreError};

/// Names, to ask for what is to be kept.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Of snapshots and imports, below the lake.
    folders: BTreeSet<String>,
    /// Below the lake.
    overlays: BTreeSet<String>,
    components: BTreeSet<String>,
}

impl Named {
    pub(super) async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut named = Self { overlays: store.overlays_named().await?, ..Self::default() };
        named.overlays.extend(store.runs_pending().await?.iter().map(|run| overlay_name(run.period, &run.id)));
        named.folders.extend(store.imports().await?.into_iter().map(|import| import.id));
        each_snapshot(store, |snapshot| {
            named.folders.insert(snapshot.location);
        })
        .await?;
        let digests = store.plugin_digests().await?.into_iter().chain(store.digests_under_way().await?);
        named.components.extend(digests.map(|digest| name_of(&digest)));
        Ok(named)
    }

    /// Below the lake.
    pub(super) fn has_charges(&self, name: &str) -> bool {
        name.split_once('/').is_some_and(|(folder, _)| self.folders.contains(folder)) || self.overlays.contains(name)
    }

    /// As in a bucket. What is of no kind that is known is left alone.
    pub(super) fn has(&self, name: &str) -> bool {
        match name.split_once('/') {
            Some((LAKE, rest)) => self.has_charges(rest),
            Some((COMPONENTS, rest)) => self.components.contains(rest),
            _ => true,
        }
    }
}

/// Every file that the database names, as in a bucket, with its length where that is known.
pub(super) async fn named_files(store: &Store) -> Result<Vec<(String, Option<u64>)>, StoreError> {
    let mut files = Vec::new();
    each_snapshot(store, |snapshot| {
        let name = |part: &Part| format!("{LAKE}/{}/{}", snapshot.location, part.file_name);
        files.extend(snapshot.parts.iter().map(|part| (name(part), Some(part.bytes))));
    })
    .await?;
    files.extend(store.overlays_named().await?.into_iter().map(|name| (format!("{LAKE}/{name}"), None)));
    files.extend(store.plugin_digests().await?.into_iter().map(|digest| (format!("{COMPONENTS}/{}", name_of(&digest)), None)));
    Ok(files)
}

pub(super) async fn each_snapshot(store: &Store, mut each: impl FnMut(Snapshot)) -> Result<(), StoreError> {
    let mut page = PageRequest::largest();
    loop {
        let found = store.snapshots(None, None, &page).await?;
        found.items.into_iter().for_each(&mut each);
        match found.next {
            Some(next) => page = PageRequest::new(Some(crate::store::MAX_PAGE), Some(next)),
            None => return Ok(()),
        }
    }
}
