//! The bucket of a lake, as commands are told of it.

use super::Failure;
use crate::depot::DepotError;
use crate::depot::s3::BucketLocation;
use crate::jobs::place::{BucketLake, PlaceError};

/// Bytes in a GiB, which `--lake-copies` counts.
const GIB: u64 = 1 << 30;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct LakeArgs {
    /// Keep charges and components in a bucket, so that daemons on several machines share them: s3://bucket/prefix. Credentials are read
    /// from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their neighbours [default: in the data folder alone]
    #[arg(long, value_name = "URL", env = "RERATE_LAKE")]
    lake: Option<String>,
    /// Where the bucket's store answers, if it is not AWS: `http://minio.example:9000`
    #[arg(long, value_name = "URL", env = "RERATE_LAKE_ENDPOINT")]
    lake_endpoint: Option<String>,
    /// The bucket's region [default: AWS_REGION, or us-east-1]
    #[arg(long, value_name = "NAME", env = "RERATE_LAKE_REGION")]
    lake_region: Option<String>,
}

impl LakeArgs {
    /// None where the files are in the folder alone.
    pub(super) fn location(&self) -> Option<BucketLocation> {
        let (endpoint, region) = (self.lake_endpoint.clone(), self.lake_region.clone());
        self.lake.clone().map(|url| BucketLocation { url, endpoint, region })
    }

    /// `copies` are GiB.
    pub(super) fn bucket(&self, copies: u64) -> Option<BucketLake> {
        self.location().map(|location| BucketLake { location, copies: copies.saturating_mul(GIB) })
    }
}

pub(super) fn refused_place(error: PlaceError) -> Failure {
    let next = match &error {
        PlaceError::InBucket(known) => format!("give --lake {known}, with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        PlaceError::Elsewhere { known, .. } => {
            format!(
                "give --lake {known}; to move its files: rerate backup, then rerate restore, and start the restored one with the new --lake"
            )
        }
        PlaceError::Beside => "stop it; the first daemon with --lake puts the files of its folder into the bucket".to_owned(),
        PlaceError::Foreign(_) => "give --lake another prefix, one for each database".to_owned(),
        PlaceError::Unmarked(_) => "look at --lake and --lake-endpoint; if the bucket was emptied, restore a backup".to_owned(),
        PlaceError::OtherKey => {
            "give every daemon the same key in RERATE_SECRET_KEY: what secrets.key in the first one's data folder holds".to_owned()
        }
        PlaceError::Missing { .. } => {
            "start the daemon first whose folder has them, and give it time to put them into the bucket".to_owned()
        }
        PlaceError::Depot(error) => next_of(error),
        PlaceError::Store(_) | PlaceError::Jobs(_) | PlaceError::Secret(_) => return error.into(),
    };
    Failure::input(error).next(next)
}

/// What to do about a bucket.
pub(super) fn next_of(error: &DepotError) -> String {
    const KEYS: &str = "the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    let text = error.to_string();
    if text.contains("NoSuchBucket") {
        "make the bucket, or look at its name in --lake".to_owned()
    } else if ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden", "403"].iter().any(|word| text.contains(word)) {
        format!("look at {KEYS}: they must be allowed to list the bucket and to get, put and delete objects below the prefix")
    } else if matches!(error, DepotError::Connect(_)) {
        "give --lake s3://bucket/prefix".to_owned()
    } else {
        format!("look whether the store answers at --lake-endpoint, and at {KEYS}")
    }
}
