//! Which requests reach their handler.

use axum::body::Body;
use http::{Request, StatusCode};
use perennial_core::permission::{Permission, Role};
use perennial_http::extract::ProjectCaller;
use perennial_http::{Access, Options, Routes, limits};
use perennial_testkit::TestApp;

use crate::support::Server;

const FORM: &str = "application/x-www-form-urlencoded";

fn echo(routes: Routes) -> Routes {
    routes.post("/pages/form", Access::Authenticated, |body: String| async move { body }).post(
        "/echo",
        Access::Authenticated,
        |body: String| async move { body },
    )
}

#[tokio::test]
async fn a_form_carries_the_csrf_token_among_its_fields() {
    let server = Server::start(echo).await;
    let (cookie, csrf_token) = server.session().await;
    for path in ["/pages/form", "/echo"] {
        let post = |media_type: &str, form: String| {
            let request = Request::post(path).header("cookie", &cookie).header("content-type", media_type);
            request.body(Body::from(form)).unwrap()
        };
        let form = format!("why=d%C3%A9j%C3%A0+\"done\"&csrf_token={csrf_token}");
        let answer = server.send(post(FORM, form.clone())).await;
        assert_eq!((answer.status, answer.text), (StatusCode::OK, form.clone()), "the handler reads the form as sent");
        for refused in [
            post(FORM, String::new()),
            post(FORM, "csrf_token=wrong".to_owned()),
            post(FORM, format!("other={csrf_token}")),
            post("text/plain", form),
        ] {
            let answer = server.send(refused).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert!(answer.text.starts_with("cross-site: "), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_header_carries_the_csrf_token_of_scripts() {
    let server = Server::start(echo).await;
    let (cookie, csrf_token) = server.session().await;
    let post = |token: &str| {
        let request = Request::post("/echo").header("cookie", &cookie).header("x-csrf-token", token);
        request.body(Body::from("{}")).unwrap()
    };
    assert_eq!(server.send(post(&csrf_token)).await.status, StatusCode::OK);
    for wrong in ["", "wrong", &csrf_token[1..]] {
        assert_eq!(server.send(post(wrong)).await.status, StatusCode::FORBIDDEN, "{wrong}");
    }
}

#[tokio::test]
async fn a_form_beyond_its_limit_is_refused() {
    let server = Server::start(echo).await;
    let (cookie, _) = server.session().await;
    let request = Request::post("/echo").header("cookie", &cookie).header("content-type", FORM);
    let answer = server.send(request.body(Body::from("x".repeat(limits::FORM_BYTES_MAX + 1))).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn pages_accept_sessions_alone_and_send_others_to_sign_in() {
    let page = |routes: Routes| {
        routes.get(
            "/pages/{project}",
            Access::Project(Permission::Read),
            |ProjectCaller { caller, project }: ProjectCaller| async move {
                format!("{} reads {}", caller.principal.name, project.name)
            },
        )
    };
    let (test, _) = TestApp::with_project().await.unwrap();
    let server = Server::over(test, Options::default(), page).await;
    for stranger in [
        server.send(Request::get("/pages/flights").body(Body::empty()).unwrap()).await,
        // A token is none of the credentials that a browser holds.
        server.get("/pages/flights").await,
    ] {
        assert_eq!((stranger.status, stranger.header("location")), (StatusCode::SEE_OTHER, Some("/sign-in")));
        assert_eq!(stranger.header("x-content-type-options"), Some("nosniff"));
    }
    let (cookie, _) = server.session().await;
    let seen = server.send(Request::get("/pages/flights").header("cookie", &cookie).body(Body::empty()).unwrap()).await;
    assert_eq!((seen.status, seen.text.as_str()), (StatusCode::OK, "root reads flights"));
    let absent =
        server.send(Request::get("/pages/trains").header("cookie", &cookie).body(Body::empty()).unwrap()).await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_permission_on_the_server_is_not_one_on_a_project() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let server = Server::over(test, Options::default(), |routes| {
        routes.get("/server", Access::Server(Permission::Read), || async {})
    })
    .await;
    let token = server.test.token("ada", Role::Admin, Some(&project)).await.unwrap();
    let request = Request::get("/server").header("authorization", format!("Bearer {token}"));
    assert_eq!(server.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(server.get("/server").await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_authentication_forms_still_carry_a_csrf_token_and_tokens_are_not_required() {
    let options = Options { auth: false, ..Options::default() };
    let server = Server::over(TestApp::start().await.unwrap(), options, echo).await;
    let post = |path: &str| Request::post(path).header("content-type", FORM).body(Body::from("a=b")).unwrap();
    assert_eq!(server.send(post("/echo")).await.status, StatusCode::OK);
    assert_eq!(server.send(post("/pages/form")).await.status, StatusCode::FORBIDDEN);
}
