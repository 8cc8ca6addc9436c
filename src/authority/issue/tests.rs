//! What changes while batches are made ahead: told to others by the witness of a batch, at which moment the next two are
//! under way and no more.

use std::{ops::ControlFlow, path::PathBuf, sync::atomic::Ordering, time::Duration};

use super::{batch::MANY, *};
use crate::{
    authority::{
        crew::AHEAD,
        deliver::Destination,
        init::{self, InitRequest},
        revoke::Revocations,
        unlock::KeyholderError,
        unlocker::Rotation,
        verdict::{Subject, Verdict},
        Actor,
    },
    files::{self, Overwrite, Visibility},
    import::people::{self, Usual},
    inventory::{Change, Reason, Status},
    pki,
    secret::Secret,
    store::Access,
    vault::{IdentityFile, Plugins, Unlocker},
    world::World,
};

/// An authority in a directory of its own, and one for bundles.
struct Place {
    pki: tempfile::TempDir,
    out: tempfile::TempDir,
}

/// The vault opens by the `vault.key` beside it.
struct Nobody;

impl Keyholder for Nobody {
    fn identity(&self) -> Result<Option<IdentityFile>, KeyholderError> {
        Ok(None)
    }

    fn passphrase(&self) -> Result<Secret, KeyholderError> {
        Err(KeyholderError::Missing("passphrase"))
    }
}

/// Does something once, when it hears of the first batch; counts the batches.
struct Meanwhile<F> {
    happens: Option<F>,
    batches: Vec<usize>,
    told: Batch,
}

impl<F: FnOnce()> Witness for Meanwhile<F> {
    fn done(&mut self, batch: Batch, _: usize, _: usize) {
        self.batches.push(batch.issued.len());
        self.told.issued.extend(batch.issued);
        self.told.delivery.extend(batch.delivery);
        if let Some(happens) = self.happens.take() {
            happens();
        }
    }
}

fn meanwhile<F: FnOnce()>(happens: F) -> Meanwhile<F> {
    Meanwhile { happens: Some(happens), batches: Vec::new(), told: Batch::default() }
}

