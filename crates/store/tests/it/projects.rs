//! Projects, principals, grants, tokens, sessions.

use perennial_core::ErrorCode;
use perennial_core::entity::{Grant, GrantScope, NewProject, PrincipalRecord, ProjectFile, Session, Token, TokenKind};
use perennial_core::id::{GrantId, ProjectId, RunId, TokenId};
use perennial_core::permission::{Permission, Role};
use perennial_store::{experiments, grants, principals, projects, sessions, tokens};

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, principal, project};

on_both! {
    the_default_project_has_experiment_0,
    a_project_comes_with_an_experiment_of_its_name,
    a_taken_project_name_is_refused_and_leaves_nothing,
    the_project_file_last_submitted_is_current,
    a_stepped_clock_stands_where_it_was_left,
    a_token_gives_its_principal_with_grants,
    a_token_of_a_project_gives_nothing_elsewhere,
    expired_revoked_and_disabled_do_not_authenticate,
    an_administrator_link_is_used_once,
    a_session_ends_at_its_time,
    the_sessions_of_a_principal_end_together,
}

async fn the_default_project_has_experiment_0(db: &Db) {
    let mut reader = db.store.read().await.unwrap();
    let project = projects::get(&mut reader, projects::default_id()).await.unwrap();
    assert_eq!(project.name.as_str(), "default");
    let experiment = experiments::get(&mut reader, project.experiment_id).await.unwrap();
    assert_eq!((experiment.id.number(), experiment.name.as_str()), (0, "Default"));
}

async fn a_project_comes_with_an_experiment_of_its_name(db: &Db) {
    let first = project(&db.store, "flights").await;
    let second = project(&db.store, "weather").await;
    let mut reader = db.store.read().await.unwrap();
    let experiment = experiments::get(&mut reader, first.experiment_id).await.unwrap();
    assert_eq!(experiment.name, "flights");
    assert_eq!(experiment.artifact_location, format!("mlflow-artifacts:/{}", experiment.id));
    assert_eq!(second.experiment_id.number(), first.experiment_id.number() + 1);
    let found = projects::find_by_name(&mut reader, &second.name).await.unwrap();
    assert_eq!(found, Some(second));
    let names: Vec<String> =
        projects::list(&mut reader).await.unwrap().into_iter().map(|project| project.name.to_string()).collect();
    assert_eq!(names, ["default", "flights", "weather"]);
}

async fn a_taken_project_name_is_refused_and_leaves_nothing(db: &Db) {
    let first = project(&db.store, "flights").await;
    let again = NewProject {
        id: ProjectId::generate(),
        name: first.name.clone(),
        artifact_root: String::new(),
        created_ms: NOW,
    };
    let id = again.id;
    let refused = write_tx!(db.store, tx => { Ok(projects::create(tx, &again).await?) }).unwrap_err();
    assert_eq!((refused.code(), refused.message()), (ErrorCode::AlreadyExists, "project `flights` already exists"));
    let mut reader = db.store.read().await.unwrap();
    let missing = projects::get(&mut reader, id).await.unwrap_err();
    assert_eq!(missing.to_string(), format!("project `{id}` does not exist"));
}

async fn the_project_file_last_submitted_is_current(db: &Db) {
    let project = project(&db.store, "flights").await;
    for (digest, body) in [("d1", "one"), ("d2", "two"), ("d1", "one")] {
        let file = ProjectFile {
            project_id: project.id,
            digest: digest.to_owned(),
            body: body.to_owned(),
            submitted_ms: NOW,
            submitted_by: "ada".to_owned(),
        };
        write_tx!(db.store, tx => { Ok(projects::submit_file(tx, &file).await?) }).unwrap();
        let mut reader = db.store.read().await.unwrap();
        let current = projects::find_current_file(&mut reader, project.id).await.unwrap().unwrap();
        assert_eq!(current.body, body);
    }
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(projects::get_file(&mut reader, project.id, "d2").await.unwrap().body, "two");
}

async fn a_stepped_clock_stands_where_it_was_left(db: &Db) {
    let project = project(&db.store, "flights").await;
    for clock in [Some(NOW), None] {
        write_tx!(db.store, tx => { Ok(projects::set_clock(tx, project.id, clock).await?) }).unwrap();
        let mut reader = db.store.read().await.unwrap();
        assert_eq!(projects::get(&mut reader, project.id).await.unwrap().clock_ms, clock);
    }
}

