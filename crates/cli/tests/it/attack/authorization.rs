//! Each route, asked by everybody who lacks the permission: `bravo` is answered as a project that does not exist.

use reqwest::Method;
use serde_json::{Value, json};

use super::attempt::{Kind, Outcome, kind};
use super::project::{ALPHA, BRAVO};
use super::routes::MLFLOW_CALLS;
use super::target::{Caller, Ids, Target, shortened};
use crate::chance::Chance;

pub(super) const KINDS: &[Kind] = &[
    kind!("objects of another project", other_project),
    kind!("objects of another project under the own name", other_ids),
    kind!("objects of another project in tracking", other_tracking),
    kind!("changes without the permission", changes),
    kind!("roles and tokens beyond the own", roles),
    kind!("an approval by the person who submitted", own_approval),
];

/// Hexadecimal digits of the id of a request.
const REQUEST_ID_DIGITS: usize = 32;

/// An answer without the names and ids of the request, and without the id that it got.
fn without_names(text: &str, ids: &Ids) -> String {
    let same = ["number", "version", "sequence", "kind", "step", "dataset", "file", "plot", "hash"];
    let mut names: Vec<&str> = ids.iter().filter(|(name, _)| !same.contains(name)).map(|(_, id)| id.as_str()).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let mut text = text.to_owned();
    for name in names {
        // A short id is a number, which texts contain elsewhere too.
        for quote in if name.len() < 4 { &["`", "'", "\""][..] } else { &[""][..] } {
            text = text.replace(&format!("{quote}{name}{quote}"), &format!("{quote}NAME{quote}"));
        }
    }
    let (mut cleaned, mut digits) = (String::new(), String::new());
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_hexdigit() {
            digits.push(character);
            continue;
        }
        cleaned.push_str(if digits.len() == REQUEST_ID_DIGITS { "ID" } else { &digits });
        digits.clear();
        cleaned.push(character);
    }
    cleaned
}

/// Ids that no project has, in the form of those of `bravo`.
fn absent(ids: &Ids) -> Ids {
    let absent = |name: &'static str, value: &String| match name {
        "project" => "absent".to_owned(),
        "name" | "monitor" => "absent_hours".to_owned(),
        "model" => "absent".to_owned(),
        "experiment" => "987654321".to_owned(),
        "digest" => "e".repeat(64),
        "id" | "load" | "decision" | "evidence" | "run" => "01abcdef01abcdef01abcdef01abcdef".to_owned(),
        _ => value.clone(),
    };
    ids.iter().map(|(name, value)| (*name, absent(name, value))).collect()
}

async fn compare(
    target: &Target,
    caller: &Caller,
    method: &str,
    pair: [String; 2],
    ids: [&Ids; 2],
    body: [&str; 2],
) -> Option<String> {
    let mut seen = Vec::new();
    for (path, body) in pair.iter().zip(body) {
        let answer = if path.starts_with("/p/") {
            target.page(caller, path).await
        } else {
            target.send(caller, method, path, body.as_bytes()).await
        };
        seen.push(answer);
    }
    let what = format!("{method} {} as {}", pair[0], caller.name);
    if let Some(hole) = target.hole(caller, &what, seen[0].status, &seen[0].body) {
        return Some(hole);
    }
    let texts: Vec<String> = seen.iter().zip(ids).map(|(answer, ids)| without_names(&answer.body, ids)).collect();
    let differs = seen[0].status != seen[1].status || texts[0] != texts[1];
    differs.then(|| {
        format!(
            "{what} is answered otherwise than what does not exist: {} {} / {} {}",
            seen[0].status,
            shortened(&texts[0]),
            seen[1].status,
            shortened(&texts[1])
        )
    })
}

async fn other_project(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let nowhere = absent(&target.bravo_ids);
    let named = |path: &str| ["{project}", "{name}", "{run}", "{experiment}"].iter().any(|name| path.contains(name));
    for route in target.routes.iter().filter(|route| named(&route.path) && !route.path.contains("/principals/")) {
        let body = if route.method == "GET" { "" } else { "{}" };
        for caller in target.people_without_bravo() {
            let pair = [route.fill_ids(&target.bravo_ids), route.fill_ids(&nowhere)];
            let ids = [&target.bravo_ids, &nowhere];
            outcome.add(compare(target, caller, &route.method, pair, ids, [body, body]).await);
        }
    }
    outcome
}

/// Routes of `alpha` with ids of `bravo`.
async fn other_ids(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let mut mixed = target.bravo_ids.clone();
    mixed.insert("project", ALPHA.to_owned());
    let mut nowhere = absent(&target.bravo_ids);
    nowhere.insert("project", ALPHA.to_owned());
    let named = |path: &str| {
        let ids = ["{id}", "{load}", "{digest}", "{decision}", "{evidence}", "{name}", "{monitor}", "{model}"];
        path.contains("{project}") && ids.iter().any(|name| path.contains(name))
    };
    // A file is uploaded under any digest.
    for route in target.routes.iter().filter(|route| named(&route.path) && !route.path.ends_with("/files/{digest}")) {
        let body = if route.method == "GET" { "" } else { "{}" };
        for caller in [&target.contributor, &target.viewer] {
            let pair = [route.fill_ids(&mixed), route.fill_ids(&nowhere)];
            outcome.add(compare(target, caller, &route.method, pair, [&mixed, &nowhere], [body, body]).await);
        }
    }
    outcome
}

