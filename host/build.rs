//! Lists the files that `rerate plugin new` writes into a project, so that the binary brings them along and a new file is never forgotten.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A constant's name, the folder it lists and what of it: everything, or one folder.
const LISTS: [(&str, &str); 5] = [
    ("WIT", "wit"),
    ("RUST_SDK", "plugins/sdk/src"),
    ("JS_SDK", "plugins/sdk-js/src"),
    ("PYTHON_SDK", "plugins/sdk-python/rerate"),
    ("TEMPLATES", "plugins/templates"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    println!("cargo::rerun-if-changed=build.rs");
    let mut code = String::new();
    for (name, folder) in LISTS {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        collect(&folder, &mut files)?;
        files.sort();
        writeln!(code, "/// Path and text, by path.\npub(super) const {name}: &[(&str, &str)] = &[")?;
        for file in files {
            let path = file.strip_prefix(&folder)?.to_str().ok_or("a path is not text")?.replace('\\', "/");
            writeln!(code, "    ({path:?}, include_str!({:?})),", file.to_str().ok_or("a path is not text")?)?;
        }
        writeln!(code, "];")?;
    }
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("embedded.rs"), code)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "__pycache__" {
            continue; // what editors and interpreters leave behind
        }
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
