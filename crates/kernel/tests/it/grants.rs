//! A principal holds several grants; its permissions are their union, and every change is in the ledger.

use std::collections::BTreeMap;

use perennial_core::id::{PrincipalId, ProjectId};
use perennial_core::ledger::Chain;
use perennial_core::name::ProjectName;
use perennial_core::permission::{Grants, Permission, Principal, Role, Scope};
use perennial_core::{Error, ErrorCode};
use perennial_kernel::{Caller, access};
use perennial_store::ledger;
use perennial_testkit::{PROJECT_FILE, TestApp};

const ADMINISTRATOR: (Scope, Role) = (Scope::Server, Role::Admin);

/// A server with the projects `flights` and `trains`.
struct Team {
    test: TestApp,
    flights: ProjectId,
    trains: ProjectId,
}

impl Team {
    async fn start() -> Self {
        let (test, flights) = TestApp::with_project().await.unwrap();
        let trains = PROJECT_FILE.replace("\"flights\"", "\"trains\"").replace("delay", "lag");
        let trains = test.submit(&trains).await.unwrap();
        Self { test, flights: flights.id, trains: trains.id }
    }

    fn on_flights(&self) -> Scope {
        Scope::Project(self.flights)
    }

    fn on_trains(&self) -> Scope {
        Scope::Project(self.trains)
    }

    async fn authenticate(&self, secret: &str) -> Principal {
        access::authenticate(&self.test.app.kernel, secret).await.unwrap()
    }

    /// A new person with a token, as caller.
    async fn person(&self, name: &str, role: Role, scope: Scope) -> (Caller, String) {
        let token = access::create_person_token(&self.test.system(), name, role, scope.project()).await.unwrap().secret;
        (Caller::new(self.test.app.kernel.clone(), self.authenticate(&token).await), token)
    }

    async fn grant(&self, name: &str, role: Role, scope: Scope) {
        assert!(access::grant(&self.test.system(), name, role, scope).await.unwrap(), "{name} holds it already");
    }

    /// The roles of a name as the list of principals shows them.
    async fn roles(&self, name: &str) -> Vec<String> {
        let listed = access::list_principals(&self.test.system()).await.unwrap();
        let holder = listed.into_iter().find(|holder| holder.principal.name == name).unwrap();
        let place =
            |project: Option<ProjectName>| project.map_or_else(|| "server".to_owned(), |project| project.to_string());
        holder
            .roles
            .into_iter()
            .map(|held| format!("{} {} {}", held.role.as_str(), place(held.project), held.origin))
            .collect()
    }

    async fn principal_id(&self, name: &str) -> PrincipalId {
        let listed = access::list_principals(&self.test.system()).await.unwrap();
        listed.into_iter().find(|holder| holder.principal.name == name).unwrap().principal.id
    }

    /// Verbs, roles and actors of the ledger entries about the grants of a name, oldest first.
    async fn grant_entries(&self, chain: Chain, name: &str) -> Vec<String> {
        let mut reader = self.test.app.kernel.store().read().await.unwrap();
        let mut entries = ledger::list(&mut reader, chain, None, 1_000).await.unwrap().items;
        entries.reverse();
        let mut found = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.noun == "grant") {
            let payload = ledger::find_payload(&mut reader, chain, entry.sequence).await.unwrap();
            let payload: BTreeMap<String, serde_json::Value> = serde_json::from_str(&payload.unwrap()).unwrap();
            if payload["name"] == name {
                found.push(format!("{} {} by {}", entry.verb, payload["role"].as_str().unwrap(), entry.actor));
            }
        }
        found
    }
}

fn refused<T>(result: Result<T, Error>) -> (ErrorCode, String) {
    let Err(error) = result else { panic!("it was not refused") };
    (error.code(), error.message().to_owned())
}

#[tokio::test]
async fn a_further_grant_applies_to_tokens_that_exist_and_adds_to_what_is_held() {
    let team = Team::start().await;
    let (_, token) = team.person("ada", Role::Viewer, Scope::Server).await;
    team.grant("ada", Role::Approver, team.on_flights()).await;
    let ada = team.authenticate(&token).await;
    assert!(ada.may(Permission::Approve, team.on_flights()));
    assert!(ada.may(Permission::Read, team.on_trains()) && !ada.may(Permission::Write, team.on_trains()));
    assert_eq!(team.roles("ada").await, ["viewer server direct", "approver flights direct"]);
}

