//! Generated pipelines of the same shape for Perennial and for DVC: rows of ten steps, each of which hashes the files of
//! two steps of the row above.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

/// Steps in a row.
const WIDTH: usize = 10;

/// The file that the first row hashes.
const SEED: &str = "seed.txt";

/// The two steps above a step: the one in its column, and the next one.
fn above(step: usize) -> Option<[usize; 2]> {
    let row = (step / WIDTH).checked_sub(1)?;
    Some([row * WIDTH + step % WIDTH, row * WIDTH + (step + 1) % WIDTH])
}

/// Writes a project of `steps` steps.
pub(crate) fn project(folder: &Path, steps: usize) -> Result<()> {
    let mut text = String::from("[project]\nname = \"graph\"\n");
    for step in 0..steps {
        let (inputs, files) = match above(step) {
            None => (format!("code = [\"{SEED}\"]"), SEED.to_owned()),
            Some(above) => {
                let names = above.map(|step| format!("s{step:04}.sums"));
                (format!("inputs = {names:?}"), names.map(|name| format!("inputs/{name}/sums.txt")).join(" "))
            }
        };
        write!(
            text,
            "\n[steps.s{step:04}]\nrun = [\"sh\", \"-c\", \"(echo {step}; sha256sum {files}) > sums.txt\"]\n\
             {inputs}\nenv = \"system\"\noutputs = {{ sums = {{ path = \"sums.txt\", kind = \"file\" }} }}\n"
        )?;
    }
    write_all(folder, perennial_config::FILE_NAME, &text)
}

/// Writes the same pipeline for DVC.
pub(crate) fn dvc(folder: &Path, steps: usize) -> Result<()> {
    let mut text = String::from("stages:\n");
    for step in 0..steps {
        let files = match above(step) {
            None => vec![SEED.to_owned()],
            Some(above) => above.map(|step| format!("s{step:04}.txt")).to_vec(),
        };
        write!(
            text,
            "  s{step:04}:\n    cmd: (echo {step}; sha256sum {}) > s{step:04}.txt\n    deps: [{}]\n    outs: [s{step:04}.txt]\n",
            files.join(" "),
            files.join(", "),
        )?;
    }
    write_all(folder, "dvc.yaml", &text)
}

fn write_all(folder: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(name), text)?;
    std::fs::write(folder.join(SEED), "seed\n")?;
    Ok(())
}
