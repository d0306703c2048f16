//! An S3-compatible bucket as a folder: which objects there are, and copies of those that an import needs.
//!
//! The spool repeats the bucket's layout, with an empty file in place of each object that has not been fetched, so that bills are found in
//! it as in any folder. A broken download goes on where it stopped, as long as the object is still the same one. The bucket is never
//! written to. Credentials are the integration's, or come from the environment (`AWS_ACCESS_KEY_ID`, ...) where it has none.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

pub use crate::depot::s3::Credentials;
use crate::depot::s3::{BucketLocation, ConnectError, connect, reason_of};
use crate::domain::progress::Progress;

/// Objects under one prefix. A year of hourly refreshes of a large bill is below a hundred thousand.
const MAX_OBJECTS: usize = 1_000_000;

/// Larger `.json` objects are no manifests.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// Downloads at a time: enough to fill a fast line, few enough for a small store.
const DOWNLOADS: usize = 4;

#[derive(Debug, thiserror::Error)]
pub(super) enum BucketError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the bucket {location}: {reason}")]
    Store { location: String, reason: String },
    #[error("more than {MAX_OBJECTS} objects under {0}; point the integration at the folder of one bill")]
    TooMany(String),
    #[error("the object {0} has no safe file name")]
    Name(String),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{key}: the store sent {got} of {expected} bytes")]
    Short { key: String, got: u64, expected: u64 },
    #[error("stopped")]
    Cancelled,
}

/// Where an integration's credentials are sealed for.
pub fn place_of(integration_id: &str) -> String {
    format!("integrations/{integration_id}/credentials")
}

pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: object_store::path::Path,
    url: String,
}

impl Bucket {
    /// Without credentials, with the daemon's own.
    pub(super) fn open(location: &BucketLocation, credentials: Option<Credentials>) -> Result<Self, BucketError> {
        let (store, prefix) = connect(location, credentials, None)?;
        Ok(Self { store, prefix, url: location.url.clone() })
    }

    fn failed(&self) -> impl Fn(object_store::Error) -> BucketError {
        |error| BucketError::Store { location: self.url.clone(), reason: reason_of(&error) }
    }

    /// All objects under the prefix, by their path below it.
    pub(super) async fn list(&self) -> Result<BTreeMap<PathBuf, ObjectMeta>, BucketError> {
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let mut objects = BTreeMap::new();
        let mut listing = self.store.list(prefix);
        while let Some(object) = listing.try_next().await.map_err(self.failed())? {
            if objects.len() == MAX_OBJECTS {
                return Err(BucketError::TooMany(self.url.clone()));
            }
            objects.insert(self.relative(&object)?, object);
        }
        Ok(without_folders(objects))
    }

    /// The object's path below the prefix. An object store's path has no `..` and no empty segment; backslashes are refused here.
    fn relative(&self, object: &ObjectMeta) -> Result<PathBuf, BucketError> {
        let key = object.location.as_ref();
        let below = key.strip_prefix(self.prefix.as_ref()).unwrap_or(key).trim_start_matches('/');
        let name = if below.is_empty() { object.location.filename().unwrap_or_default() } else { below };
        let safe = !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']));
        if safe { Ok(PathBuf::from(name)) } else { Err(BucketError::Name(key.to_owned())) }
    }

    /// Makes `spool` look like the bucket: manifests whole, everything else as an empty file until [`Bucket::fetch`] asks for it. What the
    /// bucket no longer has is removed.
    pub(super) async fn mirror(
        &self,
        spool: &Path,
        objects: &BTreeMap<PathBuf, ObjectMeta>,
        progress: &Progress,
    ) -> Result<(), BucketError> {
        let listed = objects.iter().map(|(name, object)| (spool.join(name), object));
        let listed: BTreeSet<PathBuf> = listed.flat_map(|(path, object)| [part_path(&path, object), path]).collect();
        remove_unlisted(spool, &listed).map_err(|source| BucketError::File { path: spool.to_path_buf(), source })?;
        let mut manifests = Vec::new();
        for (name, object) in objects {
            if name.extension().is_some_and(|e| e == "json") && object.size <= MAX_MANIFEST_BYTES {
                manifests.push((name, object));
            } else {
                let path = spool.join(name);
                if !path.exists() {
                    placeholder(&path).map_err(|source| BucketError::File { path, source })?;
                }
            }
        }
        self.fetch(spool, manifests, progress).await
    }

