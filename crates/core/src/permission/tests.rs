use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::{Grants, Permission, Principal, ProjectSet, Role, Scope};
use crate::error::ErrorCode;
use crate::id::{PrincipalId, ProjectId};

const PERMISSIONS: [Permission; 4] = [Permission::Read, Permission::Write, Permission::Approve, Permission::Manage];

/// One of four projects, so that grants of a random list meet.
fn project(number: u128) -> ProjectId {
    ProjectId::from(Uuid::from_u128(number))
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Server), (0_u128..4).prop_map(|number| Scope::Project(project(number)))]
}

fn grant() -> impl Strategy<Value = (Scope, Role)> {
    (scopes(), proptest::sample::select(Role::ALL.to_vec()))
}

fn grants() -> impl Strategy<Value = Vec<(Scope, Role)>> {
    proptest::collection::vec(grant(), 0..6)
}

proptest! {
    #[test]
    fn grants_give_a_permission_exactly_when_one_of_them_does(held in grants(), asked in scopes()) {
        let union: Grants = held.iter().copied().collect();
        for permission in PERMISSIONS {
            let any = held.iter().any(|(scope, role)| Grants::one(*scope, *role).allow(permission, asked));
            prop_assert_eq!(union.allow(permission, asked), any);
        }
    }

    #[test]
    fn a_further_grant_takes_no_permission_away(held in grants(), further in grant(), asked in scopes()) {
        let before: Grants = held.iter().copied().collect();
        let after: Grants = held.iter().copied().chain([further]).collect();
        for permission in PERMISSIONS {
            prop_assert!(!before.allow(permission, asked) || after.allow(permission, asked));
        }
    }

    #[test]
    fn the_set_of_projects_agrees_with_the_question_about_each(held in grants()) {
        let grants: Grants = held.into_iter().collect();
        for permission in PERMISSIONS {
            let set = grants.projects(permission);
            for number in 0..5 {
                let is_in = match &set {
                    ProjectSet::All => true,
                    ProjectSet::Only(projects) => projects.contains(&project(number)),
                };
                prop_assert_eq!(is_in, grants.allow(permission, Scope::Project(project(number))));
            }
        }
    }

    #[test]
    fn limited_grants_give_the_same_in_the_project_and_nothing_elsewhere(held in grants(), asked in scopes()) {
        let (whole, only): (Grants, _) = (held.into_iter().collect(), project(1));
        let limited = whole.limited_to(only);
        for permission in PERMISSIONS {
            let expected = asked == Scope::Project(only) && whole.allow(permission, asked);
            prop_assert_eq!(limited.allow(permission, asked), expected);
        }
    }
}

#[test]
fn each_role_includes_the_permissions_of_the_roles_below_it() {
    for (role, count) in Role::ALL.into_iter().zip(1..) {
        assert_eq!(PERMISSIONS.into_iter().filter(|permission| role.allows(*permission)).count(), count);
    }
}

#[test]
fn grants_on_two_projects_are_independent() {
    let grants: Grants =
        [(Scope::Project(project(1)), Role::Admin), (Scope::Project(project(2)), Role::Viewer)].into_iter().collect();
    assert_eq!(grants.highest_role(Scope::Project(project(1))), Some(Role::Admin));
    assert_eq!(grants.highest_role(Scope::Project(project(2))), Some(Role::Viewer));
    assert_eq!(grants.highest_role(Scope::Project(project(3))), None);
    assert_eq!(grants.highest_role(Scope::Server), None);
    assert_eq!(grants.projects(Permission::Write), ProjectSet::Only(BTreeSet::from([project(1)])));
}

#[test]
fn a_principal_without_grants_is_refused_with_the_permission_it_lacks() {
    let ada = Principal { id: PrincipalId::generate(), name: "ada".to_owned(), grants: Grants::default(), run: None };
    for (permission, word) in PERMISSIONS.into_iter().zip(["read", "write", "approve", "manage"]) {
        let refused = ada.require(permission, Scope::Server).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::PermissionDenied);
        assert_eq!(refused.message(), format!("`ada` lacks the permission `{word}` here"));
        let role = permission.lowest_role();
        assert!(
            role.allows(permission) && Role::ALL.into_iter().all(|lower| lower >= role || !lower.allows(permission))
        );
        let command = format!("`perennial principals grant ada --role {}`", role.as_str());
        assert!(refused.hint().unwrap().contains(&command), "{:?}", refused.hint());
        let refused = ada.require(permission, Scope::Project(project(1))).unwrap_err();
        assert!(refused.hint().unwrap().contains(" --on PROJECT`"), "{:?}", refused.hint());
    }
}
