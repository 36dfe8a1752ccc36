//! What each page shows: empty, one, many, and the longest and worst of names.

use axum::body::Body;
use http::{StatusCode, header};

use crate::html;
use crate::sample::{Ids, RELEASE, Words, fill, project_file};
use crate::world::{Browser, World};

/// Every page of a filled project.
fn addresses(name: &str, ids: Ids) -> Vec<String> {
    let of = |rest: &str| format!("/p/{name}{rest}");
    let mut all: Vec<String> = [
        "",
        "/datasets",
        "/runs",
        "/models",
        "/models/1",
        "/releases",
        "/endpoints",
        "/monitors",
        "/alerts",
        "/ledger",
        "/explain/model/1",
    ]
    .map(of)
    .into();
    all.push(of(&format!("/datasets/{name}")));
    all.push(of(&format!("/runs/{}", ids.run)));
    all.push(of(&format!("/releases/{RELEASE}")));
    all.push(of(&format!("/monitors/{name}")));
    all.push(of(&format!("/explain/release/{RELEASE}")));
    all.push(of(&format!("/explain/dataset/{name}@1")));
    all
}

async fn shown(browser: &Browser, path: &str) -> String {
    let seen = browser.get(path).await;
    assert_eq!(seen.status, StatusCode::OK, "{path}: {}", seen.text);
    html::check(path, &seen.text);
    for word in seen.text.split(['<', '>', '"', ' ']) {
        assert!(!word.starts_with("/p//"), "{path}: an address without project: {word}");
    }
    seen.text
}

/// Every link of the pages leads to a page.
async fn follow(browser: &Browser, pages: &[String]) {
    let links = pages.iter().flat_map(|page| page.split("href=\"").skip(1)).filter_map(|rest| rest.split('"').next());
    let mut links: Vec<String> =
        links.filter(|link| link.starts_with('/')).map(|link| link.replace("&#38;", "&")).collect();
    links.sort();
    links.dedup();
    for link in links {
        let seen = browser.get(&link).await;
        assert!(seen.status == StatusCode::OK || seen.status == StatusCode::SEE_OTHER, "{link}: {}", seen.status);
    }
}

async fn all_pages(words: Words) -> Vec<String> {
    let world = World::new().await;
    let (_, ids) = fill(&world, &words).await;
    let browser = world.admin().await;
    let mut pages = Vec::new();
    for path in addresses(&words.name, ids) {
        pages.push(shown(&browser, &path).await);
    }
    let plot = browser.get(&format!("/p/{}/evidence/{}/plots/roc", words.name, ids.evidence)).await;
    assert_eq!((plot.status, plot.header(header::CONTENT_TYPE)), (StatusCode::OK, "image/svg+xml"));
    assert!(plot.header(header::CONTENT_SECURITY_POLICY).contains("sandbox"));
    if words.count == 1 {
        follow(&browser, &pages).await;
    }
    pages
}

#[tokio::test]
async fn a_server_without_projects_says_how_to_begin() {
    let world = World::new().await;
    let text = shown(&world.admin().await, "/").await;
    assert!(text.contains("perennial init"));
}