fn actor() -> Actor {
    let uid = rustix::process::geteuid().as_raw();
    Actor { by: "test".to_owned(), uid, patience: Duration::from_secs(20), clock_is_right: false, world: World::real() }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

impl Place {
    fn new() -> Self {
        let [pki, out] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let settings = b"[client]\nremotes = [\"vpn.example.com\"]\n";
        files::stage(&pki.path().join("vpnpki.toml"), settings, Visibility::Public, Overwrite::Refuse, None)
            .unwrap()
            .release()
            .unwrap();
        let (unlocker, key_file) = Unlocker::fresh_key_file();
        let request = InitRequest {
            dir: pki.path().to_owned(),
            initial: None,
            ca_name: None,
            dh: None,
            server: name("server"),
            clients: Vec::new(),
            out: None,
            publish: None,
            unlockers: vec![unlocker],
            plugins: Plugins::unattended(),
            key_file: Some(key_file),
            recovery: None,
            dry_run: false,
        };
        init::init(&request, actor()).unwrap();
        Self { pki, out }
    }

    fn out(&self) -> PathBuf {
        self.out.path().to_owned()
    }

    fn authority(&self) -> Authority {
        Authority::open(self.pki.path(), Access::Write, actor()).unwrap()
    }

    /// To `user0` and on, so many, with their bundles.
    fn request(&self, many: usize) -> IssueRequest {
        let list = list("user", many);
        let destination = Destination::Into(self.out());
        IssueRequest { outputs: Outputs { destination, ..Outputs::nowhere() }, ..request(&list) }
    }

    /// As another process would.
    fn others_issue(&self, whom: &str) {
        self.authority().issue(&request(whom), &Nobody, &mut meanwhile(|| ())).unwrap();
    }

    fn others_revoke(&self, whom: &str) {
        let request = Revocations {
            subjects: vec![Subject::Peer(name(whom))],
            verdict: Verdict::Revoke(Reason::Unspecified),
            ladder: None,
            no_publish: true,
            dry_run: false,
        };
        self.authority().revoke(&request, &Nobody).unwrap();
    }

    /// Everybody on record has one valid certificate, and every bundle holds somebody's: gives how many of each.
    fn sound(&self) -> (usize, usize) {
        let authority = self.authority();
        let view = authority.view().unwrap();
        let mut peers = Vec::new();
        view.peers(&mut |peer, _| {
            peers.push(peer);
            ControlFlow::Continue(())
        })
        .unwrap();
        let clients: Vec<Peer> = peers.into_iter().filter(|peer| peer.role == Role::Client).collect();
        let bundles = files::list(&self.out()).unwrap();
        for bundle in &bundles {
            let text = String::from_utf8(files::read(&self.out().join(bundle), 1 << 20).unwrap()).unwrap();
            let stem = bundle.to_str().unwrap().strip_suffix(".ovpn").unwrap();
            let Some(peer) = clients.iter().find(|peer| peer.name.as_str() == stem) else {
                assert!(text.starts_with("in the way"), "the bundle of {stem}, who is not on record");
                continue;
            };
            let der = view.certificate_der(&peer.current).unwrap().unwrap();
            assert!(text.contains(&pki::certificate_pem(&der)), "the bundle of {stem} holds another certificate");
        }
        for peer in &clients {
            let valid = view.certificates_of(&peer.name).unwrap();
            let valid = valid.iter().filter(|one| one.status(authority.now()) == Status::Valid);
            assert!(valid.count() <= 1, "{} has two certificates", peer.name);
        }
        assert_eq!(view.derived_faults().unwrap(), Vec::<String>::new());
        (clients.len(), bundles.len())
    }
}

/// So many names, one a line.
fn list(stem: &str, many: usize) -> String {
    (0..many).map(|number| format!("{stem}{number}")).collect::<Vec<_>>().join("\n")
}

/// To everybody in a list, without bundles.
fn request(list: &str) -> IssueRequest {
    let usual =
        Usual { role: Role::Client, servers: false, algorithm: None, days: None, addresses: Vec::new(), note: None };
    let read = people::read(list.as_bytes(), &usual);
    IssueRequest {
        people: read.people,
        list: Some(read.faults),
        outputs: Outputs::nowhere(),
        present: Present::Refused,
        dry_run: false,
        recipients: Vec::new(),
        csr: None,
        stop: crate::authority::Stop::default(),
    }
}

#[test]
fn batches_are_whole_whatever_the_number() {
    let place = Place::new();
    for (many, batches) in [(1, vec![1]), (2, vec![2]), (256, vec![256]), (257, vec![256, 1])] {
        let mut witness = meanwhile(|| ());
        let request = request(&list(&format!("of{many}-"), many));
        let outcome = place.authority().issue(&request, &Nobody, &mut witness).unwrap();
        assert!(outcome.changed && outcome.stopped.is_none());
        assert_eq!(witness.batches, batches, "{many}");
    }
    assert_eq!(place.sound(), (1 + 2 + 256 + 257, 0));
    let nobody = place.authority().issue(&request(""), &Nobody, &mut meanwhile(|| ()));
    assert!(matches!(nobody, Err(AuthorityError::NobodyListed)));
}

/// `user300` had access before, gets it from others and loses it again; `user400` gets it from others and keeps it. Both
/// have been made ahead by then, and what was made for them is nobody's.
#[test]
fn who_changed_while_they_were_made_is_made_anew_or_left() {
    let place = Place::new();
    place.others_issue("user300");
    place.others_revoke("user300");
    let serial = |whom: &str| place.authority().view().unwrap().peer(&name(whom)).unwrap().unwrap().current;
    let first = serial("user300");
    let request = IssueRequest { present: Present::Left, ..place.request(600) };
    let mut witness = meanwhile(|| {
        place.others_issue("user300");
        place.others_revoke("user300");
        place.others_issue("user400");
    });
    let outcome = place.authority().issue(&request, &Nobody, &mut witness).unwrap();
    assert!(outcome.stopped.is_none());
    assert_eq!(outcome.unchanged, [name("user400")]);
    assert_eq!((witness.batches, witness.told.delivery.undelivered.len()), (vec![256, 255, 88], 0));
    assert_eq!(place.sound(), (600, 599));
    let told = witness.told.issued.iter().find(|one| one.name == name("user300")).unwrap();
    assert_eq!(told.serial, Some(serial("user300")));
    assert_ne!(told.formerly.as_ref().unwrap().serial, first, "they had another certificate in between");
    let certificates = |whom: &str| place.authority().view().unwrap().certificates_of(&name(whom)).unwrap().len();
    assert_eq!((certificates("user300"), certificates("user400")), (3, 1));
}

/// What fails ahead is told in its turn: the batches before it are whole, it and what was begun after it never were.
#[test]
fn an_error_ahead_leaves_the_batches_before_it_whole() {
    let place = Place::new();
    let begun = MANY * (1 + AHEAD);
    let in_the_way = place.out().join(format!("user{}.ovpn", begun + 30));
    let mut witness = meanwhile(|| {
        files::stage(&in_the_way, b"in the way", Visibility::Private, Overwrite::Refuse, None)
            .unwrap()
            .release()
            .unwrap();
    });
    let outcome = place.authority().issue(&place.request(begun + 300), &Nobody, &mut witness).unwrap();
    let stopped = outcome.stopped.unwrap();
    assert_eq!((stopped.done, stopped.of), (begun, begun + 300));
    assert!(stopped.why.to_string().contains("exists"), "{}", stopped.why);
    assert_eq!(witness.batches, vec![MANY; 1 + AHEAD]);
    assert_eq!(place.sound(), (begun, begun + 1));
}

/// What was made ahead was made of another vault's keys.
#[test]
fn a_vault_that_was_changed_in_between_ends_it() {
    let place = Place::new();
    let mut witness = meanwhile(|| {
        let rotation = Rotation { passphrases: Vec::new(), dropped: Vec::new(), dry_run: false };
        place.authority().rotate(&rotation, &Nobody, &mut |_, _| ()).unwrap();
    });
    let outcome = place.authority().issue(&place.request(600), &Nobody, &mut witness).unwrap();
    assert_eq!((outcome.stopped.unwrap().done, witness.batches), (MANY, vec![MANY]));
    assert_eq!(place.sound(), (MANY, MANY));
    place.others_issue("later");
}

/// The act looks at the newest entry again where it is not its own.
#[test]
fn who_writes_without_the_vault_in_between_is_met_by_the_next_batch() {
    let place = Place::new();
    let mut witness = meanwhile(|| {
        let authority = place.authority();
        let mut writing = authority.begin().unwrap();
        let server = writing.peer(&name("server")).unwrap().unwrap();
        writing.record(&Change::Peer(Peer { note: Some("mine".to_owned()), ..server })).unwrap();
        authority.commit(writing, "issue", Vec::new(), false, None).unwrap();
    });
    let outcome = place.authority().issue(&place.request(600), &Nobody, &mut witness).unwrap();
    let stopped = outcome.stopped.unwrap();
    assert!(matches!(stopped.why, AuthorityError::Mismatch(_)), "{}", stopped.why);
    assert_eq!((stopped.done, witness.batches), (MANY, vec![MANY]));
    assert_eq!(place.sound(), (MANY, MANY));
}

/// Batches that are made, but not begun to be recorded, are given up.
#[test]
fn a_wish_to_stop_ends_it_after_the_batch_that_is_recorded() {
    let place = Place::new();
    let request = place.request(1000);
    let flag = request.stop.flag();
    let mut witness = meanwhile(|| flag.store(true, Ordering::Relaxed));
    let outcome = place.authority().issue(&request, &Nobody, &mut witness).unwrap();
    let stopped = outcome.stopped.unwrap();
    assert!(matches!(stopped.why, AuthorityError::Stopped));
    assert_eq!((stopped.done, witness.batches), (MANY, vec![MANY]));
    assert_eq!(place.sound(), (MANY, MANY));
}
