//! Projects, principals, grants, tokens, sessions.

use std::collections::BTreeSet;

use perennial_core::ErrorCode;
use perennial_core::entity::{
    Grant, GrantOrigin, GrantScope, GrantScopeKind, NewProject, PrincipalKind, PrincipalRecord, ProjectFile, Session,
    SourceGrant, Token, TokenKind,
};
use perennial_core::id::{GrantId, ProjectId, RunId, TokenId};
use perennial_core::permission::{Grants, Permission, ProjectSet, Role, Scope};
use perennial_store::{experiments, grants, principals, projects, sessions, source_grants, tokens};

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, principal, project};

on_both! {
    the_default_project_has_experiment_0,
    a_project_comes_with_an_experiment_of_its_name,
    a_taken_project_name_is_refused_and_leaves_nothing,
    the_project_file_last_submitted_is_current,
    the_first_approver_of_a_project_file_stays,
    a_source_grant_is_stored_once,
    project_files_of_an_earlier_version_have_the_approvers_of_today,
    a_stepped_clock_stands_where_it_was_left,
    a_token_gives_its_principal_with_grants,
    a_grant_is_stored_once_for_each_origin,
    administrators_of_the_server_are_people_and_services_that_are_enabled,
    the_projects_of_a_set_come_in_one_query,
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
            approver: None,
        };
        write_tx!(db.store, tx => { Ok(projects::submit_file(tx, &file).await?) }).unwrap();
        let mut reader = db.store.read().await.unwrap();
        let current = projects::find_current_file(&mut reader, project.id).await.unwrap().unwrap();
        assert_eq!(current.body, body);
    }
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(projects::get_file(&mut reader, project.id, "d2").await.unwrap().body, "two");
}

fn project_file(project_id: ProjectId, digest: &str, by: &str, approver: Option<&str>) -> ProjectFile {
    ProjectFile {
        project_id,
        digest: digest.to_owned(),
        body: String::new(),
        submitted_ms: NOW,
        submitted_by: by.to_owned(),
        approver: approver.map(str::to_owned),
    }
}

async fn the_first_approver_of_a_project_file_stays(db: &Db) {
    let project = project(&db.store, "flights").await;
    let approver = async || {
        let mut reader = db.store.read().await.unwrap();
        projects::get_file(&mut reader, project.id, "d").await.unwrap().approver
    };
    for (approved, expected) in
        [(None, None), (Some("ann"), Some("ann")), (None, Some("ann")), (Some("bob"), Some("ann"))]
    {
        let file = project_file(project.id, "d", "cam", approved);
        write_tx!(db.store, tx => { Ok(projects::submit_file(tx, &file).await?) }).unwrap();
        assert_eq!(approver().await.as_deref(), expected);
    }
    let again = write_tx!(db.store, tx => { Ok(projects::approve_file(tx, project.id, "d", "bob").await?) });
    assert_eq!((again.unwrap(), approver().await.as_deref()), (false, Some("ann")));
    let file = project_file(project.id, "e", "cam", None);
    write_tx!(db.store, tx => { Ok(projects::submit_file(tx, &file).await?) }).unwrap();
    let first = write_tx!(db.store, tx => { Ok(projects::approve_file(tx, project.id, "e", "bob").await?) });
    assert!(first.unwrap());
}

async fn a_source_grant_is_stored_once(db: &Db) {
    let (flights, weather) = (project(&db.store, "flights").await, project(&db.store, "weather").await);
    let grant = |prefix: &str, by: &str| SourceGrant {
        project_id: flights.id,
        prefix: prefix.parse().unwrap(),
        granted_by: by.to_owned(),
        created_ms: NOW,
    };
    for (prefix, by, is_new) in [("s3://b/in/", "ada", true), ("s3://b/in/", "bob", false), ("gs://a/", "bob", true)] {
        let one = grant(prefix, by);
        let inserted = write_tx!(db.store, tx => { Ok(source_grants::insert(tx, &one).await?) }).unwrap();
        assert_eq!(inserted, is_new, "{prefix}");
    }
    let listed = source_grants::list(&mut db.store.read().await.unwrap(), flights.id).await.unwrap();
    assert_eq!(listed, [grant("gs://a/", "bob"), grant("s3://b/in/", "ada")]);
    let (prefix, other) = (grant("gs://a/", "bob").prefix, weather.id);
    for (id, expected) in [(other, false), (flights.id, true), (flights.id, false)] {
        let prefix = prefix.clone();
        let deleted = write_tx!(db.store, tx => { Ok(source_grants::delete(tx, id, &prefix).await?) }).unwrap();
        assert_eq!(deleted, expected);
    }
}

