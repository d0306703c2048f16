//! Built components that are kept, under a name that says everything they are made of. Python's compiler takes long, and no two builds of the
//! same sources in Python or JavaScript have the same bytes, so that each build would have to be compiled to native code as well.
//!
//! Kept is what a compiler made, before golden cases are added. A Rust project is not kept here: cargo knows what it need not do again.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::BuildError;
use crate::plugins::hex;
use crate::sandbox::Cache;

/// What `make` gives, or what it gave before of the same `work` folder with the same tools.
pub(super) fn or_built(
    cache: Option<&Cache>,
    tools: &[&str],
    work: &Path,
    make: impl FnOnce() -> Result<Vec<u8>, BuildError>,
) -> Result<Vec<u8>, BuildError> {
    let Some(cache) = cache else { return make() };
    let name = name(tools, work).map_err(|source| BuildError::File { path: work.to_owned(), source })?;
    if let Some(kept) = cache.read(&name) {
        return Ok(kept);
    }
    let made = make()?;
    if let Err(error) = cache.write(&name, &made) {
        tracing::warn!(%error, "a built component could not be kept; it is built again the next time");
    }
    Ok(made)
}

/// By the tools and by the name and content of every file that they are given.
fn name(tools: &[&str], work: &Path) -> std::io::Result<String> {
    let mut files = Vec::new();
    collect(work, Path::new(""), &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    // With the length of each part, so that none can be taken for two.
    let mut add = |part: &[u8]| {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    };
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(&tools.len().to_le_bytes());
    tools.iter().for_each(|tool| add(tool.as_bytes()));
    for file in files {
        add(file.as_os_str().as_encoded_bytes());
        add(&std::fs::read(work.join(&file))?);
    }
    Ok(format!("built-{}.wasm", hex(&digest.finalize())))
}

fn collect(work: &Path, below: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(work.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() { collect(work, &path, files)? } else { files.push(path) }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_with_the_tools_and_with_the_name_and_content_of_every_file() {
        let work = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = work.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let named = |tools: &[&str]| name(tools, work.path()).unwrap();
        write("project/rule.py", "one");
        let mut names = vec![named(&["tool 1"])];
        assert_eq!(names[0], named(&["tool 1"]));
        names.extend([named(&["tool 2"]), named(&["tool", " 1"])]);
        write("project/rule.py", "two");
        names.push(named(&["tool 1"]));
        write("project/sdk/more.py", "");
        names.push(named(&["tool 1"]));
        std::fs::rename(work.path().join("project/sdk/more.py"), work.path().join("project/more.py")).unwrap();
        names.push(named(&["tool 1"]));
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }
}
