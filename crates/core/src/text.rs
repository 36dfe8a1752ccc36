//! Texts of messages: one line, no cause twice.

/// A message of a library, which may have several lines, as one line without a final period.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

/// The parts in their order, each one once.
pub fn join_distinct<S: AsRef<str>>(parts: impl IntoIterator<Item = S>, separator: &str) -> String {
    let mut distinct: Vec<S> = Vec::new();
    for part in parts {
        if distinct.iter().all(|known| known.as_ref() != part.as_ref()) {
            distinct.push(part);
        }
    }
    distinct.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(separator)
}

/// Appends a cause to a message. What the message says already is left out: the whole cause, or its beginning, which often
/// repeats the end of the message above it.
pub(crate) fn append_cause(message: &mut String, cause: &str) {
    if message.contains(cause) {
        return;
    }
    let parts = std::iter::once(0).chain(message.match_indices(": ").map(|(at, _)| at + 2));
    let repeated = parts.filter(|start| *start < message.len()).map(|start| &message[start..]);
    let rest =
        repeated.filter_map(|part| cause.strip_prefix(part)).find(|rest| !rest.starts_with(char::is_alphanumeric));
    match rest.map(str::to_owned) {
        Some(rest) => message.push_str(&rest),
        None => {
            message.push_str(": ");
            message.push_str(cause);
        }
    }
}

#[cfg(test)]
mod tests;