#[tokio::test]
async fn the_same_grant_again_changes_nothing_and_is_recorded_once() {
    let team = Team::start().await;
    team.person("ada", Role::Viewer, Scope::Server).await;
    team.grant("ada", Role::Approver, team.on_flights()).await;
    let again = access::grant(&team.test.system(), "ada", Role::Approver, team.on_flights()).await.unwrap();
    assert!(!again);
    assert_eq!(team.roles("ada").await.len(), 2);
    let entries = team.grant_entries(Chain::Project(team.flights), "ada").await;
    assert_eq!(entries, ["create approver by perennial"]);
}

#[tokio::test]
async fn a_revoked_grant_leaves_the_others_and_is_recorded_with_its_actor() {
    let team = Team::start().await;
    let (lead, _) = team.person("lead", Role::Admin, team.on_flights()).await;
    let (_, token) = team.person("ada", Role::Viewer, Scope::Server).await;
    access::grant(&lead, "ada", Role::Contributor, team.on_flights()).await.unwrap();
    access::revoke_grant(&lead, "ada", Role::Contributor, team.on_flights()).await.unwrap();
    let ada = team.authenticate(&token).await;
    assert!(ada.may(Permission::Read, team.on_flights()) && !ada.may(Permission::Write, team.on_flights()));
    assert_eq!(
        team.grant_entries(Chain::Project(team.flights), "ada").await,
        ["create contributor by lead", "delete contributor by lead"]
    );
    assert_eq!(team.grant_entries(Chain::Server, "ada").await, ["create viewer by perennial"]);
}

#[tokio::test]
async fn a_cached_token_has_a_changed_grant_at_once() {
    let team = Team::start().await;
    let (_, token) = team.person("ada", Role::Viewer, Scope::Server).await;
    let cache = access::TokenCache::default();
    let may_write = async || {
        let ada = cache.authenticate(&team.test.app.kernel, &token).await.unwrap();
        ada.may(Permission::Write, team.on_flights())
    };
    assert!(!may_write().await);
    team.grant("ada", Role::Contributor, team.on_flights()).await;
    assert!(may_write().await);
    access::revoke_grant(&team.test.system(), "ada", Role::Contributor, team.on_flights()).await.unwrap();
    assert!(!may_write().await);
}

#[tokio::test]
async fn granting_and_revoking_need_the_permission_to_manage_the_scope() {
    let team = Team::start().await;
    let (lead, _) = team.person("lead", Role::Admin, team.on_flights()).await;
    let (approver, _) = team.person("approver", Role::Approver, Scope::Server).await;
    team.person("ada", Role::Viewer, team.on_trains()).await;
    for (caller, scope) in
        [(&lead, team.on_trains()), (&lead, Scope::Server), (&approver, team.on_trains()), (&approver, Scope::Server)]
    {
        let granted = refused(access::grant(caller, "ada", Role::Viewer, scope).await);
        assert_eq!(granted.0, ErrorCode::PermissionDenied, "{scope:?}");
        let revoked = refused(access::revoke_grant(caller, "ada", Role::Viewer, scope).await);
        assert_eq!(revoked.0, ErrorCode::PermissionDenied, "{scope:?}");
    }
    assert!(access::grant(&lead, "ada", Role::Admin, team.on_flights()).await.unwrap());
    assert_eq!(team.roles("ada").await, ["viewer trains direct", "admin flights direct"]);
}

#[tokio::test]
async fn a_name_without_principal_and_a_grant_that_is_not_held_are_not_found() {
    let team = Team::start().await;
    team.person("ada", Role::Viewer, Scope::Server).await;
    let system = team.test.system();
    let unknown = refused(access::grant(&system, "bob", Role::Viewer, Scope::Server).await);
    assert_eq!(unknown, (ErrorCode::NotFound, "principal `bob` does not exist".to_owned()));
    let unheld = refused(access::revoke_grant(&system, "ada", Role::Viewer, team.on_flights()).await);
    let message = "`ada` does not hold the role `viewer` on project `flights`".to_owned();
    assert_eq!(unheld, (ErrorCode::NotFound, message));
}

