//! The page in `docs/benchmarks` of a campaign, with its result.

/// The heading above the result in the document.
const HEADING: &str = "## Result\n";

/// Prints the result, and writes it below its heading to the file that a variable names.
pub(crate) fn report(variable: &str, text: &str) {
    println!("{text}");
    let Some(path) = std::env::var_os(variable) else { return };
    let page = std::fs::read_to_string(&path).unwrap();
    let (above, _) = page.split_once(HEADING).expect("the page has a heading for the result");
    std::fs::write(&path, format!("{above}{HEADING}\n{text}")).unwrap();
}

/// The version, build profile, machine and date.
pub(crate) fn environment() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |name| name.trim_start_matches([' ', '\t', ':']));
    format!(
        "Perennial {}, {} build; {} processors ({model}), Linux {}; {}.",
        env!("CARGO_PKG_VERSION"),
        if cfg!(debug_assertions) { "dev" } else { "release" },
        std::thread::available_parallelism().map_or(1, usize::from),
        read("/proc/sys/kernel/osrelease").trim(),
        jiff::Zoned::now().date()
    )
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
