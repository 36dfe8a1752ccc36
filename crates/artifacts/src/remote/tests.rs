use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStoreExt, RetryConfig};

use super::s3;

/// Answers requests with `answer`, and reports the first line of each; returns the address.
fn server(answer: String, requests: mpsc::Sender<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            for _ in lines.take_while(|line| !line.is_empty()) {}
            stream.write_all(answer.as_bytes()).unwrap();
            if requests.send(first).is_err() {
                return;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (asked, requests) = mpsc::channel();
    let (reached, elsewhere) = mpsc::channel();
    let secret = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
    let target = server(secret.to_owned(), reached);
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{target}/secret\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let store = server(redirect, asked);
    let builder = AmazonS3Builder::new()
        .with_region("us-east-1")
        .with_skip_signature(true)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    let store = s3(builder, Some(format!("http://{store}")), "bucket").build().unwrap();
    let error = store.get(&"in/a.csv".into()).await.unwrap_err();
    assert!(requests.recv().unwrap().starts_with("GET /bucket/in/a.csv"));
    assert!(elsewhere.try_recv().is_err(), "the redirect was followed: {error}");
}
