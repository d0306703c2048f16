//! Where a provider puts the files of a bill, and the manifest that it writes beside them.

use std::path::PathBuf;

use serde_json::json;

use super::columns::{Column, Stored};
use super::random::Random;
use super::{Compression, Format, Spec};

/// The folder that stands for the bucket has no name of its own; manifests need one.
const BUCKET: &str = "rerate-sample-bills";
/// First folder in the bucket.
const PREFIX: &str = "exports";

/// Paths below the folder that stands for the bucket.
pub(super) struct Layout {
    pub(super) files: Vec<PathBuf>,
    /// All copies of the manifest; the last is the one to point people to.
    pub(super) manifests: Vec<PathBuf>,
    /// The folder of this period's files: exists only if a bill is there already.
    pub(super) period: PathBuf,
    run: String,
}

impl Layout {
    pub(super) fn new(spec: &Spec, files: usize) -> Self {
        let month = spec.period.first_day();
        let mut random =
            Random::new(spec.seed ^ u64::from(month.year().unsigned_abs()) << 8 ^ u64::from(month.month().unsigned_abs()), 0x1a);
        let run = random.uuid();
        let name = &spec.name;
        let report = PathBuf::from(PREFIX).join(name);
        let extension = match spec.compression {
            Compression::CsvGz => "csv.gz",
            Compression::Parquet => "snappy.parquet",
        };
        let numbered =
            |folder: PathBuf, pad: usize| (1..=files).map(move |n| folder.join(format!("{name}-{n:0pad$}.{extension}"))).collect();
        match spec.format {
            Format::Cur2 => {
                let month = format!("BILLING_PERIOD={}", spec.period);
                // As if the provider had written it on the third day after the month.
                let written = format!("{}-{:02}-03T06:12:44.917Z-{run}", spec.period.end().year(), spec.period.end().month());
                let period = report.join("data").join(&month);
                let manifests = vec![report.join("metadata").join(&month).join(format!("{name}-Manifest.json"))];
                Self { files: numbered(period.join(written), 5), manifests, period, run }
            }
            Format::Cur => {
                let days = |date: jiff::civil::Date| format!("{:04}{:02}{:02}", date.year(), date.month(), date.day());
                let range = report.join(format!("{}-{}", days(month), days(spec.period.end())));
                let manifest = format!("{name}-Manifest.json");
                if spec.compression == Compression::Parquet {
                    let folder = report.join(name).join(format!("year={}", month.year())).join(format!("month={}", month.month()));
                    return Self { files: numbered(folder.clone(), 5), manifests: vec![range.join(manifest)], period: folder, run };
                }
                let assembly = range.join(&run);
                Self {
                    files: numbered(assembly.clone(), 1),
                    manifests: vec![assembly.join(&manifest), range.join(&manifest)],
                    period: range,
                    run,
                }
            }
            Format::Focus => {
                let period = report.join(spec.period.to_string());
                Self { files: numbered(period.clone(), 5), manifests: Vec::new(), period, run }
            }
        }
    }

    /// The manifest's text; empty where the format has none.
    pub(super) fn manifest(&self, spec: &Spec, columns: &[Column], names: &[&str]) -> String {
        let keys: Vec<String> = self.files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
        let parquet = spec.compression == Compression::Parquet;
        let manifest = match spec.format {
            Format::Cur2 => {
                // In CSV the maps are JSON text.
                let stored = |column: &Column| match column.stored {
                    Stored::TextMap | Stored::DoubleMap if !parquet => Stored::Text,
                    stored => stored,
                };
                let columns: Vec<_> =
                    columns.iter().zip(names).map(|(c, name)| json!({"name": name, "type": stored(c).manifest_name()})).collect();
                let payer = &spec.organisation.payer.id;
                json!({
                    "executionId": self.run,
                    "exportArn": format!("arn:aws:bcm-data-exports:us-east-1:{payer}:export/{}-{}", spec.name, &self.run[..8]),
                    "columns": columns,
                    "dataFiles": keys.iter().map(|key| format!("s3://{BUCKET}/{key}")).collect::<Vec<_>>(),
                })
            }
            Format::Cur => {
                let split = |name: &&str| name.split_once('/').map(|(category, name)| json!({"category": category, "name": name}));
                let day = |date: jiff::civil::Date| format!("{:04}{:02}{:02}T000000.000Z", date.year(), date.month(), date.day());
                json!({
                    "assemblyId": self.run,
                    "account": spec.organisation.payer.id,
                    "columns": columns.iter().map(|c| c.legacy).collect::<Vec<_>>().iter().filter_map(split).collect::<Vec<_>>(),
                    "charset": "UTF-8",
                    "compression": if parquet { "Parquet" } else { "GZIP" },
                    "contentType": if parquet { "Parquet" } else { "text/csv" },
                    "reportId": Random::new(spec.seed, 0x1b).hex(64),
                    "reportName": spec.name,
                    "billingPeriod": { "start": day(spec.period.first_day()), "end": day(spec.period.end()) },
                    "bucket": BUCKET,
                    "reportKeys": keys,
                    "additionalArtifactKeys": [],
                })
            }
            Format::Focus => return String::new(),
        };
        format!("{manifest:#}\n")
    }
}
