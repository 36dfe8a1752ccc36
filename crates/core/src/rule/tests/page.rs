use std::collections::HashSet;
use std::fmt::Write;

use super::super::FactSchema;
use crate::metric::metrics;
use crate::task::TaskKind;

const TASKS: [TaskKind; 3] = [TaskKind::Binary, TaskKind::Multiclass, TaskKind::Regression];

fn metric_table(task: TaskKind) -> String {
    let rows = metrics(task).iter().map(|metric| {
        let better = metric.greater_is_better.map_or("", |greater| if greater { "more" } else { "less" });
        format!("| `{}` | {} | {better} |\n", metric.name, metric.title)
    });
    format!("| metric | definition | better |\n| --- | --- | --- |\n{}", rows.collect::<String>())
}

/// The facts of a kind of expression, with all metrics as one row.
fn facts(task: TaskKind, schema: &FactSchema) -> String {
    let mut listed = HashSet::new();
    let mut table = "| fact | type | meaning |\n| --- | --- | --- |\n".to_owned();
    for (path, kind, meaning) in schema.describe() {
        let (of, name) = path.rsplit_once('.').map_or(("", path.as_str()), |(of, name)| (of, name));
        let known = metrics(task).iter().find(|metric| metric.name == name);
        let (path, meaning) = match known.and_then(|metric| meaning.strip_prefix(&format!("{}, ", metric.title))) {
            Some(place) => (format!("{of}.<metric>").trim_start_matches('.').to_owned(), place.to_owned()),
            None => (path, meaning),
        };
        if listed.insert(path.clone()) {
            let _ = writeln!(table, "| `{path}` | {kind} | {meaning} |");
        }
    }
    table
}

#[test]
fn the_reference_page_lists_every_fact_and_metric() {
    let page = include_str!("../../../../../docs/reference/facts.md");
    for task in TASKS {
        let tables = [
            metric_table(task),
            facts(task, &FactSchema::gate(task, &["<step>"])),
            facts(task, &FactSchema::alert(task)),
            facts(task, &FactSchema::rollback()),
        ];
        for table in tables {
            assert!(page.contains(&table), "docs/reference/facts.md lacks\n{table}");
        }
    }
}