fn token(principal: &PrincipalRecord, secret_hash: &str) -> Token {
    Token {
        id: TokenId::generate(),
        principal_id: principal.id,
        secret_hash: secret_hash.to_owned(),
        kind: TokenKind::Person,
        name: "laptop".to_owned(),
        project_id: None,
        run_id: None,
        created_ms: NOW,
        expires_ms: Some(NOW + 1_000),
        revoked_ms: None,
    }
}

async fn a_token_gives_its_principal_with_grants(db: &Db) {
    let project = project(&db.store, "flights").await;
    let ada = principal("ada");
    let run = RunId::generate();
    let token = Token { run_id: Some(run), kind: TokenKind::Step, ..token(&ada, "hash") };
    let grant = |project_id, role, scope: Option<(GrantScope, &str)>| Grant {
        id: GrantId::generate(),
        principal_id: ada.id,
        project_id,
        role,
        scope_kind: scope.map(|(kind, _)| kind),
        scope_id: scope.map(|(_, id)| id.to_owned()),
        created_ms: NOW,
    };
    let whole = grant(Some(project.id), Role::Contributor, None);
    let narrow = grant(Some(project.id), Role::Admin, Some((GrantScope::Endpoint, "delay")));
    let (who, given) = (ada.clone(), [whole.clone(), narrow.clone()]);
    write_tx!(db.store, tx => {
        principals::insert(tx, &who).await?;
        tokens::insert(tx, &token).await?;
        for grant in &given {
            grants::insert(tx, grant).await?;
        }
        Ok(())
    })
    .unwrap();

    let mut reader = db.store.read().await.unwrap();
    let caller = tokens::authenticate(&mut reader, "hash", NOW).await.unwrap().unwrap();
    assert_eq!((caller.principal.name.as_str(), caller.principal.run), ("ada", Some(run)));
    assert!(caller.principal.may(Permission::Write, Some(project.id)));
    assert!(
        !caller.principal.may(Permission::Manage, Some(project.id)),
        "a narrow grant says nothing about the whole project"
    );
    assert_eq!(grants::list(&mut reader, ada.id).await.unwrap(), [whole, narrow]);
}

