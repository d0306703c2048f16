//! A case's files, on disk and inside a component.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::case::{Case, CaseError};

/// Of everything that one component bundles: a self-test is small, the bills stay where they are.
const BUNDLE_BYTES_MAX: usize = 4 << 20;
/// Cases of one rule; each runs before every activation.
const CASES_MAX: usize = 1_000;
/// One file of a case, which a person is to read.
const FILE_BYTES_MAX: u64 = 16 << 20;

pub(super) const INPUT: &str = "input.csv";
pub(super) const CONFIG: &str = "config.json";
pub(super) const EXPECTED: &str = "expected.csv";
pub(super) const LIMITS: &str = "limits.toml";
pub(super) const SETTINGS: &str = "case.toml";

/// The texts of one case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFiles {
    /// The folder's name.
    pub name: String,
    /// `input.csv`
    pub input: String,
    /// `config.json`
    pub config: String,
    /// `expected.csv`; absent until somebody writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// `limits.toml`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
    /// `case.toml`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    cases: Vec<CaseFiles>,
}

/// Every case below `dir`, which is a project's `cases` folder, by name. A project without the folder has no cases.
pub fn read_folder(dir: &Path) -> Result<Vec<Case>, CaseError> {
    let listed = match std::fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CaseError::of_file(dir.display(), error)),
    };
    let mut folders = Vec::new();
    for entry in listed {
        let path = entry.map_err(|error| CaseError::of_file(dir.display(), error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') {
            folders.push((name, path));
        }
    }
    if folders.len() > CASES_MAX {
        return Err(CaseError::of_file(dir.display(), format!("{} cases; the most is {CASES_MAX}", folders.len())));
    }
    folders.sort();
    folders.into_iter().map(|(name, path)| Case::parse(read_files(name, &path)?, &path.display().to_string())).collect()
}

fn read_files(name: String, folder: &Path) -> Result<CaseFiles, CaseError> {
    let optional = |file: &str| {
        let path = folder.join(file);
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(found) if found.len() > FILE_BYTES_MAX => {
                return Err(CaseError::of_file(path.display(), format!("larger than {} MiB", FILE_BYTES_MAX >> 20)));
            }
            _ => {}
        }
        std::fs::read_to_string(&path).map(Some).map_err(|error| CaseError::of_file(path.display(), error))
    };
    let required = |file: &str| {
        let missing = || CaseError::of_file(folder.join(file).display(), "it is missing; a case has input.csv and config.json");
        optional(file)?.ok_or_else(missing)
    };
    Ok(CaseFiles {
        input: required(INPUT)?,
        config: required(CONFIG)?,
        expected: optional(EXPECTED)?,
        limits: optional(LIMITS)?,
        settings: optional(SETTINGS)?,
        name,
    })
}

/// The cases as the content of a component's section [`CASES`](crate::sandbox::sections::CASES); a case that expects nothing yet is
/// left out.
pub fn bundle(cases: &[Case]) -> Result<Vec<u8>, CaseError> {
    let cases = cases.iter().filter(|case| case.files.expected.is_some()).map(|case| case.files.clone()).collect();
    let bytes = serde_json::to_vec(&Bundle { cases }).map_err(|error| CaseError::of_file("cases", error))?;
    if bytes.len() > BUNDLE_BYTES_MAX {
        let (size, most) = (bytes.len() >> 20, BUNDLE_BYTES_MAX >> 20);
        return Err(CaseError::of_file("cases", format!("all cases together have {size} MiB; a component carries at most {most} MiB")));
    }
    Ok(bytes)
}

/// The cases that a component carries.
pub fn unbundle(section: &[u8]) -> Result<Vec<Case>, CaseError> {
    const WHERE: &str = "the component's section rerate:cases";
    if section.len() > BUNDLE_BYTES_MAX {
        return Err(CaseError::of_file(WHERE, format!("larger than {} MiB", BUNDLE_BYTES_MAX >> 20)));
    }
    let bundle: Bundle = serde_json::from_slice(section).map_err(|error| CaseError::of_file(WHERE, error))?;
    if bundle.cases.len() > CASES_MAX {
        return Err(CaseError::of_file(WHERE, format!("{} cases; the most is {CASES_MAX}", bundle.cases.len())));
    }
    let parse = |files: CaseFiles| {
        let place = format!("cases/{}", files.name);
        Case::parse(files, &place)
    };
    bundle.cases.into_iter().map(parse).collect()
}