    /// Downloads these objects into the spool, unless it has them.
    pub(super) async fn fetch<'a>(
        &self,
        spool: &Path,
        objects: impl IntoIterator<Item = (&'a PathBuf, &'a ObjectMeta)>,
        progress: &Progress,
    ) -> Result<(), BucketError> {
        let downloads: Vec<_> = objects.into_iter().map(|(name, object)| self.download(spool.join(name), object, progress)).collect();
        futures::stream::iter(downloads).buffer_unordered(DOWNLOADS).try_collect::<()>().await
    }

    async fn download(&self, path: PathBuf, object: &ObjectMeta, progress: &Progress) -> Result<(), BucketError> {
        let file_failed = |source| BucketError::File { path: path.clone(), source };
        let part = part_path(&path, object);
        if tokio::fs::metadata(&path).await.is_ok_and(|m| m.len() == object.size) && is_current(&path, object) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(file_failed)?;
        }
        let have = tokio::fs::metadata(&part).await.map_or(0, |m| m.len()).min(object.size);
        let mut got = have;
        let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(&part).await.map_err(file_failed)?;
        if have < object.size {
            let range = (have > 0).then_some(GetRange::Offset(have));
            let options = GetOptions { if_match: object.e_tag.clone(), range, ..GetOptions::default() };
            let mut chunks = self.store.get_opts(&object.location, options).await.map_err(self.failed())?.into_stream();
            while let Some(chunk) = chunks.try_next().await.map_err(self.failed())? {
                if progress.is_cancelled() {
                    file.flush().await.map_err(file_failed)?;
                    return Err(BucketError::Cancelled);
                }
                file.write_all(&chunk).await.map_err(file_failed)?;
                got += chunk.len() as u64;
            }
        }
        file.flush().await.map_err(file_failed)?;
        file.sync_all().await.map_err(file_failed)?;
        if got != object.size {
            let _ = tokio::fs::remove_file(&part).await;
            return Err(BucketError::Short { key: object.location.to_string(), got, expected: object.size });
        }
        drop(file);
        tokio::fs::rename(&part, &path).await.map_err(file_failed)?;
        set_modified(&path, object).map_err(file_failed)
    }
}

/// Without the empty objects that stand for folders, as consoles make them: in the spool a name is a file or a folder. What is in a folder
/// comes right behind it. One with content is no folder: the spool cannot hold it beside the others, and says so.
fn without_folders(mut objects: BTreeMap<PathBuf, ObjectMeta>) -> BTreeMap<PathBuf, ObjectMeta> {
    let folders: Vec<PathBuf> = objects
        .iter()
        .zip(objects.keys().skip(1))
        .filter(|((name, object), next)| object.size == 0 && next.starts_with(name))
        .map(|((name, _), _)| name.clone())
        .collect();
    folders.iter().for_each(|folder| drop(objects.remove(folder)));
    objects
}

/// What tells one content of an object from another: its tag, size and time.
fn tag_of(object: &ObjectMeta) -> String {
    format!("{} {} {}", object.e_tag.as_deref().unwrap_or_default(), object.size, object.last_modified.timestamp_millis())
}

/// The identity of a bill's objects without downloading them.
pub(super) fn digest_of<'a>(objects: impl IntoIterator<Item = (&'a PathBuf, &'a ObjectMeta)>) -> String {
    let mut hash = Sha256::new();
    for (name, object) in objects {
        hash.update(format!("{}\n{}\n{}\n", name.display(), object.e_tag.as_deref().unwrap_or_default(), object.size));
        if object.e_tag.is_none() {
            hash.update(format!("{}\n", object.last_modified.timestamp_millis()));
        }
    }
    crate::plugins::hex(&hash.finalize())
}

/// Carries the object's tag in its name, so that a part of another content is never continued.
fn part_path(path: &Path, object: &ObjectMeta) -> PathBuf {
    let tag = crate::plugins::hex(&Sha256::digest(tag_of(object)));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.part", &tag[..16]))
}

/// A finished download has the object's time of change.
fn is_current(path: &Path, object: &ObjectMeta) -> bool {
    let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
    modified == modified_of(object)
}

fn modified_of(object: &ObjectMeta) -> Option<std::time::SystemTime> {
    let millis = u64::try_from(object.last_modified.timestamp_millis()).ok()?;
    Some(std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis))
}

fn set_modified(path: &Path, object: &ObjectMeta) -> io::Result<()> {
    match modified_of(object) {
        Some(time) => std::fs::File::options().append(true).open(path)?.set_modified(time),
        None => Ok(()),
    }
}

fn placeholder(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::File::create(path).map(drop)
}

/// Gives back the space of an imported object; its name stays.
pub(super) fn release(path: &Path) -> io::Result<()> {
    std::fs::File::create(path).map(drop)
}

