//! The way to an S3-compatible bucket: where it is, with which keys, and what its errors mean to people.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

/// Where a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketLocation {
    /// `s3://bucket/prefix`.
    pub url: String,
    /// For stores other than AWS: `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    pub region: Option<String>,
}

/// What opens a bucket. Told to nobody: it has no `Debug`.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{0:?} is not a bucket; write it as s3://bucket/prefix")]
    Location(String),
    #[error("the bucket {location}: {reason}")]
    Settings { location: String, reason: String },
}

/// A bucket and the path in it that an address names. Nothing is asked of the store yet. Without credentials, those of the environment
/// (`AWS_ACCESS_KEY_ID`, ...) are used. `patience` is how long a request is tried again, with growing pauses; three minutes if absent.
pub fn connect(
    location: &BucketLocation,
    credentials: Option<Credentials>,
    patience: Option<Duration>,
) -> Result<(Arc<dyn ObjectStore>, Path), ConnectError> {
    let bad = || ConnectError::Location(location.url.clone());
    let (bucket, prefix) = location.url.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))).ok_or_else(bad)?;
    if bucket.is_empty() {
        return Err(bad());
    }
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|_| bad())?;
    // Nothing of the daemon's own credentials may mix with those of an integration.
    let builder = match credentials {
        None => AmazonS3Builder::from_env(),
        Some(Credentials { access_key_id, secret_access_key, session_token }) => {
            let builder = AmazonS3Builder::new().with_access_key_id(access_key_id).with_secret_access_key(secret_access_key);
            match session_token {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
    };
    let mut builder = builder.with_bucket_name(bucket);
    if let Some(endpoint) = &location.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(region) = &location.region {
        builder = builder.with_region(region);
    }
    if let Some(patience) = patience {
        builder = builder.with_retry(RetryConfig { retry_timeout: patience, max_retries: 1_000, ..RetryConfig::default() });
    }
    let failed = |error| ConnectError::Settings { location: location.url.clone(), reason: reason_of(&error) };
    Ok((Arc::new(builder.build().map_err(failed)?), prefix))
}

/// What a person can act on: the store's own code and message, where it answered with them.
pub fn reason_of(error: &object_store::Error) -> String {
    let text = error.to_string();
    let within = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner)
    };
    match (within("Code"), within("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_that_is_no_bucket_is_refused() {
        for url in ["bills", "s3://", "http://bills/x", "s3:///x"] {
            let location = BucketLocation { url: url.to_owned(), endpoint: None, region: None };
            assert!(matches!(connect(&location, None, None), Err(ConnectError::Location(_))), "{url}");
        }
    }
}
