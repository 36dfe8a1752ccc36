//! Who is let in, and what a form must carry.

use axum::body::Body;
use http::{StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use perennial_console::router;
use perennial_core::entity::Promotion;
use perennial_core::id::PromotionId;
use perennial_core::permission::Role;
use perennial_core::state::AlertState;
use perennial_http::{Options, PeerAddr, SESSION_COOKIE, limits};
use perennial_kernel::access::{admin_link, create_person_token};
use perennial_store::{endpoints, promotions};
use tower::ServiceExt;

use crate::html;
use crate::sample::{Words, fill, project_file};
use crate::world::World;

#[tokio::test]
async fn a_request_without_a_session_is_redirected_to_the_sign_in_form() {
    let world = World::new().await;
    let (_, ids) = fill(&world, &Words::one()).await;
    let browser = world.anonymous();
    for path in
        ["/", "/p/delay", "/p/other", "/p/delay/ledger", &format!("/p/delay/evidence/{}/plots/roc", ids.evidence)]
    {
        let seen = browser.get(path).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{path}");
        assert!(seen.header(header::LOCATION).starts_with("/login"), "{path}");
        assert!(seen.text.is_empty(), "{path}: {}", seen.text);
    }
    let posted = browser.post(&format!("/p/delay/alerts/{}/acknowledge", ids.alert), "csrf_token=").await;
    assert_eq!((posted.status, posted.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/login"));
    let form = browser.get("/login?next=/p/delay").await;
    html::check("/login", &form.text);
    assert!(form.text.contains("value=\"/p/delay\""));
}

#[tokio::test]
async fn signing_in_leads_back_to_the_address_that_was_asked_for() {
    let world = World::new().await;
    let project = world.submit(&project_file(&Words::one())).await;
    let token = create_person_token(&world.system(), "ada", Role::Viewer, Some(project.id)).await.unwrap().secret;
    let address = "/p/delay/ledger?head=a%2Bb+c%23%25&before=7";
    let asked = world.anonymous().get(address).await;
    let login = asked.header(header::LOCATION);
    assert_eq!(login, "/login?next=%2Fp%2Fdelay%2Fledger%3Fhead%3Da%252Bb%2Bc%2523%2525%26before%3D7");
    let form = world.anonymous().get(login).await;
    let next = form.text.split("name=\"next\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(next.replace("&#38;", "&"), address);
    let next = utf8_percent_encode(address, NON_ALPHANUMERIC);
    let seen = world.anonymous().post("/login", &format!("token={token}&next={next}")).await;
    assert_eq!((seen.status, seen.header(header::LOCATION)), (StatusCode::SEE_OTHER, address));
}

#[tokio::test]
async fn a_link_signs_in_once() {
    let world = World::new().await;
    let link = admin_link(&world.app.kernel).await.unwrap();
    let mut browser = world.anonymous();
    let path = format!("/login/{link}");
    for _ in 0..2 {
        let shown = browser.get(&path).await;
        html::check("/login/{link}", &shown.text);
        assert!(shown.text.contains(&path) && shown.header(header::SET_COOKIE).is_empty());
    }
    let seen = browser.post(&path, "").await;
    assert_eq!((seen.status, seen.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/"));
    let cookie = seen.header(header::SET_COOKIE).to_owned();
    assert!(
        cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax") && cookie.contains("; Path=/"),
        "{cookie}"
    );
    let secret = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    assert!(cookie.starts_with(&format!("{SESSION_COOKIE}={secret};")));
    browser.cookie = Some(secret);
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    assert_eq!(world.anonymous().post(&path, "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_that_begins_by_https_stays_there() {
    let world = World::new().await;
    for (origin, is_secure) in [("https://localhost:8080", true), ("http://localhost:8080", false)] {
        let browser = world.anonymous();
        let link = admin_link(&world.app.kernel).await.unwrap();
        let request = browser.request("POST", &format!("/login/{link}")).header(header::ORIGIN, origin);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let seen = browser.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(seen.header(header::SET_COOKIE).contains("; Secure"), is_secure, "{origin}");
    }
}

#[tokio::test]
async fn a_token_signs_in_and_leads_on_within_the_server_alone() {
    let world = World::new().await;
    let project = world.submit(&project_file(&Words::one())).await;
    let token = create_person_token(&world.system(), "ada", Role::Viewer, Some(project.id)).await.unwrap().secret;
    for (next, leads_to) in [
        ("/p/delay", "/p/delay"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("", "/"),
    ] {
        let seen = world.anonymous().post("/login", &format!("token={token}&next={next}")).await;
        assert_eq!((seen.status, seen.header(header::LOCATION)), (StatusCode::SEE_OTHER, leads_to), "{next}");
        assert!(seen.header(header::SET_COOKIE).starts_with(SESSION_COOKIE));
    }
    let refused = world.anonymous().post("/login", "token=wrong&next=/p/delay").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    html::check("/login refused", &refused.text);
    assert!(
        refused.text.contains("aria-invalid")
            && refused.header(header::SET_COOKIE).is_empty()
            && !refused.text.contains("wrong")
    );
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let world = World::new().await;
    let browser = world.admin().await;
    assert_eq!(browser.post("/logout", "csrf_token=wrong").await.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    assert!(browser.submit("/logout").await.header(header::SET_COOKIE).contains("Max-Age=0"));
    assert_eq!(browser.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_without_the_sessions_token_changes_nothing() {
    let world = World::new().await;
    let (project, ids) = fill(&world, &Words::one()).await;
    let (browser, other) = (world.admin().await, world.admin().await);
    let path = format!("/p/delay/alerts/{}/acknowledge", ids.alert);
    for form in
        [String::new(), "csrf_token=".to_owned(), "csrf_token=wrong".to_owned(), format!("csrf_token={}", other.csrf)]
    {
        let seen = browser.post(&path, &form).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{form}");
        html::check("refused form", &seen.text);
    }
    let state = || async {
        let found = perennial_kernel::alerts::list(&world.system(), project.id, None, 10).await.unwrap();
        found.items[0].state
    };
    assert_eq!(state().await, AlertState::Firing);
    assert_eq!(browser.submit(&path).await.header(header::LOCATION), "/p/delay/alerts");
    assert_eq!(state().await, AlertState::Acknowledged);
}

#[tokio::test]
async fn a_post_of_another_site_or_host_is_refused() {
    let world = World::new().await;
    let (_, ids) = fill(&world, &Words::one()).await;
    let browser = world.admin().await;
    let path = format!("/p/delay/alerts/{}/acknowledge", ids.alert);
    let body = || Body::from(format!("csrf_token={}", browser.csrf));
    let form = || browser.request("POST", &path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let foreign = form().header(header::ORIGIN, "http://evil.example").body(body()).unwrap();
    assert_eq!(browser.send(foreign).await.status, StatusCode::FORBIDDEN);
    let crossing = form().header("sec-fetch-site", "cross-site").body(body()).unwrap();
    assert_eq!(browser.send(crossing).await.status, StatusCode::FORBIDDEN);
    let mut rebound = form().body(body()).unwrap();
    rebound.headers_mut().insert(header::HOST, "evil.example".parse().unwrap());
    assert_eq!(browser.send(rebound).await.status, StatusCode::FORBIDDEN);
    let own = form().header(header::ORIGIN, "http://localhost:8080").body(body()).unwrap();
    assert_eq!(browser.send(own).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn roles_bound_what_is_shown_and_done() {
    let world = World::new().await;
    let (project, ids) = fill(&world, &Words::one()).await;
    let viewer = world.person("ada", Role::Viewer, &project).await;
    let (acknowledge, rollback) =
        (format!("/p/delay/alerts/{}/acknowledge", ids.alert), "/p/delay/endpoints/delay/rollback");
    assert!(!viewer.get("/p/delay/alerts").await.text.contains("I have seen it"));
    assert_eq!(viewer.submit(&acknowledge).await.status, StatusCode::FORBIDDEN);
    assert_eq!(viewer.submit(rollback).await.status, StatusCode::FORBIDDEN);
    let approver = world.person("eve", Role::Approver, &project).await;
    assert_eq!(approver.submit(rollback).await.status, StatusCode::BAD_REQUEST, "a rollback needs a reason");
    let seen = approver.submit_with(rollback, "reason=slow").await;
    assert_eq!(seen.status, StatusCode::CONFLICT, "{}", seen.text);
    assert!(seen.text.contains("there is none before it"));
    // The button is there for who may press it, once there is something to go back to.
    let name = "delay".parse().unwrap();
    let mut reader = world.app.kernel.store().read().await.unwrap();
    let endpoint = endpoints::get(&mut reader, project.id, &name).await.unwrap();
    let known = promotions::list(&mut reader, project.id, None, 1).await.unwrap().items.remove(0);
    drop(reader);
    assert_eq!(endpoint.champion_number, known.to_number);
    let promotion = Promotion { id: PromotionId::generate(), from_number: Some(2), ..known };
    let store = world.app.kernel.store();
    store.write(move |tx| Box::pin(async move { Ok(promotions::insert(tx, &promotion).await?) })).await.unwrap();
    let button = "Roll back to version 2";
    assert!(approver.get("/p/delay/endpoints").await.text.contains(button));
    assert!(!viewer.get("/p/delay/endpoints").await.text.contains(button));
}

#[tokio::test]
async fn a_project_without_read_access_is_not_found() {
    let world = World::new().await;
    let first = world.submit(&project_file(&Words::one())).await;
    let ada = world.person("ada", Role::Admin, &first).await;
    world.submit(&project_file(&Words { name: "secret".to_owned(), ..Words::one() })).await;
    let (hidden, absent) = (ada.get("/p/secret").await, ada.get("/p/absent").await);
    assert_eq!((hidden.status, absent.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(hidden.text.replace("secret", "absent"), absent.text);
    assert_eq!(ada.get("/").await.header(header::LOCATION), "/p/delay");
    assert!(world.admin().await.get("/").await.text.contains("secret"));
}

#[tokio::test]
async fn every_answer_carries_the_policy() {
    let world = World::new().await;
    fill(&world, &Words::one()).await;
    let (browser, anonymous) = (world.admin().await, world.anonymous());
    for seen in [
        browser.get("/p/delay").await,
        browser.get("/p/absent").await,
        anonymous.get("/login").await,
        anonymous.get("/").await,
    ] {
        let policy = seen.header(header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("default-src 'none'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(!policy.contains("script-src"));
        assert_eq!(seen.header(header::X_FRAME_OPTIONS), "DENY");
        assert_eq!(seen.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(seen.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(seen.header(header::REFERRER_POLICY), "same-origin");
    }
}

#[tokio::test]
async fn without_authentication_this_machine_alone_is_answered_and_forms_still_carry_a_token() {
    let world = World::new().await;
    let (_, ids) = fill(&world, &Words::one()).await;
    let pages = router(world.app.clone(), Options { auth: false, ..Options::default() });
    let ask = |peer: Option<&str>, method: &str, path: &str, form: String| {
        let mut request = world
            .anonymous()
            .request(method, path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(PeerAddr(peer.parse().unwrap()));
        }
        pages.clone().oneshot(request)
    };
    let get = |peer| ask(peer, "GET", "/p/delay/alerts", String::new());
    assert_eq!(get(None).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(get(Some("192.0.2.7:999")).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let seen = get(Some("127.0.0.1:999")).await.unwrap();
    assert_eq!(seen.status(), StatusCode::OK);
    let text = http_body_util::BodyExt::collect(seen.into_body()).await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    html::check("alerts", &text);
    assert!(!text.contains("Sign out"));
    let token = text.split("name=\"csrf_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let path = format!("/p/delay/alerts/{}/acknowledge", ids.alert);
    assert_eq!(
        ask(Some("127.0.0.1:999"), "POST", &path, "csrf_token=no".to_owned()).await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        ask(Some("127.0.0.1:999"), "POST", &path, format!("csrf_token={token}")).await.unwrap().status(),
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_form_beyond_its_limit_is_refused() {
    let world = World::new().await;
    let seen = world.anonymous().post("/login", &format!("token={}", "x".repeat(limits::FORM_BYTES_MAX))).await;
    assert_eq!(seen.status, StatusCode::PAYLOAD_TOO_LARGE);
}
