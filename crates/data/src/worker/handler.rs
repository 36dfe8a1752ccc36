//! The worker's half: an engine over what the server reads for it.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use perennial_core::port::data::DataEngine;
use perennial_core::{Error, ErrorCode, Result};
use perennial_worker::{Handler, Message, Role, Server};
use url::Url;

use super::call::{Call, EXPORT, Request, Start, message};
use super::served_store::{Connection, ServedStore};
use super::{frame, opening};
use crate::engine::{Engine, Parts};
use crate::source::Sources;
use crate::store::{Root, Store};

/// The role of workers that compute people's SQL and read people's files.
pub const WORKER_ROLE: Role = Role { name: "data", start: Data::start };

/// The worker's state from call to call.
struct Data {
    engine: Engine,
    connection: Connection,
    scratch: PathBuf,
}

impl Data {
    fn start(parameters: serde_json::Value) -> Result<Box<dyn Handler>> {
        let start: Start = serde_json::from_value(parameters)
            .map_err(|cause| Error::internal("the parameters of a worker are malformed", cause))?;
        let parse =
            |url: &str| Url::parse(url).map_err(|cause| Error::internal("the URL of the tables is invalid", cause));
        let connection = Connection::default();
        let store = Store { inner: Arc::new(ServedStore::new(connection.clone())), base: parse(&start.base)? };
        let root = Root { store, url: parse(&start.root)?, folder: None };
        let files = connection.clone();
        opening::open_by(move |path| {
            let index = path.to_str().and_then(|text| text.parse().ok());
            files.file(&Request::Source(index.ok_or(std::io::ErrorKind::PermissionDenied)?))
        });
        let scratch = std::env::temp_dir();
        let engine = Engine::of(Parts {
            root,
            sources: Sources::served(),
            staging: scratch.clone(),
            memory_bytes: start.memory_bytes,
            threads: start.threads,
            // One call at a time.
            spare_threads: 1,
        })?;
        Ok(Box::new(Self { engine, connection, scratch }))
    }
}

impl Handler for Data {
    fn call(&mut self, call: Message, server: &Arc<Server>) -> Result<Message> {
        self.connection.set(server);
        let length: usize = call.control()?;
        let payload = Bytes::from(call.payload);
        if length > payload.len() {
            return Err(Error::new(ErrorCode::Internal, "a call of a worker is malformed"));
        }
        let lines = payload.slice(length..);
        futures::executor::block_on(self.answer(super::call::parse(&payload[..length])?, lines))
    }
}

impl Data {
    async fn answer(&self, call: Call, lines: Bytes) -> Result<Message> {
        match call {
            Call::Plan(select) => message(&self.engine.plan(&select.into()).await?),
            Call::Query { select, limit } => message(&self.engine.query(select.query(limit)).await?),
            Call::Frame(select) => {
                let frame = self.engine.frame(select.into()).await?;
                Ok(Message::default().with_payload(frame::write(&frame)))
            }
            Call::Export(select) => message(&self.engine.export(select.into(), self.scratch.join(EXPORT)).await?),
            Call::ValidateChecks { schema, plan } => message(&self.engine.validate_checks(&schema, &plan).await?),
            Call::Columns { source, files } => message(&self.engine.columns(&source, &files).await?),
            Call::Stage(stage) => message(&self.engine.stage(stage.request(lines)).await?),
        }
    }
}
