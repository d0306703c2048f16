//! Files in a bucket, under the names that they have in the daemon's folder. Each carries its SHA-256, by which it is checked when it
//! comes back; a file that is there is whole, since a store shows an object when all of it has come.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    WriteMultipart,
};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::DepotError;
use super::s3::{BucketLocation, connect, reason_of};

/// Bytes of one request. A slow line of 1 MB/s sends them within the store's timeout of 30 s.
const PIECE: u64 = 16 << 20;

/// Requests at a time for one file, and files at a time: enough to fill a fast line, few enough for a small store.
const AT_ONCE: usize = 8;

/// How long a request is tried again while the store does not answer or says that it is busy. Who waits for a page of charges waits as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The object's note of its own digest (`x-amz-meta-sha256`).
const SHA256: &str = "sha256";

/// A bucket, or a folder in it. Cheap to clone.
#[derive(Clone)]
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// How people call it.
    url: Arc<str>,
    piece: u64,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub bytes: u64,
    /// When it was put there, in milliseconds since 1970, by the store's clock.
    pub put_at: i64,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Remote").field(&self.url).finish()
    }
}

impl Remote {
    /// Nothing is asked of the store yet. The credentials are those of the environment.
    pub fn connect(location: &BucketLocation) -> Result<Self, DepotError> {
        let (store, prefix) = connect(location, None, Some(PATIENCE))?;
        Ok(Self::of(store, prefix, location.url.trim_end_matches('/')))
    }

    fn of(store: Arc<dyn ObjectStore>, prefix: Key, url: &str) -> Self {
        Self { store, prefix, url: url.into(), piece: PIECE }
    }

