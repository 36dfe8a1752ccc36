//! The worker of tests.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(perennial_worker::worker_main(&[perennial_data::WORKER_ROLE]) as u8)
}
