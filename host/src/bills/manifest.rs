//! AWS manifests: the legacy report's and Data Exports'.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::BillError;
use crate::domain::period::Period;

/// A manifest that names the files of one refresh of one period.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) path: PathBuf,
    /// `assemblyId` or `executionId`.
    pub(super) id: String,
    /// The report or export that it belongs to.
    pub(super) report: String,
    pub(super) period: Option<Period>,
    /// Keys below the bucket, with forward slashes.
    pub(super) keys: Vec<String>,
    /// The newest of a period compares greatest.
    pub(super) age: Age,
}

/// Legacy reports copy the newest manifest to the period's own folder; Data Exports put the time into the folder's name. Where neither
/// tells, the file's own time does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age {
    in_period_folder: bool,
    folder: String,
    modified: Option<std::time::SystemTime>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Legacy {
    assembly_id: String,
    #[serde(default)]
    report_name: String,
    #[serde(default)]
    report_id: String,
    report_keys: Vec<String>,
    billing_period: LegacyPeriod,
}

#[derive(Deserialize)]
struct LegacyPeriod {
    start: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export {
    execution_id: String,
    #[serde(default)]
    export_arn: String,
    data_files: Vec<String>,
}

/// Whether a file is named like a manifest.
pub(super) fn is_manifest(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with("Manifest.json"))
}

/// Reads a manifest; `None` for a file that is only named like one.
pub(super) fn read(path: &Path) -> Result<Option<Manifest>, BillError> {
    let io = |source| BillError::Io { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(io)?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| BillError::Manifest { path: path.to_owned(), what: error.to_string() })?;
    let wrong = |error: serde_json::Error| BillError::Manifest { path: path.to_owned(), what: error.to_string() };
    let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let modified = path.metadata().and_then(|metadata| metadata.modified()).ok();
    let manifest = if value.get("reportKeys").is_some() {
        let legacy: Legacy = serde_json::from_value(value).map_err(wrong)?;
        let age = Age { in_period_folder: folder != legacy.assembly_id, folder: String::new(), modified };
        let start = legacy.billing_period.start.get(..4).zip(legacy.billing_period.start.get(4..6));
        let period = start.and_then(|(year, month)| format!("{year}-{month}").parse().ok());
        let report = if legacy.report_id.is_empty() { legacy.report_name } else { legacy.report_id };
        Manifest { path: path.to_owned(), id: legacy.assembly_id, report, period, keys: legacy.report_keys, age }
    } else if value.get("dataFiles").is_some() {
        let export: Export = serde_json::from_value(value).map_err(wrong)?;
        let period = std::iter::once(path.display().to_string()).chain(export.data_files.iter().cloned()).find_map(|place| {
            let (_, behind) = place.split_once("BILLING_PERIOD=")?;
            behind.get(..7)?.parse().ok()
        });
        // `2026-04-16T15:24:15.653Z-<executionId>`, in the path of the manifest, of its files, or of both.
        let folder = std::iter::once(path.display().to_string())
            .chain(export.data_files.iter().cloned())
            .flat_map(|place| place.split('/').map(str::to_owned).collect::<Vec<_>>())
            .find(|part| part.len() > export.execution_id.len() && part.ends_with(&export.execution_id))
            .unwrap_or_default();
        let age = Age { in_period_folder: false, folder, modified };
        let keys = export.data_files.iter().map(|file| key_of_url(file)).collect();
        Manifest { path: path.to_owned(), id: export.execution_id, report: export.export_arn, period, keys, age }
    } else {
        return Ok(None);
    };
    if manifest.id.contains(char::is_control) {
        return Err(BillError::Manifest { path: path.to_owned(), what: format!("its id {:?} has control characters", manifest.id) });
    }
    if manifest.keys.is_empty() {
        return Err(BillError::Manifest { path: path.to_owned(), what: "it lists no file".to_owned() });
    }
    Ok(Some(manifest))
}

/// `s3://bucket/a/b` to `a/b`.
fn key_of_url(url: &str) -> String {
    let key = url.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).map_or(url, |(_, key)| key);
    key.to_owned()
}
