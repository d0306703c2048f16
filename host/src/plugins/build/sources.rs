//! A copy of a project's modules for a toolchain that reads a whole folder: what the author has beside them stays out of the component.

use std::path::{Path, PathBuf};

use super::BuildError;

/// Modules of one project; more is a folder that is no project.
const FILES_MAX: usize = 2_000;
/// Folders in folders: a link to a folder above would never end.
const DEPTH_MAX: usize = 12;
/// What is not part of a rule.
const ASIDE: [&str; 7] = ["node_modules", "__pycache__", "test", "tests", "cases", "wit", "venv"];

/// Copies files with one of these endings; links are followed, since an SDK may be one.
pub(super) fn copy(dir: &Path, to: &Path, endings: &[&str]) -> Result<(), BuildError> {
    let mut files = Vec::new();
    collect(dir, Path::new(""), endings, 0, &mut files)?;
    for file in files {
        let target = to.join(&file);
        let failed = |source| BuildError::File { path: target.clone(), source };
        std::fs::create_dir_all(target.parent().unwrap_or(to)).map_err(failed)?;
        std::fs::copy(dir.join(&file), &target).map_err(failed)?;
    }
    Ok(())
}

fn collect(dir: &Path, below: &Path, endings: &[&str], depth: usize, files: &mut Vec<PathBuf>) -> Result<(), BuildError> {
    let folder = dir.join(below);
    let failed = |source| BuildError::File { path: folder.clone(), source };
    if depth > DEPTH_MAX || files.len() > FILES_MAX {
        let message = format!("more than {FILES_MAX} modules or {DEPTH_MAX} folders deep: this is no rule's project");
        return Err(BuildError::Manifest { path: folder, message });
    }
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        let path = below.join(&name);
        let Ok(found) = std::fs::metadata(dir.join(&path)) else { continue }; // a link to nowhere
        if found.is_dir() && !name.starts_with('.') && !ASIDE.contains(&name.as_str()) {
            collect(dir, &path, endings, depth + 1, files)?;
        } else if found.is_file() && path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_copied_with_their_folders_and_nothing_else_is() {
        let (project, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for file in ["rule.js", "sdk/index.js", "node_modules/left-pad/index.js", "test/rule.test.js", ".git/hook.js", "notes.txt"] {
            let path = project.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        copy(project.path(), copied.path(), &["js"]).unwrap();
        let has = |file: &str| copied.path().join(file).exists();
        assert!(has("rule.js") && has("sdk/index.js"));
        assert!(!has("node_modules") && !has("test") && !has(".git") && !has("notes.txt"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_a_circle_ends_in_a_sentence() {
        let (project, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(project.path(), project.path().join("again")).unwrap();
        let refused = copy(project.path(), copied.path(), &["js"]).unwrap_err().to_string();
        assert!(refused.contains("no rule's project"), "{refused}");
    }
}
