//! Opens the object stores of blobs, tables and sources.
//!
//! A store answers by itself: its client follows no redirect, which could lead a request with the server's credentials,
//! or from the server's network, to another address.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{ClientConfigKey, HttpClient, HttpConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use object_store_client::redirect::Policy;
use object_store_client::{Client, Proxy};
use perennial_core::object_url::ObjectScheme;

#[cfg(test)]
mod tests;

/// Time for the connection to a store.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for one request, with the transfer of its bytes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens a bucket or container; credentials, region and endpoint come from the standard variables (`AWS_*`, `GOOGLE_*`,
/// `AZURE_*`).
pub fn open(scheme: ObjectScheme, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    open_with(scheme, bucket, RetryConfig::default())
}

/// Asks a bucket or container for one object, without retries: an error says why it does not answer.
pub async fn probe(scheme: ObjectScheme, bucket: &str, key: &str) -> object_store::Result<()> {
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    match open_with(scheme, bucket, once)?.head(&object_store::path::Path::parse(key)?).await {
        Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn open_with(scheme: ObjectScheme, bucket: &str, retry: RetryConfig) -> object_store::Result<Arc<dyn ObjectStore>> {
    Ok(match scheme {
        ObjectScheme::S3 => Arc::new(s3(AmazonS3Builder::from_env(), endpoint(), bucket).with_retry(retry).build()?),
        ObjectScheme::Gs => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_http_connector(Connector)
                .with_retry(retry)
                .build()?,
        ),
        ObjectScheme::Az => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_container_name(bucket)
                .with_http_connector(Connector)
                .with_retry(retry)
                .build()?,
        ),
    })
}

/// The configured endpoint of a server that is compatible with S3.
fn endpoint() -> Option<String> {
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].into_iter().find_map(|name| std::env::var(name).ok())
}

/// A bucket of S3 or of a compatible server; plain HTTP is allowed only for a configured `http://` endpoint.
fn s3(builder: AmazonS3Builder, endpoint: Option<String>, bucket: &str) -> AmazonS3Builder {
    let builder = builder.with_bucket_name(bucket).with_http_connector(Connector);
    match endpoint {
        Some(endpoint) => builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint),
        None => builder,
    }
}

/// Makes clients that follow no redirects.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed = |cause| object_store::Error::Generic { store: "HTTP client", source: Box::new(cause) };
        let is_set = |key| options.get_config_value(&key).is_some_and(|value| value == "true");
        let mut builder = Client::builder()
            .user_agent(concat!("perennial/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A compressed answer would have another length than the object.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .https_only(!is_set(ClientConfigKey::AllowHttp))
            .danger_accept_invalid_certs(is_set(ClientConfigKey::AllowInvalidCertificates));
        if let Some(proxy) = options.get_config_value(&ClientConfigKey::ProxyUrl) {
            builder = builder.proxy(Proxy::all(proxy).map_err(failed)?);
        }
        Ok(HttpClient::new(builder.build().map_err(failed)?))
    }
}