async fn a_token_of_a_project_gives_nothing_elsewhere(db: &Db) {
    let (flights, weather) = (project(&db.store, "flights").await, project(&db.store, "weather").await);
    let ada = principal("ada");
    let grant = |project_id, role| Grant {
        id: GrantId::generate(),
        principal_id: ada.id,
        project_id,
        role,
        scope_kind: None,
        scope_id: None,
        created_ms: NOW,
    };
    let given = [grant(None, Role::Admin), grant(Some(weather.id), Role::Admin)];
    let token = Token { project_id: Some(flights.id), ..token(&ada, "hash") };
    write_tx!(db.store, tx => {
        principals::insert(tx, &ada).await?;
        tokens::insert(tx, &token).await?;
        for grant in &given {
            grants::insert(tx, grant).await?;
        }
        Ok(())
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    let caller = tokens::authenticate(&mut reader, "hash", NOW).await.unwrap().unwrap();
    assert_eq!(caller.principal.grants, [(Some(flights.id), Role::Admin)]);
    assert!(!caller.principal.may(Permission::Read, None) && !caller.principal.may(Permission::Read, Some(weather.id)));
}

async fn expired_revoked_and_disabled_do_not_authenticate(db: &Db) {
    let ada = principal("ada");
    let (one, two) = (token(&ada, "one"), token(&ada, "two"));
    let (who, first, second) = (ada.clone(), one.clone(), two.clone());
    write_tx!(db.store, tx => {
        principals::insert(tx, &who).await?;
        tokens::insert(tx, &first).await?;
        tokens::insert(tx, &second).await?;
        tokens::revoke(tx, second.id, NOW).await?;
        Ok(())
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert!(tokens::authenticate(&mut reader, "one", NOW).await.unwrap().is_some());
    assert!(tokens::authenticate(&mut reader, "one", NOW + 1_000).await.unwrap().is_none(), "expired");
    assert!(tokens::authenticate(&mut reader, "two", NOW).await.unwrap().is_none(), "revoked");
    assert!(tokens::authenticate(&mut reader, "three", NOW).await.unwrap().is_none(), "unknown");
    drop(reader);
    write_tx!(db.store, tx => { Ok(principals::set_disabled(tx, ada.id, true).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert!(tokens::authenticate(&mut reader, "one", NOW).await.unwrap().is_none(), "disabled");
    drop(reader);
    assert_eq!(write_tx!(db.store, tx => { Ok(tokens::delete_stale(tx, NOW + 1).await?) }).unwrap(), 1);
    let mut reader = db.store.read().await.unwrap();
    let held = tokens::list_held(&mut reader, one.kind).await.unwrap();
    assert_eq!(held.iter().map(|token| token.id).collect::<Vec<_>>(), [one.id]);
    drop(reader);
    let void =
        write_tx!(db.store, tx => { Ok(tokens::revoke_all_of_kind(tx, TokenKind::Person, NOW).await?) }).unwrap();
    assert_eq!(void, [Token { revoked_ms: Some(NOW), ..one }], "those that held until now");
    assert!(
        write_tx!(db.store, tx => { Ok(tokens::revoke_all_of_kind(tx, TokenKind::Person, NOW).await?) })
            .unwrap()
            .is_empty()
    );
}

async fn an_administrator_link_is_used_once(db: &Db) {
    write_tx!(db.store, tx => { Ok(tokens::insert_admin_link(tx, "link", NOW, NOW + 10).await?) }).unwrap();
    for (at, valid) in [(NOW + 10, false), (NOW + 9, true), (NOW + 9, false)] {
        assert_eq!(write_tx!(db.store, tx => { Ok(tokens::use_admin_link(tx, "link", at).await?) }).unwrap(), valid);
    }
    write_tx!(db.store, tx => { Ok(tokens::insert_admin_link(tx, "other", NOW, NOW + 10).await?) }).unwrap();
    for (at, gone) in [(NOW + 9, 1), (NOW + 10, 1), (NOW + 10, 0)] {
        assert_eq!(write_tx!(db.store, tx => { Ok(tokens::delete_stale_admin_links(tx, at).await?) }).unwrap(), gone);
    }
}

async fn a_session_ends_at_its_time(db: &Db) {
    let ada = principal("ada");
    let session = Session {
        secret_hash: "cookie".to_owned(),
        principal_id: ada.id,
        csrf_token: "csrf".to_owned(),
        created_ms: NOW,
        expires_ms: NOW + 10,
    };
    let kept = session.clone();
    write_tx!(db.store, tx => {
        principals::insert(tx, &ada).await?;
        Ok(sessions::insert(tx, &session).await?)
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(sessions::find(&mut reader, "cookie", NOW + 9).await.unwrap(), Some(kept));
    assert_eq!(sessions::find(&mut reader, "cookie", NOW + 10).await.unwrap(), None);
    drop(reader);
    assert_eq!(write_tx!(db.store, tx => { Ok(sessions::delete_expired(tx, NOW + 10).await?) }).unwrap(), 1);
}

async fn the_sessions_of_a_principal_end_together(db: &Db) {
    let (ada, bob) = (principal("ada"), principal("bob"));
    let (id, people) = (ada.id, [ada, bob]);
    write_tx!(db.store, tx => {
        for (number, person) in people.iter().enumerate() {
            principals::insert(tx, person).await?;
            for cookie in ["one", "two"] {
                let session = Session {
                    secret_hash: format!("{cookie} {number}"),
                    principal_id: person.id,
                    csrf_token: "csrf".to_owned(),
                    created_ms: NOW,
                    expires_ms: NOW + 10,
                };
                sessions::insert(tx, &session).await?;
            }
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(write_tx!(db.store, tx => { Ok(sessions::delete_of_principal(tx, id).await?) }).unwrap(), 2);
    let mut reader = db.store.read().await.unwrap();
    assert!(sessions::find(&mut reader, "one 0", NOW).await.unwrap().is_none());
    assert!(sessions::find(&mut reader, "one 1", NOW).await.unwrap().is_some());
}