    /// A store in memory that takes pieces of ten bytes.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        let store = Arc::new(object_store::memory::InMemory::new());
        Self { piece: 10, ..Self::of(store, Key::from("msp"), "s3://lake/msp") }
    }

    /// What lies below a folder of it.
    #[must_use]
    pub fn below(&self, folder: &str) -> Self {
        let prefix = folder.split('/').fold(self.prefix.clone(), |prefix, part| prefix.join(part));
        Self { prefix, url: format!("{}/{folder}", self.url).into(), ..self.clone() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn key(&self, name: &str) -> Key {
        name.split('/').fold(self.prefix.clone(), |key, part| key.join(part))
    }

    fn failed(&self, what: &str, name: &str) -> impl Fn(object_store::Error) -> DepotError + use<> {
        let (bucket, name, what) = (self.url.to_string(), name.to_owned(), what.to_owned());
        move |error| match error {
            object_store::Error::NotFound { .. } if !reason_of(&error).starts_with("NoSuchBucket") => {
                DepotError::Missing { name: name.clone(), bucket: bucket.clone() }
            }
            error => DepotError::Bucket {
                bucket: bucket.clone(),
                what: format!("cannot {what} {name}").trim_end().to_owned(),
                reason: reason_of(&error),
            },
        }
    }

    /// Puts a file there, in place of what was there under its name.
    pub async fn put(&self, name: &str, file: &Path) -> Result<(), DepotError> {
        let failed = self.failed("put", name);
        let (bytes, sha256) = digest_of(file).await?;
        let attributes: Attributes = [(Attribute::Metadata(SHA256.into()), AttributeValue::from(sha256))].into_iter().collect();
        let key = self.key(name);
        if bytes <= self.piece {
            let content = tokio::fs::read(file).await.map_err(DepotError::file(file))?;
            self.store.put_opts(&key, content.into(), PutOptions { attributes, ..PutOptions::default() }).await.map_err(failed)?;
            return Ok(());
        }
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let upload = self.store.put_multipart_opts(&key, options).await.map_err(&failed)?;
        let piece = usize::try_from(self.piece).unwrap_or(usize::MAX);
        let mut upload = WriteMultipart::new_with_chunk_size(upload, piece);
        match self.send(&mut upload, name, file, piece).await {
            Ok(()) => upload.finish().await.map(drop).map_err(failed),
            Err(error) => {
                let _ = upload.abort().await; // what stays of it is no object yet
                Err(error)
            }
        }
    }

    async fn send(&self, upload: &mut WriteMultipart, name: &str, path: &Path, piece: usize) -> Result<(), DepotError> {
        let mut file = tokio::fs::File::open(path).await.map_err(DepotError::file(path))?;
        loop {
            let mut buffer = Vec::with_capacity(piece);
            (&mut file).take(piece as u64).read_to_end(&mut buffer).await.map_err(DepotError::file(path))?;
            if buffer.is_empty() {
                return Ok(());
            }
            upload.wait_for_capacity(AT_ONCE).await.map_err(self.failed("put", name))?;
            upload.put(buffer.into());
        }
    }

    /// Puts these files of a folder there.
    pub async fn put_all(&self, folder: &Path, names: impl IntoIterator<Item = String>) -> Result<(), DepotError> {
        let puts = names.into_iter().map(|name| async move { self.put(&name, &folder.join(&name)).await });
        futures::stream::iter(puts).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// A copy in a temporary file of the folder, checked and synced. `expected` is its length, where that is known.
    pub async fn get(&self, name: &str, folder: &Path, expected: Option<u64>) -> Result<NamedTempFile, DepotError> {
        let made = NamedTempFile::new_in(folder).map_err(DepotError::file(folder))?;
        let mut file = tokio::fs::File::from_std(made.reopen().map_err(DepotError::file(made.path()))?);
        let write = DepotError::file(made.path());
        let (mut have, mut digest, mut recorded) = (0, Sha256::new(), None);
        let mut same: Option<String> = None;
        let bytes = loop {
            let range = Some(GetRange::Bounded(have..have + self.piece));
            let options = GetOptions { range, if_match: same.take(), ..GetOptions::default() };
            let got = self.store.get_opts(&self.key(name), options).await.map_err(self.failed("get", name))?;
            if have == 0 {
                recorded = got.attributes.get(&Attribute::Metadata(SHA256.into())).map(|value| value.as_ref().to_owned());
            }
            let size = got.meta.size;
            same = got.meta.e_tag.clone();
            let piece = got.bytes().await.map_err(self.failed("get", name))?;
            digest.update(&piece);
            file.write_all(&piece).await.map_err(&write)?;
            have += piece.len() as u64;
            if have >= size || piece.is_empty() {
                break size;
            }
        };
        file.sync_all().await.map_err(&write)?;
        let damaged = |what: String| Err(DepotError::Damaged { name: name.to_owned(), bucket: self.url.to_string(), what });
        if let Some(wanted) = expected.or(Some(bytes)).filter(|wanted| *wanted != have) {
            return damaged(format!("it has {have} bytes, not {wanted}"));
        }
        let sha256 = hex(&digest.finalize());
        match recorded {
            Some(recorded) if recorded != sha256 => damaged(format!("its SHA-256 is {sha256}, not {recorded}")),
            _ => Ok(made),
        }
    }

    /// Its length, if it is there.
    pub async fn length(&self, name: &str) -> Result<Option<u64>, DepotError> {
        Ok(self.find(name).await?.map(|listed| listed.bytes))
    }

    /// What is there under a name.
    pub async fn find(&self, name: &str) -> Result<Option<Listed>, DepotError> {
        match self.store.head(&self.key(name)).await.map_err(self.failed("look for", name)) {
            Ok(found) => Ok(Some(Listed { name: name.to_owned(), bytes: found.size, put_at: found.last_modified.timestamp_millis() })),
            Err(DepotError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells of every object, in no order.
    pub async fn list(&self, mut each: impl FnMut(Listed)) -> Result<(), DepotError> {
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let mut listing = self.store.list(prefix);
        while let Some(object) = listing.try_next().await.map_err(self.failed("list its objects", ""))? {
            let below = object.location.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or_default().trim_start_matches('/');
            if !below.is_empty() {
                each(Listed { name: below.to_owned(), bytes: object.size, put_at: object.last_modified.timestamp_millis() });
            }
        }
        Ok(())
    }

    /// Removes these. What is not there is none the worse.
    pub async fn remove(&self, names: impl IntoIterator<Item = String>) -> Result<(), DepotError> {
        let removals = names.into_iter().map(|name| async move {
            match self.store.delete(&self.key(&name)).await.map_err(self.failed("remove", &name)) {
                Ok(()) | Err(DepotError::Missing { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        });
        futures::stream::iter(removals).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Removes a file of this name, and everything in a folder of this name.
    pub async fn remove_below(&self, name: &str) -> Result<(), DepotError> {
        let mut inside = Vec::new();
        let folder = self.below(name);
        folder.list(|listed| inside.push(listed.name)).await?;
        folder.remove(inside).await?;
        self.remove([name.to_owned()]).await
    }

    /// A short text, if it is there.
    pub async fn read_text(&self, name: &str) -> Result<Option<String>, DepotError> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..self.piece.max(1 << 10))), ..GetOptions::default() };
        match self.store.get_opts(&self.key(name), options).await.map_err(self.failed("get", name)) {
            Ok(found) => {
                let bytes = found.bytes().await.map_err(self.failed("get", name))?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
            Err(DepotError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn write_text(&self, name: &str, text: &str) -> Result<(), DepotError> {
        self.store.put(&self.key(name), text.to_owned().into()).await.map_err(self.failed("put", name))?;
        Ok(())
    }
}

/// Length and SHA-256 of a file.
async fn digest_of(path: &Path) -> Result<(u64, String), DepotError> {
    let file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut digest = Sha256::new();
        let bytes = io::copy(&mut std::fs::File::open(&file)?, &mut digest)?;
        Ok((bytes, hex(&digest.finalize())))
    });
    read.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(DepotError::file(path))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(remote: &Remote, name: &str, content: &str) {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        remote.put(name, file.path()).await.unwrap();
    }

    async fn get(remote: &Remote, name: &str, expected: Option<u64>) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let got = remote.get(name, folder.path(), expected).await.map_err(|error| error.to_string())?;
        Ok(std::fs::read_to_string(got.path()).unwrap())
    }

    #[tokio::test]
    async fn files_of_one_piece_and_of_several_come_back_as_they_were() {
        let remote = Remote::in_memory();
        for content in ["", "short", "ten bytes.", "a text that needs three"] {
            put(&remote, "lake/snp_1/a.parquet", content).await;
            assert_eq!(remote.length("lake/snp_1/a.parquet").await.unwrap(), Some(content.len() as u64));
            if !content.is_empty() {
                assert_eq!(get(&remote, "lake/snp_1/a.parquet", Some(content.len() as u64)).await.unwrap(), content);
            }
        }
        let below = remote.below("lake");
        assert_eq!(get(&below, "snp_1/a.parquet", None).await.unwrap(), "a text that needs three");
        let missing = get(&below, "snp_2/a.parquet", None).await.unwrap_err();
        assert_eq!(missing, "snp_2/a.parquet is not in the bucket s3://lake/msp/lake");
    }

    #[tokio::test]
    async fn a_file_of_another_length_or_with_other_bytes_is_refused() {
        let remote = Remote::in_memory();
        put(&remote, "a", "what was put there").await;
        let refused = get(&remote, "a", Some(17)).await.unwrap_err();
        assert_eq!(refused, "a in the bucket s3://lake/msp is not what was put there: it has 18 bytes, not 17");
        // Somebody changes the bytes and leaves the note of them.
        let note = "0".repeat(64);
        let attributes: Attributes = [(Attribute::Metadata(SHA256.into()), AttributeValue::from(note))].into_iter().collect();
        let options = PutOptions { attributes, ..PutOptions::default() };
        remote.store.put_opts(&remote.key("a"), "what is there now.".into(), options).await.unwrap();
        assert!(get(&remote, "a", Some(18)).await.unwrap_err().contains("its SHA-256 is "));
    }

    #[tokio::test]
    async fn a_name_is_removed_as_a_file_and_as_a_folder_and_nothing_beside_it() {
        let remote = Remote::in_memory();
        for name in ["lake/snp_1/a", "lake/snp_1/b/c", "lake/snp_10/a", "lake/rated/run_1"] {
            put(&remote, name, "x").await;
        }
        let lake = remote.below("lake");
        lake.remove_below("snp_1").await.unwrap();
        lake.remove_below("rated/run_1").await.unwrap();
        lake.remove_below("never/there").await.unwrap();
        let mut names = Vec::new();
        remote.list(|listed| names.push(listed.name)).await.unwrap();
        assert_eq!(names, ["lake/snp_10/a"]);
    }

    #[tokio::test]
    async fn a_text_is_there_once_it_is_written() {
        let remote = Remote::in_memory();
        assert_eq!(remote.read_text("rerate.lake").await.unwrap(), None);
        remote.write_text("rerate.lake", "lake_1").await.unwrap();
        assert_eq!(remote.read_text("rerate.lake").await.unwrap().as_deref(), Some("lake_1"));
    }
}
