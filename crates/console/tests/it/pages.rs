//! What each page shows: empty, one, many, and the longest and worst of names.

use axum::body::Body;
use http::{StatusCode, header};

use perennial_core::entity::{Alert, AlertSubject, Endpoint, Promotion};
use perennial_core::id::{AlertId, PromotionId};
use perennial_core::name::EndpointName;
use perennial_projects::ProjectState;
use perennial_store::{alerts, endpoints, promotions};

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
        if let Some((_, anchor)) = link.split_once('#') {
            assert!(seen.text.contains(&format!("id=\"{anchor}\"")), "{link} has no such part");
        }
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
async fn links_to_an_endpoint_lead_to_its_own_project() {
    let world = World::new().await;
    for project in ["east", "west"] {
        let (state, _) =
            fill(&world, &Words { name: project.to_owned(), text: format!("of {project}"), ..Words::one() }).await;
        add_endpoint(&world, &state, "shared").await;
    }
    let browser = world.admin().await;
    for (own, other) in [("east", "west"), ("west", "east")] {
        let mut pages = Vec::new();
        for section in ["", "/alerts", "/releases", "/monitors", "/endpoints"] {
            let text = shown(&browser, &format!("/p/{own}{section}")).await;
            assert!(!text.contains(&format!("/p/{other}")), "{own}{section} leads to {other}");
            pages.push(text);
        }
        let link = format!("href=\"/p/{own}/endpoints#endpoint-shared\"");
        assert!(pages[1].contains(&link) && pages[2].contains(&link), "{own}");
        assert!(pages[3].contains(&format!("href=\"/p/{own}/endpoints#endpoint-{own}\"")), "{own}");
        assert!(pages[4].contains(&format!("action=\"/p/{own}/endpoints/shared/rollback\"")), "{own}");
        follow(&browser, &pages).await;
    }
}

/// An endpoint with a version before its champion, and an alert about it.
async fn add_endpoint(world: &World, project: &ProjectState, name: &str) {
    let mut reader = world.app.kernel.store().read().await.unwrap();
    let known = endpoints::list(&mut reader, project.id).await.unwrap().remove(0);
    let promotion = promotions::list(&mut reader, project.id, None, 1).await.unwrap().items.remove(0);
    let alert = alerts::list_firing(&mut reader, project.id, 1).await.unwrap().remove(0);
    drop(reader);
    let name: EndpointName = name.parse().unwrap();
    let subject = AlertSubject::Endpoint(name.clone());
    let alert = Alert { id: AlertId::generate(), subject, ..alert };
    let (id, endpoint, from_number) = (PromotionId::generate(), Some(name.clone()), Some(2));
    let promotion = Promotion { id, endpoint, from_number, ..promotion };
    let endpoint = Endpoint { name, ..known };
    let write = world.app.kernel.store().write(move |tx| {
        Box::pin(async move {
            endpoints::insert(tx, &endpoint).await?;
            promotions::insert(tx, &promotion).await?;
            alerts::fire(tx, &alert).await?;
            Ok(())
        })
    });
    write.await.unwrap();
}

#[tokio::test]
async fn the_list_of_projects_shows_what_fires() {
    let world = World::new().await;
    world.submit(&project_file(&Words { name: "quiet".to_owned(), ..Words::one() })).await;
    fill(&world, &Words::one()).await;
    let text = shown(&world.admin().await, "/").await;
    assert!(text.contains("<a href=\"/p/delay/alerts\">1 alert</a>") && !text.contains("/p/quiet/alerts"), "{text}");
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
async fn a_page_is_shown_when_the_quarantine_cannot_be_read() {
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
        assert!(seen.text.contains("Back to the overview") && !seen.text.contains("<script"), "{path}");
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
