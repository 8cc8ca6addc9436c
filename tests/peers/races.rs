//! Two revocations at once, the first held up at each call by which it touches the disk.
//! Knows that whoever comes last, the newer CRL must lie where the server reads it.

use std::{thread, time::Duration};

use crate::{
    site::Site,
    state::{published, State},
    strace::{inject, trace, Call, Fault},
};

#[test]
#[ignore = "needs root and peers: tests/run"]
fn two_revocations_end_with_both_published_however_they_interleave() {
    let site = Site::with_authority("--publish served --issue client0 --issue client1 --issue client2");
    let (outcome, calls) = trace(site.dir(), "revoke client0");
    outcome.succeeds();
    site.tool("cp -a pki pki.saved").succeeds();
    site.tool("cp -a served served.saved").succeeds();
    for call in &calls {
        site.tool("rm -rf pki served").succeeds();
        site.tool("cp -a pki.saved pki").succeeds();
        site.tool("cp -a served.saved served").succeeds();
        interleave(&site, call);
        let state = State::sound(site.dir()).unwrap();
        assert_eq!(state.revoked().len(), 3, "held up at {}", call.text);
        let served = published(&site.path("served/crl.pem")).unwrap();
        assert_eq!(served, Some(state.revoked()), "held up at {}", call.text);
    }
    println!("held up at {} calls", calls.len());
}

/// One is held up, the other comes in while it waits.
fn interleave(site: &Site, call: &Call) {
    thread::scope(|scope| {
        let held = scope.spawn(|| inject(site.dir(), "revoke client1", call, Fault::Delay).succeeds());
        thread::sleep(Duration::from_millis(150));
        site.run("revoke client2").succeeds();
        held.join().expect("a revocation that only waits");
    });
}
