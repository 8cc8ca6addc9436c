//! Many processes at once on one authority.
//! Knows only what each was told and what it answered.

use std::{collections::BTreeSet, thread};

use crate::{common::Outcome, site::Site, state::State};

/// Runs the lines of sixteen users at once, each user's one after another.
fn sixteen(site: &Site, lines: impl Fn(usize) -> Vec<String> + Sync) -> Vec<Outcome> {
    thread::scope(|scope| {
        let lines = &lines;
        let user = |user| move || lines(user).iter().map(|line| site.run(line)).collect::<Vec<_>>();
        let users: Vec<_> = (0..16).map(|number| scope.spawn(user(number))).collect();
        users.into_iter().flat_map(|user| user.join().expect("a user without a fault of its own")).collect()
    })
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn sixteen_who_issue_twenty_names_each_lose_none() {
    let site = Site::with_authority("");
    let before = State::sound(site.dir()).unwrap().certificates.len();
    let outcomes = sixteen(&site, |user| (0..20).map(|name| format!("issue c{user}-{name}")).collect());
    for outcome in outcomes {
        outcome.succeeds();
    }
    let state = State::sound(site.dir()).unwrap();
    let names: BTreeSet<_> = state.names().into_iter().filter(|(name, _)| name.starts_with('c')).collect();
    assert_eq!((names.len(), state.certificates.len() - before), (320, 320), "names, serials");
    assert!((0..320).all(|number| site.path(&format!("c{}-{}.ovpn", number / 20, number % 20)).exists()));
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn of_sixteen_who_issue_the_same_name_one_succeeds() {
    let site = Site::with_authority("");
    let outcomes = sixteen(&site, |user| vec![format!("issue laptop -o {user}.ovpn")]);
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|outcome| outcome.status.success());
    assert_eq!((won.len(), lost.len()), (1, 15));
    for outcome in lost {
        outcome.exits(1).says("`laptop`").says("exists");
    }
    assert_eq!(State::sound(site.dir()).unwrap().of("laptop"), ["valid"]);
    assert_eq!((0..16).filter(|user| site.path(&format!("{user}.ovpn")).exists()).count(), 1);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn sixteen_who_renew_the_same_name_leave_one_current_certificate_and_lose_none() {
    let site = Site::with_authority("--publish served --issue laptop");
    let act = |user: usize| if user.is_multiple_of(2) { "renew laptop --no-export" } else { "crl refresh" };
    for outcome in sixteen(&site, |user| vec![act(user).to_owned()]) {
        outcome.succeeds();
    }
    let state = State::sound(site.dir()).unwrap();
    let mut statuses = state.of("laptop");
    statuses.sort_unstable();
    assert_eq!(statuses, [vec!["superseded"; 8], vec!["valid"]].concat());
    site.run("revoke laptop").succeeds();
    assert_eq!(State::sound(site.dir()).unwrap().of("laptop"), ["revoked"; 9]);
}
