//! What the tests run as a process of its own: putting blobs until it is killed, and a place that
//! is opened with what the environment says of it.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use futures::TryStreamExt;
use perennial_artifacts::{Blobs, Share};

/// Sizes from nothing to several chunks, so that a kill meets every stage of a put.
fn content(number: u32) -> Vec<u8> {
    let size = [0, 17, 4_096, 70_000, 1_500_000][number as usize % 5];
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Puts blobs, and tells each one once it is durable.
async fn put_for_ever(place: &str) -> Result<(), Box<dyn Error>> {
    let blobs = Blobs::open(place)?;
    let mut out = std::io::stdout().lock();
    for number in 0.. {
        let blob = blobs.put_bytes(content(number)).await?;
        writeln!(out, "{} {}", blob.digest, blob.size_bytes)?;
    }
    Ok(())
}

/// Puts a folder, gets it back beside itself, and tells its manifest's digest.
async fn there_and_back(place: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let blobs = Blobs::open(place)?;
    let manifest = blobs.put_folder(folder).await?;
    let again = Blobs::open(place)?.get_manifest(manifest.digest()).await?;
    again_is(again == manifest, "the manifest")?;
    let back = folder.with_extension("back");
    blobs.materialize_folder(&again, &back, Share::Shared).await?;
    again_is(blobs.put_folder(&back).await? == manifest, "the folder")?;
    for file in manifest.files() {
        let half = file.blob.size_bytes / 2;
        let chunks = blobs.get_stream(file.blob.digest, Some(half..half + 10)).await?;
        let bytes = chunks.try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        });
        let whole = std::fs::read(folder.join(&file.path))?;
        let end = whole.len().min(half as usize + 10);
        again_is(bytes.await? == whole[half as usize..end], "a range")?;
    }
    blobs.delete(manifest.digest()).await?;
    again_is(!blobs.exists(manifest.digest()).await?, "what is gone")?;
    println!("{}", manifest.digest());
    Ok(())
}

fn again_is(same: bool, what: &str) -> Result<(), String> {
    if same { Ok(()) } else { Err(format!("{what} is not the same")) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [place] => put_for_ever(place).await,
        [place, folder] => there_and_back(place, Path::new(folder)).await,
        _ => Err("expected a place, and a folder to put there")?,
    }
}