#[tokio::test]
async fn an_empty_project_says_on_each_page_what_to_do() {
    let world = World::new().await;
    let words = Words::one();
    world.submit(&project_file(&words)).await;
    let browser = world.admin().await;
    let front = browser.get("/").await;
    assert_eq!((front.status, front.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/p/delay"));
    for section in [
        "",
        "/datasets",
        "/runs",
        "/models",
        "/releases",
        "/endpoints",
        "/monitors",
        "/monitors/delay",
        "/alerts",
        "/ledger",
    ] {
        let text = shown(&browser, &format!("/p/delay{section}")).await;
        assert!(
            text.contains("yet") || text.contains("ever") || section.starts_with("/monitors") || section == "/ledger",
            "{section}: {text}"
        );
    }
    let text = shown(&browser, "/p/delay").await;
    for stage in ["Collect", "Check", "Prepare", "Train", "Test", "Release", "Serve", "Watch", "Retrain"] {
        assert!(text.contains(&format!(">{stage}</a>")), "{stage} is not on the loop");
    }
}

#[tokio::test]
async fn one_of_each_is_shown_and_every_link_leads_somewhere() {
    let pages = all_pages(Words::one()).await.join("");
    for text in [
        "27,004",
        "as it should be",
        "origin_known",
        "candidate.auc = 0.7241",
        "version 1 answers",
        "class=\"plot\"",
        "<svg class=\"graph\"",
        "verified",
        "Acknowledge",
        "params changed",
        "line 1",
    ] {
        assert!(pages.contains(text), "`{text}` is on no page");
    }
    assert!(!pages.contains("Roll back"), "the first version has none before it");
}

#[tokio::test]
async fn many_are_cut_into_pages() {
    let world = World::new().await;
    let words = Words::many();
    fill(&world, &words).await;
    let browser = world.admin().await;
    for list in ["runs", "alerts", "releases", "datasets/delay"] {
        let first = shown(&browser, &format!("/p/delay/{list}")).await;
        let next = first
            .split("?after=")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_else(|| panic!("{list} has no next page"));
        let second = shown(&browser, &format!("/p/delay/{list}?after={next}")).await;
        assert!(!second.contains("?after=") && first != second, "{list}");
    }
}

#[tokio::test]
async fn markup_and_control_characters_in_names_and_messages_stay_text() {
    for page in all_pages(Words::hostile()).await {
        assert!(!page.contains("<script") && !page.contains("<img src=x"), "{page}");
        assert!(page.contains("\\u202e"), "{page}");
    }
}

#[tokio::test]
async fn a_quarantine_that_cannot_be_read_takes_nothing_else_from_the_page() {
    let world = World::new().await;
    let (project, _) = fill(&world, &Words::one()).await;
    let dataset = perennial_core::entity::Dataset {
        id: perennial_core::id::DatasetId::generate(),
        project_id: project.id,
        name: "broken".parse().unwrap(),
        kind: perennial_core::entity::DatasetKind::Table,
        mode: perennial_core::port::data::Mode::Replace,
        key_columns: Vec::new(),
        table_path: "broken".to_owned(),
        last_number: 0,
        created_ms: 0,
    };
    world
        .app
        .kernel
        .store()
        .write(move |tx| Box::pin(async move { Ok(perennial_store::datasets::insert(tx, &dataset).await?) }))
        .await
        .unwrap();
    let text = shown(&world.admin().await, "/p/delay/datasets/broken").await;
    assert!(text.contains("the quarantine cannot be read") && text.contains("No version yet"));
}

#[tokio::test]
async fn every_page_shows_a_stepped_clock() {
    let world = World::new().await;
    let words = Words::one();
    let project = world.submit(&project_file(&words)).await;
    let browser = world.admin().await;
    assert!(!shown(&browser, "/p/delay").await.contains("is stepped"));
    let (id, now) = (project.id, Some(crate::world::NOW_MS));
    world
        .app
        .kernel
        .store()
        .write(move |tx| Box::pin(async move { Ok(perennial_store::projects::set_clock(tx, id, now).await?) }))
        .await
        .unwrap();
    let world = World::open(world.folder).await;
    let browser = world.admin().await;
    for section in ["", "/datasets", "/ledger"] {
        let text = shown(&browser, &format!("/p/delay{section}")).await;
        assert!(text.contains("it is 2013-08-01 00:00 (America/New_York)"), "{section}");
    }
}

#[tokio::test]
async fn a_missing_page_has_a_link_back() {
    let world = World::new().await;
    fill(&world, &Words::one()).await;
    let browser = world.admin().await;
    for path in [
        "/p/other",
        "/p/delay/datasets/other",
        "/p/delay/runs/nonsense",
        "/p/delay/models/99",
        "/p/delay/models/x",
        "/p/delay/monitors/other",
        "/p/NO%3Cscript%3E",
    ] {
        let seen = browser.get(path).await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{path}");
        html::check(path, &seen.text);
        assert!(seen.text.contains("Back to the start") && !seen.text.contains("<script"), "{path}");
    }
}

#[tokio::test]
async fn the_stylesheet_is_kept_under_its_content() {
    let world = World::new().await;
    let text = shown(&world.admin().await, "/").await;
    let style = text.split("<link rel=\"stylesheet\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let seen = world.anonymous().get(style).await;
    assert_eq!((seen.status, seen.header(header::CONTENT_TYPE)), (StatusCode::OK, "text/css; charset=utf-8"));
    assert!(seen.header(header::CACHE_CONTROL).contains("immutable"));
    assert_eq!(world.anonymous().get("/assets/other/style.css").await.status, StatusCode::NOT_FOUND);
    let held = seen.header(header::ETAG).to_owned();
    let request = world.anonymous().request("GET", style).header(header::IF_NONE_MATCH, held).body(Body::empty());
    let again = world.anonymous().send(request.unwrap()).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
}