#[tokio::test]
async fn the_grants_of_hosts_and_steps_are_not_changed() {
    let team = Team::start().await;
    access::host(&team.test.app.kernel).await.unwrap();
    let system = team.test.system();
    let granted = refused(access::grant(&system, "host", Role::Viewer, team.on_flights()).await);
    let revoked = refused(access::revoke_grant(&system, "host", Role::Admin, Scope::Server).await);
    assert_eq!((granted.0, revoked.0), (ErrorCode::WrongState, ErrorCode::WrongState));
    assert_eq!(team.roles("host").await, ["admin server direct"]);
}

#[tokio::test]
async fn the_last_administrator_of_the_server_keeps_the_role() {
    let team = Team::start().await;
    let (ada, _) = team.person("ada", Role::Admin, Scope::Server).await;
    access::host(&team.test.app.kernel).await.unwrap();
    let last = refused(access::revoke_grant(&ada, "ada", Role::Admin, Scope::Server).await);
    let message = "`ada` is the last administrator of the server".to_owned();
    assert_eq!(last, (ErrorCode::WrongState, message), "the host's own grant does not count");
    team.person("bob", Role::Viewer, Scope::Server).await;
    team.grant("bob", Role::Admin, Scope::Server).await;
    access::revoke_grant(&ada, "ada", Role::Admin, Scope::Server).await.unwrap();
    assert_eq!(team.roles("ada").await, Vec::<String>::new());
    let last = refused(access::revoke_grant(&team.test.system(), "bob", Role::Admin, Scope::Server).await);
    assert_eq!(last.0, ErrorCode::WrongState);
}

#[tokio::test]
async fn an_administrator_of_a_project_may_be_removed_from_it() {
    let team = Team::start().await;
    team.person("lead", Role::Admin, team.on_flights()).await;
    access::revoke_grant(&team.test.system(), "lead", Role::Admin, team.on_flights()).await.unwrap();
    assert_eq!(team.roles("lead").await, Vec::<String>::new());
}

#[tokio::test]
async fn replacing_the_role_of_the_last_administrator_is_refused_too() {
    let team = Team::start().await;
    let system = team.test.system();
    let token = access::create_person_token(&system, "ada", Role::Admin, None).await.unwrap();
    access::revoke_token(&system, token.id).await.unwrap();
    let last = refused(access::create_person_token(&system, "ada", Role::Viewer, None).await.map(|token| token.id));
    assert_eq!(last.1, "`ada` is the last administrator of the server");
    assert_eq!(team.roles("ada").await, ["admin server direct"]);
}

#[tokio::test]
async fn a_start_voids_the_one_time_links_before_it() {
    let test = TestApp::start().await.unwrap();
    let kernel = &test.app.kernel;
    let link = access::admin_link(kernel).await.unwrap();
    access::host(kernel).await.unwrap();
    assert_eq!(access::use_admin_link(kernel, &link).await.unwrap_err().code(), ErrorCode::Unauthenticated);
    let next = access::admin_link(kernel).await.unwrap();
    access::use_admin_link(kernel, &next).await.unwrap();
}

#[tokio::test]
async fn a_one_time_link_signs_in_an_administrator_whatever_was_granted_or_revoked() {
    let team = Team::start().await;
    let kernel = &team.test.app.kernel;
    let sign_in = async || {
        let link = access::admin_link(kernel).await.unwrap();
        let cookie = access::use_admin_link(kernel, &link).await.unwrap();
        access::session(kernel, &cookie).await.unwrap().unwrap().principal
    };
    let first = sign_in().await;
    team.grant("admin", Role::Viewer, team.on_flights()).await;
    assert_eq!(sign_in().await.id, first.id);
    team.person("ada", Role::Admin, Scope::Server).await;
    access::revoke_grant(&team.test.system(), "admin", Role::Admin, Scope::Server).await.unwrap();
    assert!(sign_in().await.may(Permission::Manage, Scope::Server));
    assert_eq!(
        team.grant_entries(Chain::Server, "admin").await,
        ["create admin by admin", "delete admin by perennial", "create admin by admin"]
    );
}

