//! Blobs in an S3-compatible server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::noise;

/// A server with one bucket; it stops when this is dropped, and when this process ends.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let python = std::env::var_os("PERENNIAL_TEST_PYTHON")
            .expect("PERENNIAL_TEST_PYTHON must name a Python with moto[server]: run the tests by `cargo xtask test`");
        let mut process = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/s3_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.next().expect("the server prints its address").unwrap();
        let server = Self { process, address };
        server.request("PUT /perennial");
        server
    }

    fn request(&self, what: &str) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{what} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", self.address)
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Runs the probe with this server as its endpoint.
    fn probe(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_perennial-artifacts-probe"))
            .args(arguments)
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", "us-east-1")
            .output()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_folder_round_trips_through_a_bucket() {
    let server = Server::start();
    let temp = tempfile::TempDir::new().unwrap();
    let folder = temp.path().join("model");
    std::fs::create_dir_all(folder.join("data")).unwrap();
    std::fs::write(folder.join("MLmodel"), "flavors").unwrap();
    std::fs::write(folder.join("empty"), "").unwrap();
    // Larger than one request.
    std::fs::write(folder.join("data/large"), noise(1, 20_000_000)).unwrap();
    let folder = folder.to_str().unwrap();
    let in_bucket = server.probe(&["s3://perennial/some/prefix", folder]);
    assert!(in_bucket.status.success(), "{}", String::from_utf8_lossy(&in_bucket.stderr));
    std::fs::remove_dir_all(temp.path().join("model.back")).unwrap();
    let in_folder = server.probe(&[temp.path().join("blobs").to_str().unwrap(), folder]);
    assert_eq!(in_bucket.stdout, in_folder.stdout, "the digest does not depend on the backend");
}

#[test]
fn a_missing_bucket_is_a_clear_error() {
    let server = Server::start();
    let temp = tempfile::TempDir::new().unwrap();
    std::fs::write(temp.path().join("file"), "x").unwrap();
    let output = server.probe(&["s3://gone/prefix", temp.path().to_str().unwrap()]);
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("NoSuchBucket"), "{stderr}");
}
