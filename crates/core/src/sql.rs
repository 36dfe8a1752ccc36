//! Distinguishes row expressions from aggregates, without an SQL engine.

/// Aggregate functions of DataFusion's dialect.
const AGGREGATES: [&str; 46] = [
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "mean",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "quantile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var",
    "var_pop",
    "var_population",
    "var_samp",
    "var_sample",
];

/// Whether an SQL expression calls an aggregate function; if so it is evaluated once for
/// each load, else once for each row. Text literals, quoted names and comments do not count.
pub fn is_aggregate(expression: &str) -> bool {
    let bytes = expression.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => at = after(bytes, at + 1, quote),
            b'-' if bytes.get(at + 1) == Some(&b'-') => at = after(bytes, at, b'\n'),
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                let end = bytes[at..]
                    .iter()
                    .position(|b| !(b.is_ascii_alphanumeric() || *b == b'_'))
                    .map_or(bytes.len(), |length| at + length);
                let opens = bytes[end..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'(');
                let word = expression[at..end].to_ascii_lowercase();
                if opens && AGGREGATES.contains(&word.as_str()) {
                    return true;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    false
}

fn after(bytes: &[u8], from: usize, end: u8) -> usize {
    bytes[from..].iter().position(|b| *b == end).map_or(bytes.len(), |length| from + length + 1)
}
