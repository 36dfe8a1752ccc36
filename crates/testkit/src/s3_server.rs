//! A server with the S3 API and one bucket, `perennial`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The secret that opens the bucket.
pub const SECRET: &str = "object-store-secret-83a1";

/// The server. It stops when this is dropped, and when this process ends.
pub struct ObjectStore {
    process: Child,
    address: String,
}

impl ObjectStore {
    /// Starts the server.
    pub fn start() -> Self {
        // Cargo sets the variable at each run: clones may share a target folder.
        let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let python = std::env::var_os("PERENNIAL_TEST_PYTHON")
            .expect("PERENNIAL_TEST_PYTHON must name a Python with moto[server]: run the tests by `cargo xtask test`");
        let mut process = Command::new(python)
            .arg(Path::new(&crate_folder).join("../../conformance/s3_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.next().expect("the server prints its address").unwrap();
        let server = Self { process, address };
        server.put("perennial", "");
        server
    }

    /// Creates a bucket, or an object of one: `perennial/in/1.csv`.
    pub fn put(&self, path: &str, content: &str) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "PUT /{path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}",
            self.address,
            content.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The variables by which a server of Perennial uses the bucket.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", "object-store-key-83a1".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