/// Reverts the migration that records approvers of project files.
const BEFORE_APPROVERS: &str = "ALTER TABLE project_files DROP COLUMN approver; DROP TABLE source_grants; \
    DROP TABLE ledger_stamps; DELETE FROM _sqlx_migrations WHERE version = 8;";

async fn project_files_of_an_earlier_version_have_the_approvers_of_today(db: &Db) {
    let (flights, weather) = (project(&db.store, "flights").await, project(&db.store, "weather").await);
    let (server, here) = (Scope::Server, Scope::Project(flights.id));
    let people = [
        ("ann", Role::Approver, server, true),
        ("bob", Role::Admin, here, true),
        ("cam", Role::Contributor, server, false),
        ("dan", Role::Admin, Scope::Project(weather.id), false),
    ];
    for (name, role, scope, _) in people {
        let who = principal(name);
        let held = grant(&who, role, scope);
        let file = project_file(flights.id, name, name, None);
        write_tx!(db.store, tx => {
            principals::insert(tx, &who).await?;
            grants::insert(tx, &held).await?;
            Ok(projects::submit_file(tx, &file).await?)
        })
        .unwrap();
    }
    let hosts = project_file(flights.id, "host", "host", None);
    write_tx!(db.store, tx => { Ok(projects::submit_file(tx, &hosts).await?) }).unwrap();
    db.execute(BEFORE_APPROVERS).await;
    let again = perennial_store::Store::open(&db.url, perennial_store::Options::default()).await.unwrap();
    let mut reader = again.read().await.unwrap();
    for (name, is_approver) in
        people.map(|(name, .., is_approver)| (name, is_approver)).into_iter().chain([("host", true)])
    {
        let found = projects::get_file(&mut reader, flights.id, name).await.unwrap();
        assert_eq!(found.approver.as_deref(), is_approver.then_some(name));
    }
    drop(reader);
    again.close().await.unwrap();
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

fn grant(principal: &PrincipalRecord, role: Role, scope: Scope) -> Grant {
    Grant {
        id: GrantId::generate(),
        principal_id: principal.id,
        role,
        scope: GrantScope::Whole(scope),
        origin: GrantOrigin::Direct,
        created_ms: NOW,
    }
}

async fn a_token_gives_its_principal_with_grants(db: &Db) {
    let project = project(&db.store, "flights").await;
    let ada = principal("ada");
    let run = RunId::generate();
    let token = Token { run_id: Some(run), kind: TokenKind::Step, ..token(&ada, "hash") };
    let whole = grant(&ada, Role::Contributor, Scope::Project(project.id));
    let endpoint =
        GrantScope::Object { project_id: project.id, kind: GrantScopeKind::Endpoint, id: "delay".to_owned() };
    let narrow = Grant { scope: endpoint, ..grant(&ada, Role::Admin, Scope::Server) };
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

async fn a_grant_is_stored_once_for_each_origin(db: &Db) {
    let project = project(&db.store, "flights").await;
    let ada = principal("ada");
    let direct = grant(&ada, Role::Viewer, Scope::Project(project.id));
    let others = [
        grant(&ada, Role::Viewer, Scope::Server),
        grant(&ada, Role::Admin, Scope::Project(project.id)),
        Grant { origin: GrantOrigin::Directory, ..grant(&ada, Role::Viewer, Scope::Project(project.id)) },
    ];
    let (first, more) = (direct.clone(), others.clone());
    write_tx!(db.store, tx => {
        principals::insert(tx, &ada).await?;
        grants::insert(tx, &first).await?;
        for grant in &more {
            grants::insert(tx, grant).await?;
        }
        Ok(())
    })
    .unwrap();
    let again = Grant { id: GrantId::generate(), ..direct.clone() };
    let refused = write_tx!(db.store, tx => { Ok(grants::insert(tx, &again).await?) }).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AlreadyExists);
    let removed = direct.id;
    write_tx!(db.store, tx => { Ok(grants::delete(tx, removed).await?) }).unwrap();
    assert_eq!(grants::list_all(&mut db.store.read().await.unwrap()).await.unwrap(), others);
    let gone = write_tx!(db.store, tx => { Ok(grants::delete(tx, removed).await?) }).unwrap_err();
    assert_eq!(gone.code(), ErrorCode::NotFound);
}

async fn administrators_of_the_server_are_people_and_services_that_are_enabled(db: &Db) {
    let project = project(&db.store, "flights").await;
    let service = PrincipalRecord { kind: PrincipalKind::Service, ..principal("ci") };
    let host = PrincipalRecord { kind: PrincipalKind::Host, ..principal("host") };
    let disabled = PrincipalRecord { is_disabled: true, ..principal("bob") };
    let (ada, lead) = (principal("ada"), principal("lead"));
    let mut given: Vec<Grant> =
        [&service, &host, &disabled, &ada].map(|one| grant(one, Role::Admin, Scope::Server)).into();
    given.push(Grant { origin: GrantOrigin::Directory, ..grant(&ada, Role::Admin, Scope::Server) });
    given.push(grant(&lead, Role::Admin, Scope::Project(project.id)));
    given.push(grant(&lead, Role::Approver, Scope::Server));
    let people = [service, host, disabled, ada, lead];
    let count = write_tx!(db.store, tx => {
        for person in &people {
            principals::insert(tx, person).await?;
        }
        for grant in &given {
            grants::insert(tx, grant).await?;
        }
        Ok(grants::count_server_administrators(tx).await?)
    });
    assert_eq!(count.unwrap(), 2, "ci and ada");
}

async fn the_projects_of_a_set_come_in_one_query(db: &Db) {
    let (flights, weather) = (project(&db.store, "flights").await, project(&db.store, "weather").await);
    project(&db.store, "trains").await;
    let mut reader = db.store.read().await.unwrap();
    let names = |found: Vec<perennial_core::entity::Project>| {
        found.into_iter().map(|project| project.name.to_string()).collect::<Vec<_>>()
    };
    let all = projects::list_in(&mut reader, &ProjectSet::All).await.unwrap();
    assert_eq!(names(all), ["default", "flights", "trains", "weather"]);
    let mut ids = BTreeSet::from([weather.id, flights.id]);
    let two = projects::list_in(&mut reader, &ProjectSet::Only(ids.clone())).await.unwrap();
    assert_eq!(names(two), ["flights", "weather"]);
    ids.extend((0..200).map(|_| ProjectId::generate()));
    let many = projects::list_in(&mut reader, &ProjectSet::Only(ids)).await.unwrap();
    assert_eq!(names(many), ["flights", "weather"], "ids beyond the limit of placeholders");
    let none = projects::list_in(&mut reader, &ProjectSet::Only(BTreeSet::new())).await.unwrap();
    assert_eq!(names(none), Vec::<String>::new());
}

async fn a_token_of_a_project_gives_nothing_elsewhere(db: &Db) {
    let (flights, weather) = (project(&db.store, "flights").await, project(&db.store, "weather").await);
    let ada = principal("ada");
    let given = [grant(&ada, Role::Admin, Scope::Server), grant(&ada, Role::Admin, Scope::Project(weather.id))];
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
    assert_eq!(caller.principal.grants, Grants::one(Scope::Project(flights.id), Role::Admin));
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
    let held = tokens::list_held(&mut reader, one.kind).await.unwrap().rows;
    assert_eq!(held.iter().map(|token| token.id).collect::<Vec<_>>(), [one.id]);
    drop(reader);
    let void =
        write_tx!(db.store, tx => { Ok(tokens::revoke_all_of_kind(tx, TokenKind::Person, NOW).await?) }).unwrap();
    assert_eq!(void.rows, [Token { revoked_ms: Some(NOW), ..one }], "those that held until now");
    assert!(
        write_tx!(db.store, tx => { Ok(tokens::revoke_all_of_kind(tx, TokenKind::Person, NOW).await?) })
            .unwrap()
            .rows
            .is_empty()
    );
}

async fn an_administrator_link_is_used_once(db: &Db) {
    write_tx!(db.store, tx => { Ok(tokens::insert_admin_link(tx, "link", NOW, NOW + 10).await?) }).unwrap();
    for (at, valid) in [(NOW + 10, false), (NOW + 9, true), (NOW + 9, false)] {
        assert_eq!(write_tx!(db.store, tx => { Ok(tokens::use_admin_link(tx, "link", at).await?) }).unwrap(), valid);
    }
    write_tx!(db.store, tx => { Ok(tokens::insert_admin_link(tx, "other", NOW, NOW + 10).await?) }).unwrap();
    for gone in [2, 0] {
        assert_eq!(write_tx!(db.store, tx => { Ok(tokens::delete_admin_links(tx).await?) }).unwrap(), gone);
    }
    assert!(!write_tx!(db.store, tx => { Ok(tokens::use_admin_link(tx, "other", NOW).await?) }).unwrap());
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
