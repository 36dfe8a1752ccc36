//! PostgreSQL that does not answer: the caller gets the cause within two seconds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use perennial_core::{Error as CoreError, ErrorCode};
use perennial_store::{Options, Store, projects};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::db::Db;

/// How long a caller may wait for the cause of an outage.
const LIMIT: Duration = Duration::from_secs(2);

/// Forwards connections to PostgreSQL until it is dropped; then connections are refused.
struct Proxy {
    address: SocketAddr,
    is_forwarding: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn to(target: &str) -> Self {
        let target = target.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let (is_forwarding, forwarding) = watch::channel(true);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let (target, mut forwarding) = (target.clone(), forwarding.clone());
                connections.spawn(async move {
                    let mut server = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        // It ends when either side closes.
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        () = async { drop(forwarding.wait_for(|is_forwarding| !is_forwarding).await) } => {
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { address, is_forwarding, _tasks: tasks }
    }

    /// Leaves every connection open, and forwards nothing.
    fn stop_forwarding(&self) {
        self.is_forwarding.send_replace(false);
    }
}

#[tokio::test]
async fn a_database_that_refuses_connections_is_an_error_at_once_that_names_it() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let start = Instant::now();
    let url = format!("postgres://ada:secret@{closed}/perennial");
    let Err(error) = Store::connect(&url, Options::default()).await else { panic!("it connected") };
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    let error = CoreError::from(error);
    assert_eq!(error.code(), ErrorCode::NotReady);
    assert!(error.message().starts_with("cannot connect to the metadata database: "), "{}", error.message());
    let chain = error.chain();
    assert!(chain.contains("refused") && chain.contains(&format!("PostgreSQL at {closed}")), "{chain}");
    assert_eq!(chain.matches("refused").count(), 1, "{chain}");
    assert!(!chain.contains("secret"), "{chain}");
}

#[tokio::test]
async fn an_outage_is_reported_with_its_cause_and_passes() {
    let db = Db::postgres().await;
    let server = db.url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let proxy = Proxy::to(server).await;
    let url = db.url.replace(server, &proxy.address.to_string());
    let store = Store::connect(&url, Options::default()).await.unwrap();
    store.read().await.unwrap();
    let address = proxy.address;
    drop(proxy);
    let start = Instant::now();
    let Err(read) = store.read().await else { panic!("it was read") };
    let list = store.write(|tx| Box::pin(async move { Ok(projects::list(tx).await.map(drop)?) })).await;
    assert!(start.elapsed() < LIMIT * 2, "{:?}", start.elapsed());
    for error in [read, list.unwrap_err()] {
        assert_eq!(error.code(), ErrorCode::NotReady, "{}", error.chain());
        // The connection is refused, or a connection of the pool was reset.
        let chain = error.chain();
        assert!(chain.contains("refused") || chain.contains("reset"), "{chain}");
        assert!(chain.contains(&format!("PostgreSQL at {address}")), "{chain}");
    }
    store.close().await.unwrap();
    db.finish().await;
}

#[tokio::test]
async fn a_database_that_stops_answering_ends_a_read_and_a_write_with_the_cause() {
    let db = Db::postgres().await;
    let server = db.url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let proxy = Proxy::to(server).await;
    let store = Store::connect(&db.url.replace(server, &proxy.address.to_string()), Options::default()).await.unwrap();
    let mut reader = store.read().await.unwrap();
    projects::list(&mut reader).await.unwrap();
    let (begun, has_begun) = oneshot::channel();
    let (silence, is_silent) = oneshot::channel::<()>();
    let writing = store.write(|tx| {
        Box::pin(async move {
            projects::list(tx).await?;
            begun.send(()).unwrap();
            is_silent.await.unwrap();
            Ok(projects::list(tx).await.map(drop)?)
        })
    });
    let silencing = async {
        has_begun.await.unwrap();
        proxy.stop_forwarding();
        silence.send(()).unwrap();
    };
    let start = Instant::now();
    let (written, ()) = tokio::join!(writing, silencing);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    let start = Instant::now();
    let read = projects::list(&mut reader).await.map(drop).unwrap_err();
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    for error in [CoreError::from(read), written.unwrap_err()] {
        assert_eq!(error.code(), ErrorCode::NotReady, "{}", error.chain());
        assert!(error.chain().contains("no answer within 800 ms"), "{}", error.chain());
    }
    drop(reader);
    db.finish().await;
}