#[tokio::test]
async fn a_token_with_a_role_gives_that_role_or_is_refused() {
    let team = Team::start().await;
    team.person("ada", Role::Viewer, team.on_flights()).await;
    team.grant("ada", Role::Admin, team.on_trains()).await;
    let (system, flights) = (team.test.system(), Some(team.flights));
    let token = access::create_person_token(&system, "ada", Role::Viewer, flights).await.unwrap();
    let ada = team.authenticate(&token.secret).await;
    assert_eq!(ada.grants, Grants::one(team.on_flights(), Role::Viewer), "it gives nothing on the other project");
    for (role, project) in [(Role::Contributor, flights), (Role::Viewer, None), (Role::Admin, None)] {
        let (code, message) =
            refused(access::create_person_token(&system, "ada", role, project).await.map(|token| token.id));
        assert_eq!(code, ErrorCode::AlreadyExists);
        let held = "as viewer on project `flights` and admin on project `trains`";
        assert!(message.contains(held), "{message}");
    }
}

#[tokio::test]
async fn several_grants_are_never_replaced_by_a_new_token() {
    let team = Team::start().await;
    let system = team.test.system();
    let token = access::create_person_token(&system, "ada", Role::Viewer, Some(team.flights)).await.unwrap();
    team.grant("ada", Role::Admin, team.on_trains()).await;
    access::revoke_token(&system, token.id).await.unwrap();
    let (code, _) = refused(access::create_person_token(&system, "ada", Role::Viewer, None).await.map(|made| made.id));
    assert_eq!(code, ErrorCode::AlreadyExists);
    assert_eq!(team.roles("ada").await, ["viewer flights direct", "admin trains direct"]);
}

#[tokio::test]
async fn a_token_without_a_role_gives_what_is_held_limited_to_its_project() {
    let team = Team::start().await;
    let system = team.test.system();
    team.person("ada", Role::Viewer, Scope::Server).await;
    team.grant("ada", Role::Contributor, team.on_flights()).await;
    let whole = access::create_held_token(&system, "ada", None).await.unwrap();
    let both: Grants = [(Scope::Server, Role::Viewer), (team.on_flights(), Role::Contributor)].into_iter().collect();
    assert_eq!(team.authenticate(&whole.secret).await.grants, both);
    let limited = access::create_held_token(&system, "ada", Some(team.trains)).await.unwrap();
    let viewer = Grants::one(team.on_trains(), Role::Viewer);
    assert_eq!(team.authenticate(&limited.secret).await.grants, viewer);
    let new = access::create_held_token(&system, "bob", None).await.unwrap();
    let viewer = Grants::one(Scope::Server, Role::Viewer);
    assert_eq!(team.authenticate(&new.secret).await.grants, viewer, "a new person becomes a viewer");
}

#[tokio::test]
async fn a_token_of_a_person_who_holds_more_than_the_caller_manages_is_refused() {
    let team = Team::start().await;
    let (lead, _) = team.person("lead", Role::Admin, team.on_flights()).await;
    team.person("root", Role::Admin, Scope::Server).await;
    team.person("ada", Role::Viewer, team.on_flights()).await;
    team.grant("ada", Role::Admin, team.on_trains()).await;
    let flights = Some(team.flights);
    let (code, message) = refused(access::create_held_token(&lead, "root", flights).await.map(|token| token.id));
    assert_eq!((code, message.as_str()), (ErrorCode::AlreadyExists, "the name `root` is taken"));
    let whole = refused(access::create_held_token(&lead, "ada", None).await.map(|token| token.id));
    assert_eq!(whole.0, ErrorCode::PermissionDenied);
    let limited = access::create_held_token(&lead, "ada", flights).await.unwrap();
    let viewer = Grants::one(team.on_flights(), Role::Viewer);
    assert_eq!(team.authenticate(&limited.secret).await.grants, viewer);
}

#[tokio::test]
async fn a_session_begins_only_with_a_token_that_gives_every_grant() {
    let team = Team::start().await;
    let (_, token) = team.person("ada", Role::Viewer, team.on_flights()).await;
    let kernel = &team.test.app.kernel;
    access::log_in(kernel, &token).await.unwrap();
    team.grant("ada", Role::Admin, team.on_trains()).await;
    assert_eq!(refused(access::log_in(kernel, &token).await).0, ErrorCode::PermissionDenied);
    let whole = access::create_held_token(&team.test.system(), "ada", None).await.unwrap();
    access::log_in(kernel, &whole.secret).await.unwrap();
}