async fn other_tracking(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let nowhere = absent(&target.bravo_ids);
    for (call, body) in MLFLOW_CALLS {
        let path = format!("/api/2.0/mlflow/{call}");
        let fill = |ids: &Ids| {
            ids.iter().fold(body.to_owned(), |body, (name, value)| body.replace(&format!("{{{name}}}"), value))
        };
        let bodies = [fill(&target.bravo_ids), fill(&nowhere)];
        for caller in target.people_without_bravo() {
            if call.contains("search") {
                let answer = target.send(caller, "POST", &path, bodies[0].as_bytes()).await;
                let hole = target.hole(caller, &path, answer.status, &answer.body);
                let names = [&target.bravo_ids["run"], &target.bravo_ids["experiment"]];
                let listed = answer.status == 200 && names.iter().any(|id| answer.body.contains(&format!("\"{id}\"")));
                outcome.add(hole.or_else(|| listed.then(|| format!("{path} as {} lists bravo", caller.name))));
                continue;
            }
            let pair = [path.clone(), path.clone()];
            let ids = [&target.bravo_ids, &nowhere];
            outcome.add(compare(target, caller, "POST", pair, ids, [&bodies[0], &bodies[1]]).await);
        }
    }
    outcome
}

/// Routes with another method than GET that only read, or that need no permission.
const READING: [&str; 8] = [
    "/api/v1/projects/{project}/query",
    "/api/v1/check",
    "/api/v1/plan",
    "/v2/models/{name}/infer",
    "/endpoints/{name}/invocations",
    "/v2/repository/models/{name}/load",
    "/v2/repository/models/{name}/unload",
    "/login/{link}",
];

/// No changing route of `alpha` obeys its viewer, a stranger or an anonymous caller; approvals do not obey a contributor.
async fn changes(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    for route in target.routes.iter().filter(|route| route.method != "GET" && !READING.contains(&route.path.as_str())) {
        let approves =
            ["/accept", "/reject", "/approve", "/rollback", "/clock"].iter().any(|end| route.path.ends_with(end));
        let mut callers = vec![&target.viewer, &target.stranger, &target.anonymous];
        callers.extend((approves || !route.path.contains("{project}")).then_some(&target.contributor));
        let is_tracking = route.path.contains("mlflow");
        let path = route.fill_ids(&target.alpha_ids);
        for caller in callers {
            if is_tracking && caller.name == target.contributor.name {
                continue;
            }
            for body in ["", "{}", r#"{"name":"x","role":"admin"}"#, r#"{"kind":"run"}"#] {
                let answer = target.send(caller, &route.method, &path, body.as_bytes()).await;
                let what = format!("{} {path} {body}", route.method);
                outcome.add(target.hole(caller, &what, answer.status, &answer.body).or_else(|| {
                    let is_refused = (400..500).contains(&answer.status);
                    (!is_refused).then(|| {
                        format!("{what} as {} is answered {}: {}", caller.name, answer.status, shortened(&answer.body))
                    })
                }));
            }
        }
    }
    outcome
}

/// A caller grants no more than the own roles.
async fn roles(target: &Target, mut chance: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    for caller in target.people_without_bravo() {
        for role in ["viewer", "contributor", "approver", "admin"] {
            for project in [json!(ALPHA), json!(BRAVO), Value::Null] {
                let name = format!("made-{}", chance.below(1_000_000));
                let body = json!({ "name": name, "role": role, "project": project });
                let (status, answer) = target.ask(caller, Method::POST, "/api/v1/tokens", Some(&body)).await;
                outcome
                    .expect((400..500).contains(&status), || format!("a token {body} for {}: {answer}", caller.name));
                let path = "/api/v1/principals/contributor-of-alpha/grants";
                let body = json!({ "role": role, "project": project });
                let (status, answer) = target.ask(caller, Method::POST, path, Some(&body)).await;
                outcome.expect((400..500).contains(&status), || format!("a grant {body} by {}: {answer}", caller.name));
            }
        }
        let paths = ["/api/v1/login-links", "/api/v1/backup", "/api/v1/projects", "/api/v1/projects/submit"];
        for path in paths {
            let (status, answer) = target.ask(caller, Method::POST, path, Some(&json!({ "name": "charlie" }))).await;
            outcome
                .expect((400..500).contains(&status), || format!("POST {path} by {}: {status} {answer}", caller.name));
        }
    }
    outcome
}

/// A contributor changes what is released and approves it, alone.
async fn own_approval(target: &Target, _: Chance) -> Outcome {
    let mut outcome = Outcome::default();
    let release = format!("/api/v1/projects/{ALPHA}/releases/{}/approve", target.alpha_ids["digest"]);
    for body in [json!({}), json!({ "role": "contributor" }), json!({ "role": "viewer" }), json!({ "role": "admin" })] {
        let (status, answer) = target.ask(&target.contributor, Method::POST, &release, Some(&body)).await;
        outcome.expect(status == 403, || format!("{release} {body} is answered {status}: {answer}"));
    }
    let added = "\n[endpoints.own]\n";
    let (status, answer) = target.run_changed(added, &[], &["features"]).await;
    outcome.expect(status == 403, || format!("{added} of a contributor is answered {status}: {answer}"));
    let runs = format!("/api/v1/projects/{ALPHA}/pipeline-runs");
    let (status, answer) =
        target.ask(&target.contributor, Method::POST, &runs, Some(&json!({ "kind": "release" }))).await;
    outcome.expect(status == 403, || format!("a release by a contributor is answered {status}: {answer}"));
    outcome
}
