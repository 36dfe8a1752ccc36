use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use perennial_artifacts::{BlobDigest, Blobs};

/// Starts the probe on `root`, kills it after it acknowledged `lines` blobs, and returns all it acknowledged.
fn put_and_kill(root: &Path, lines: usize) -> Vec<(BlobDigest, u64)> {
    let mut probe =
        Command::new(env!("CARGO_BIN_EXE_perennial-artifacts-probe")).arg(root).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = BufReader::new(probe.stdout.take().unwrap()).lines();
    let mut acknowledged: Vec<String> = printed.by_ref().take(lines).map(Result::unwrap).collect();
    probe.kill().unwrap();
    probe.wait().unwrap();
    // Lines printed before the kill count, too; a truncated last line was not acknowledged.
    acknowledged.extend(printed.map_while(Result::ok));
    acknowledged
        .iter()
        .filter_map(|line| {
            let (digest, size) = line.split_once(' ')?;
            Some((digest.parse().ok()?, size.parse().ok()?))
        })
        .collect()
}

#[tokio::test]
async fn a_kill_loses_no_acknowledged_blob_and_leaves_no_partial_one() {
    for lines in [1, 4, 5, 9, 10, 14, 23, 40] {
        let temp = tempfile::TempDir::new().unwrap();
        let acknowledged = put_and_kill(temp.path(), lines);
        assert!(acknowledged.len() >= lines);
        let blobs = Blobs::open_folder(temp.path()).unwrap();
        for (digest, size) in acknowledged {
            assert_eq!(blobs.get_bytes(digest, size).await.unwrap().len() as u64, size);
        }
        for folder in std::fs::read_dir(temp.path()).unwrap().map(Result::unwrap) {
            if folder.file_name() == "unfinished" {
                continue;
            }
            for blob in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
                let name = blob.file_name().into_string().unwrap();
                assert_eq!(BlobDigest::of(&std::fs::read(blob.path()).unwrap()).to_string(), name);
            }
        }
    }
}