#[tokio::test]
async fn the_projects_of_a_caller_are_those_that_a_grant_lets_it_read() {
    let team = Team::start().await;
    let names = async |caller: &Caller| {
        let listed = team.test.app.projects.list(caller).await.unwrap();
        listed.into_iter().map(|project| project.name.to_string()).collect::<Vec<_>>()
    };
    let (ada, token) = team.person("ada", Role::Viewer, team.on_trains()).await;
    assert_eq!(names(&ada).await, ["trains"]);
    team.grant("ada", Role::Viewer, team.on_flights()).await;
    access::revoke_grant(&team.test.system(), "ada", Role::Viewer, team.on_trains()).await.unwrap();
    let limited = Caller::new(team.test.app.kernel.clone(), team.authenticate(&token).await);
    assert_eq!(names(&limited).await, Vec::<String>::new(), "the token is limited to the other project");
    let whole = access::create_held_token(&team.test.system(), "ada", Some(team.flights)).await.unwrap();
    let whole = Caller::new(team.test.app.kernel.clone(), team.authenticate(&whole.secret).await);
    assert_eq!(names(&whole).await, ["flights"]);
    assert_eq!(names(&team.test.system()).await, ["default", "flights", "trains"]);
}

/// An identity provider that knows the groups of each person, and what each group gives: as OpenID Connect does at a
/// sign-in.
struct Directory {
    members: BTreeMap<&'static str, Vec<&'static str>>,
    gives: BTreeMap<&'static str, (Scope, Role)>,
}

impl Directory {
    fn grants_of(&self, name: &str) -> Grants {
        self.members[name].iter().map(|group| self.gives[group]).collect()
    }
}

#[tokio::test]
async fn the_groups_of_an_identity_provider_become_grants_beside_the_direct_ones() {
    let team = Team::start().await;
    let (_, token) = team.person("ada", Role::Viewer, Scope::Server).await;
    let (system, id) = (team.test.system(), team.principal_id("ada").await);
    let gives = BTreeMap::from([
        ("readers", (Scope::Server, Role::Viewer)),
        ("pilots", (team.on_flights(), Role::Approver)),
        ("drivers", (team.on_trains(), Role::Contributor)),
    ]);
    let mut directory = Directory { members: BTreeMap::from([("ada", vec!["readers", "pilots"])]), gives };
    access::set_directory_grants(&system, id, &directory.grants_of("ada")).await.unwrap();
    let held = ["viewer server direct", "viewer server directory", "approver flights directory"];
    assert_eq!(team.roles("ada").await, held);
    assert!(team.authenticate(&token).await.may(Permission::Approve, team.on_flights()));
    let by_hand = refused(access::revoke_grant(&system, "ada", Role::Approver, team.on_flights()).await);
    assert_eq!(by_hand.1, "`ada` holds this role through a group of the identity provider");

    directory.members.insert("ada", vec!["drivers"]);
    access::set_directory_grants(&system, id, &directory.grants_of("ada")).await.unwrap();
    access::set_directory_grants(&system, id, &directory.grants_of("ada")).await.unwrap();
    assert_eq!(team.roles("ada").await, ["viewer server direct", "contributor trains directory"]);
    assert_eq!(
        team.grant_entries(Chain::Project(team.flights), "ada").await,
        ["create approver by perennial", "delete approver by perennial"]
    );
    assert_eq!(team.grant_entries(Chain::Project(team.trains), "ada").await, ["create contributor by perennial"]);
}

#[tokio::test]
async fn an_identity_provider_does_not_remove_the_last_administrator() {
    let team = Team::start().await;
    team.person("ada", Role::Viewer, Scope::Server).await;
    let (system, id) = (team.test.system(), team.principal_id("ada").await);
    let administrator = Grants::from_iter([ADMINISTRATOR]);
    access::set_directory_grants(&system, id, &administrator).await.unwrap();
    let last = refused(access::set_directory_grants(&system, id, &Grants::default()).await);
    assert_eq!(last.1, "`ada` is the last administrator of the server");
}
