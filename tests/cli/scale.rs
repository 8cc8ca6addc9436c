//! That commands about one, or about what is due, do not read everybody: rows that nobody can read are in nobody's way.
//! How many steps the database takes is counted beside its statements; `benches/figures` takes the time.

use crate::{database::Database, site::Site};

/// Forty clients that no command can read, `client1` to `client3` and the server. More than 32 are not verified by each
/// act. None of them is revoked: a list is made of everybody who is.
fn among_unreadable() -> Site {
    let site = Site::published("--issue client1 --issue client2 --issue client3");
    let others: Vec<String> = (0..40).map(|number| format!("other{number}")).collect();
    site.run(&format!("issue {} --no-export", others.join(" "))).succeeds();
    let database = Database::of(&site);
    database.change("UPDATE peer SET name = '../' || name, folded = '../' || folded WHERE name LIKE 'other%'", []);
    drop(database);
    site
}

#[test]
fn what_is_about_one_or_about_what_is_due_reads_nobody_else() {
    let site = among_unreadable();
    for line in ["list", "list --sort expiry", "export --all -o all"] {
        site.run(line).exits(1).says("damaged");
    }
    let serial = site.serial("client2");
    for line in [
        "show client1".to_owned(),
        format!("show serial:{serial}"),
        "issue laptop-7".to_owned(),
        "issue client2 --if-missing".to_owned(),
        "export client1 --force".to_owned(),
        "renew client1 --force".to_owned(),
        "renew --due".to_owned(),
        "log -n 3".to_owned(),
        "unlocker list".to_owned(),
        "crl publish".to_owned(),
        "status".to_owned(),
    ] {
        site.run(&line).exits(0);
    }
    site.run("status").says("clients  44 valid, 0 expired, 0 revoked, 0 suspended");
}
