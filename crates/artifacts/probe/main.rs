//! A process that the tests start: it stores blobs until it is killed, or stores a folder at a location and reads it
//! back, with credentials from its environment.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use futures::TryStreamExt;
use perennial_artifacts::{Blobs, LinkMode};

/// Content of sizes from zero to several chunks, so that a kill hits every stage of a put.
fn content(number: u32) -> Vec<u8> {
    let size = [0, 17, 4_096, 70_000, 1_500_000][number as usize % 5];
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Stores blobs without end, and prints each one once it is durable.
async fn put_forever(location: &str) -> Result<(), Box<dyn Error>> {
    let blobs = Blobs::open(location)?;
    let mut out = std::io::stdout().lock();
    for number in 0.. {
        let blob = blobs.put_bytes(content(number)).await?;
        writeln!(out, "{} {}", blob.digest, blob.size_bytes)?;
    }
    Ok(())
}

/// Stores a folder, materializes it beside itself, and prints its manifest's digest.
async fn round_trip(location: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let blobs = Blobs::open(location)?;
    let manifest = blobs.put_folder(folder).await?;
    let again = Blobs::open(location)?.get_manifest(manifest.digest()).await?;
    ensure_equal(again == manifest, "the manifest")?;
    let back = folder.with_extension("back");
    blobs.materialize_folder(&again, &back, LinkMode::Link).await?;
    ensure_equal(blobs.put_folder(&back).await? == manifest, "the folder")?;
    for file in manifest.files() {
        let half = file.blob.size_bytes / 2;
        let chunks = blobs.get_stream(file.blob.digest, Some(half..half + 10)).await?;
        let bytes = chunks.try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        });
        let whole = std::fs::read(folder.join(&file.path))?;
        let end = whole.len().min(half as usize + 10);
        ensure_equal(bytes.await? == whole[half as usize..end], "a range")?;
    }
    blobs.delete(manifest.digest()).await?;
    ensure_equal(!blobs.exists(manifest.digest()).await?, "the deleted manifest")?;
    println!("{}", manifest.digest());
    Ok(())
}

fn ensure_equal(same: bool, what: &str) -> Result<(), String> {
    if same { Ok(()) } else { Err(format!("{what} differs")) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [location] => put_forever(location).await,
        [location, folder] => round_trip(location, Path::new(folder)).await,
        _ => Err("expected a location, and a folder to store there")?,
    }
}
