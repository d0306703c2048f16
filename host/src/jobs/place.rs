//! Where the files of a database are: in its daemon's folder, or in a bucket that it has taken.
//!
//! A bucket is taken once, when a daemon is first started with it: what the folder has is put there, and the database and the bucket each
//! note whose they are. From then on a daemon without the bucket, with another one, or with another key of the secrets is refused, since
//! either would break what the others keep.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::JobsError;
use super::data_dir::{DataDir, LAKE};
use super::litter::remove_local;
use super::named::named_files;
use crate::depot::s3::BucketLocation;
use crate::depot::{DepotError, Listed, Remote};
use crate::secrets::{SecretError, Secrets};
use crate::store::{LakePlace, Store, StoreError};

/// The object that says whose a bucket is.
pub const MARK: &str = "rerate.lake";

/// Where the known text is sealed for, and the text.
const KEY_CHECK: (&str, &str) = ("lake/key-check", "rerate");

/// A bucket as a daemon is told of it.
#[derive(Clone, Debug)]
pub struct BucketLake {
    pub location: BucketLocation,
    /// Bytes of the copies of charges that a daemon keeps.
    pub copies: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the files of this database are in {0}")]
    InBucket(String),
    #[error("the files of this database are in {known}, not in {given}")]
    Elsewhere { known: String, given: String },
    #[error("another daemon works on this database, with its files in a folder")]
    Beside,
    #[error("{0} holds the files of another database")]
    Foreign(String),
    #[error("{0} is not the bucket that this database has taken: there is no {MARK} in it")]
    Unmarked(String),
    #[error("the secrets of this database are sealed with another key than this daemon has")]
    OtherKey,
    #[error("{missing} files that the database names are neither in {} nor in {bucket}, {first} for one", folder.display())]
    Missing { missing: usize, first: String, folder: PathBuf, bucket: String },
}

/// The data folder, with the bucket if there is one. To be called before anything is read from it, and before the daemon says that it is there.
pub async fn settle(store: &Store, data: DataDir, lake: Option<&BucketLake>) -> Result<DataDir, PlaceError> {
    match (lake, store.lake_place().await?.filter(|known| known.settled_at.is_some())) {
        (Some(lake), _) => take(store, data, Remote::connect(&lake.location)?, lake.copies).await,
        (None, Some(settled)) => Err(PlaceError::InBucket(settled.location)),
        (None, None) => Ok(data),
    }
}

/// The data folder with a bucket, which is taken if it is not yet.
pub(super) async fn take(store: &Store, data: DataDir, bucket: Remote, copies: u64) -> Result<DataDir, PlaceError> {
    let known = store.lake_place().await?;
    let settled = known.as_ref().filter(|known| known.settled_at.is_some());
    let given = bucket.url();
    if let Some(settled) = settled.filter(|settled| settled.location != given) {
        return Err(PlaceError::Elsewhere { known: settled.location.clone(), given: given.to_owned() });
    }
    let alone = store.daemons_beside().await? == 0;
    if known.is_none() && !alone {
        return Err(PlaceError::Beside);
    }
    let secrets = Secrets::of(data.root(), store.clock().clone())?;
    let place = match settled {
        Some(settled) => settled.clone(),
        None => store.lake_take(given, &secrets.seal(KEY_CHECK.0, KEY_CHECK.1)?, alone).await?,
    };
    if place.location != given {
        return Err(PlaceError::Elsewhere { known: place.location, given: given.to_owned() });
    }
    match secrets.open(KEY_CHECK.0, &place.key_check) {
        Ok(_) => {}
        Err(SecretError::OtherKey(_)) => return Err(PlaceError::OtherKey),
        Err(error) => return Err(error.into()),
    }
    mark(&bucket, &place).await?;
    if place.settled_at.is_none() {
        put_missing(store, &data, &bucket).await?;
        store.lake_settle().await?;
    }
    // Nobody else writes into this folder: what is named by nothing is left from before.
    remove_local(store, &data, Duration::ZERO).await?;
    Ok(data.with_bucket(bucket, Some(copies))?)
}

/// Seals the check value anew, when the other secrets are.
pub async fn seal_again(store: &Store, secrets: &Secrets) -> Result<Result<(), SecretError>, StoreError> {
    store.lake_seal_again(|sealed| secrets.seal_again(KEY_CHECK.0, sealed)).await
}

/// Checks whose the bucket is; of one that is nobody's yet, says so.
async fn mark(bucket: &Remote, place: &LakePlace) -> Result<(), PlaceError> {
    let mut found = bucket.read_text(MARK).await?;
    if found.is_none() {
        if place.settled_at.is_some() {
            return Err(PlaceError::Unmarked(bucket.url().to_owned()));
        }
        bucket.write_text(MARK, &place.id).await?;
        found = bucket.read_text(MARK).await?;
    }
    if found.as_deref() == Some(&place.id) { Ok(()) } else { Err(PlaceError::Foreign(bucket.url().to_owned())) }
}

/// Puts every file into the bucket that the database names and that is not there yet.
async fn put_missing(store: &Store, data: &DataDir, bucket: &Remote) -> Result<(), PlaceError> {
    let mut there: BTreeMap<String, u64> = BTreeMap::new();
    let each = |object: Listed| {
        there.insert(object.name, object.bytes);
    };
    bucket.list(each).await?;
    let (mut to_put, mut missing, mut gone) = (Vec::new(), Vec::new(), 0);
    let rated = format!("{LAKE}/rated/");
    for (name, bytes) in named_files(store).await? {
        if there.get(&name).is_some_and(|there| bytes.is_none_or(|bytes| bytes == *there)) {
            continue;
        }
        match std::fs::metadata(data.root().join(&name)) {
            Ok(found) if bytes.is_none_or(|bytes| bytes == found.len()) => to_put.push(name),
            // What was rated can be rated again.
            _ if name.starts_with(&rated) => gone += 1,
            _ => missing.push(name),
        }
    }
    if let Some(first) = missing.first() {
        let (first, folder, bucket) = (first.clone(), data.root().to_owned(), bucket.url().to_owned());
        return Err(PlaceError::Missing { missing: missing.len(), first, folder, bucket });
    }
    if gone > 0 {
        tracing::warn!(files = gone, "files of rated charges that the database names are not in the folder");
    }
    if !to_put.is_empty() {
        tracing::info!(files = to_put.len(), bucket = bucket.url(), "putting the files of the folder into the bucket");
    }
    Ok(bucket.put_all(data.root(), to_put).await?)
}
