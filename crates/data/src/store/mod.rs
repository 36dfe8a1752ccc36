//! The store of tables: a local folder with synced writes, or an object store.

mod durable;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use perennial_core::object_url::ObjectUrl;
use url::Url;

use crate::error::{Error, Result};

pub(crate) use durable::{DurableFolder, create_folders, sync_folder};

/// An object store, and the URL under which DataFusion and Delta register it.
#[derive(Clone)]
pub(crate) struct Store {
    /// The store; its paths start at the URL's authority.
    pub(crate) inner: Arc<dyn ObjectStore>,
    /// Scheme and authority.
    pub(crate) base: Url,
}

/// The root of all tables.
#[derive(Clone)]
pub(crate) struct Root {
    /// The store.
    pub(crate) store: Store,
    /// URL of the root folder, ending in `/`.
    pub(crate) url: Url,
    /// The folder, when it is local.
    pub(crate) folder: Option<PathBuf>,
}

impl Root {
    /// Opens the root at a URL or local path; a missing local folder is created.
    pub(crate) fn open(root: &str) -> Result<Self> {
        match url_of(root)? {
            Some(url) if url.scheme() != "file" => {
                let location = object_url(root)?;
                let store = remote(&location)?;
                let url = store
                    .base
                    .join(&format!("/{}", location.key()))
                    .map_err(|cause| Error::Argument(format!("`{root}` is not a URL for tables: {cause}")))?;
                Ok(Self { store, url: as_folder(url), folder: None })
            }
            Some(url) => {
                let folder =
                    url.to_file_path().map_err(|()| Error::Argument(format!("`{root}` is not a local folder")))?;
                Self::local(&folder)
            }
            None => Self::local(Path::new(root)),
        }
    }

    fn local(folder: &Path) -> Result<Self> {
        let failed = |cause| Error::storage(format!("creating the folder `{}`", folder.display()), cause);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let url = Url::from_directory_path(&folder)
            .map_err(|()| Error::Argument(format!("`{}` is not an absolute path", folder.display())))?;
        let base = base_of(&url, url.scheme(), url.host_str().unwrap_or_default())?;
        Ok(Self { store: Store { inner: Arc::new(DurableFolder::new()), base }, url, folder: Some(folder) })
    }

    /// URL of a table's folder, ending in `/`.
    pub(crate) fn table_url(&self, table: &str) -> Result<Url> {
        let table = crate::location::validate_table_path(table)?;
        self.url
            .join(&format!("{table}/"))
            .map_err(|cause| Error::Argument(format!("`{table}` is not a table path: {cause}")))
    }
}

/// Parses `text` as a URL; `None` when it is a path.
pub(crate) fn url_of(text: &str) -> Result<Option<Url>> {
    if !text.contains("://") {
        return Ok(None);
    }
    Url::parse(text).map(Some).map_err(|cause| Error::Argument(format!("`{text}` is not a URL: {cause}")))
}

/// Opens the store of a URL, with credentials from the standard environment variables.
pub(crate) fn remote(url: &ObjectUrl) -> Result<Store> {
    let inner = perennial_artifacts::remote::open(url.scheme(), url.bucket())
        .map_err(|cause| Error::storage(format!("opening `{url}`"), cause))?;
    Ok(Store { inner, base: base_of(url, url.scheme().as_str(), url.bucket())? })
}

/// Parses a URL of objects.
pub(crate) fn object_url(text: &str) -> Result<ObjectUrl> {
    text.parse().map_err(|error: perennial_core::Error| Error::Argument(error.message().to_owned()))
}

/// The base of the paths in a store: the scheme and the host of `url`.
fn base_of(url: &impl Display, scheme: &str, host: &str) -> Result<Url> {
    Url::parse(&format!("{scheme}://{host}"))
        .map_err(|cause| Error::Argument(format!("`{url}` is not a URL for tables: {cause}")))
}

fn as_folder(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

#[cfg(test)]
mod tests;