fn remove_unlisted(folder: &Path, listed: &BTreeSet<PathBuf>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_unlisted(&path, listed)?;
            let _ = std::fs::remove_dir(&path); // one that is empty now, so that its name may be a file's
        } else if !listed.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    async fn bucket(objects: &[(&str, &str)]) -> (Bucket, Arc<InMemory>) {
        let store = Arc::new(InMemory::new());
        for (key, content) in objects {
            put(&store, key, content).await;
        }
        let prefix = object_store::path::Path::from("exports");
        (Bucket { store: Arc::clone(&store) as Arc<dyn ObjectStore>, prefix, url: "s3://bills/exports".to_owned() }, store)
    }

    async fn put(store: &InMemory, key: &str, content: &str) {
        store.put(&object_store::path::Path::from(key), content.to_owned().into()).await.unwrap();
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[tokio::test]
    async fn the_spool_has_manifests_whole_and_other_objects_by_name_until_they_are_fetched() {
        let (bucket, store) = bucket(&[("exports/m/Manifest.json", "{}"), ("exports/d/a.csv", "one"), ("elsewhere/b.csv", "two")]).await;
        let spool = tempfile::tempdir().unwrap();
        let objects = bucket.list().await.unwrap();
        assert_eq!(objects.keys().map(|name| name.display().to_string()).collect::<Vec<_>>(), ["d/a.csv", "m/Manifest.json"]);
        bucket.mirror(spool.path(), &objects, &Progress::new()).await.unwrap();
        let data = spool.path().join("d/a.csv");
        assert_eq!((read(&spool.path().join("m/Manifest.json")).as_str(), read(&data).as_str()), ("{}", ""));
        bucket.fetch(spool.path(), &objects, &Progress::new()).await.unwrap();
        assert_eq!(read(&data), "one");
        store.delete(&object_store::path::Path::from("exports/d/a.csv")).await.unwrap();
        bucket.mirror(spool.path(), &bucket.list().await.unwrap(), &Progress::new()).await.unwrap();
        assert!(!data.exists());
    }

    #[tokio::test]
    async fn a_broken_download_goes_on_where_it_stopped_unless_the_object_has_changed() {
        let (bucket, store) = bucket(&[("exports/a.csv", "first,second")]).await;
        let spool = tempfile::tempdir().unwrap();
        let objects = bucket.list().await.unwrap();
        let path = spool.path().join("a.csv");
        let part = part_path(&path, &objects[Path::new("a.csv")]);
        // Not what the object begins with: proof that these bytes are not fetched again.
        std::fs::write(&part, "FIRST,").unwrap();
        bucket.fetch(spool.path(), &objects, &Progress::new()).await.unwrap();
        assert_eq!(read(&path), "FIRST,second");
        assert!(!part.exists());

        std::fs::write(&part, "FIRST,").unwrap();
        put(&store, "exports/a.csv", "third,fourth").await;
        let objects = bucket.list().await.unwrap();
        bucket.mirror(spool.path(), &objects, &Progress::new()).await.unwrap();
        assert!(!part.exists(), "a part of an older object is removed");
        bucket.fetch(spool.path(), &objects, &Progress::new()).await.unwrap();
        assert_eq!(read(&path), "third,fourth");
    }

    #[tokio::test]
    async fn an_object_that_stands_for_a_folder_is_none_of_the_files() {
        // As the console of AWS makes folders: an empty object of the folder's name, whose slash the store's client leaves out.
        let (bucket, _) =
            bucket(&[("exports/2026", ""), ("exports/2026/a.csv", "one"), ("exports/2026/d", ""), ("exports/2026/d/b.csv", "two")]).await;
        let spool = tempfile::tempdir().unwrap();
        let objects = bucket.list().await.unwrap();
        bucket.mirror(spool.path(), &objects, &Progress::new()).await.unwrap();
        bucket.fetch(spool.path(), &objects, &Progress::new()).await.unwrap();
        assert_eq!((read(&spool.path().join("2026/a.csv")).as_str(), read(&spool.path().join("2026/d/b.csv")).as_str()), ("one", "two"));
    }

    #[tokio::test]
    async fn an_object_with_content_is_not_passed_over_for_others_below_its_name() {
        let (bucket, _) = bucket(&[("exports/a.csv", "one"), ("exports/a.csv/b.csv", "two")]).await;
        let spool = tempfile::tempdir().unwrap();
        let objects = bucket.list().await.unwrap();
        assert_eq!(objects.len(), 2);
        assert!(bucket.fetch(spool.path(), &objects, &Progress::new()).await.is_err());
    }

    #[tokio::test]
    async fn a_name_may_become_a_folder_and_a_folder_a_name() {
        let (bucket, store) = bucket(&[("exports/a", "one"), ("exports/b/c.csv", "two")]).await;
        let spool = tempfile::tempdir().unwrap();
        let look = async || {
            let objects = bucket.list().await.unwrap();
            bucket.mirror(spool.path(), &objects, &Progress::new()).await.unwrap();
            bucket.fetch(spool.path(), &objects, &Progress::new()).await.unwrap();
        };
        look().await;
        for gone in ["exports/a", "exports/b/c.csv"] {
            store.delete(&object_store::path::Path::from(gone)).await.unwrap();
        }
        put(&store, "exports/a/d.csv", "three").await;
        put(&store, "exports/b", "four").await;
        look().await;
        assert_eq!((read(&spool.path().join("a/d.csv")).as_str(), read(&spool.path().join("b")).as_str()), ("three", "four"));
    }

    #[tokio::test]
    async fn a_bill_has_the_same_digest_until_one_of_its_objects_changes() {
        let (bucket, store) = bucket(&[("exports/a.csv", "one"), ("exports/b.csv", "two")]).await;
        let digest = async || digest_of(&bucket.list().await.unwrap());
        let first = digest().await;
        assert_eq!(first, digest().await);
        put(&store, "exports/b.csv", "six").await;
        assert_ne!(first, digest().await);
    }
}
