//! `[[servers]]`: running servers whose live sessions can be seen and ended, and where each is reached.
//! Knows no store: whether there is a peer of that name is not asked here.

use std::path::PathBuf;

use toml_edit::{Table, Value};

use super::{
    reader::{self, Read, Reader, Section},
    server::{Management, Server},
};
use crate::name::Name;

/// A running server and its management interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManagedServer {
    /// The peer whose certificate it shows; none for the one server of `[server]`. Several processes may be one peer.
    pub name: Option<Name>,
    /// Where it is reached.
    pub management: Management,
    /// The file with the password, absolute or relative to the PKI directory.
    pub password_file: Option<PathBuf>,
}

pub fn read(reader: &mut Reader, root: &Table) -> Vec<ManagedServer> {
    if let Some(tables) = reader.tables(root, "servers", &KEYS) {
        return tables.iter().filter_map(|table| managed(reader, table)).collect();
    }
    if root.contains_key("servers") {
        let section = reader.section(root, "servers", &KEYS);
        reader.fault(&section, "name", section.line(), "write `[[servers]]`, once for each server");
    }
    Vec::new()
}

/// The servers of `[[servers]]`; where there is none, the one of `[server]`.
pub fn of(servers: &[ManagedServer], server: &Server) -> Vec<ManagedServer> {
    if !servers.is_empty() {
        return servers.to_vec();
    }
    let own = |management: &Management| ManagedServer {
        name: None,
        management: management.clone(),
        password_file: server.management_password_file.clone(),
    };
    server.management.iter().map(own).collect()
}

fn managed(reader: &mut Reader, table: &Section) -> Option<ManagedServer> {
    let name = reader.one(table, "name", &reader::parsed).map(Read::into_value);
    let management = reader.one(table, "management", &reader::parsed).map(Read::into_value);
    let faulty_file = reader.has(table, PASSWORD_FILE);
    let password_file = reader.one(table, PASSWORD_FILE, &file).map(Read::into_value);
    for (key, found, example) in [
        ("name", name.is_some(), "name = \"server\""),
        ("management", management.is_some(), "management = \"/run/openvpn-server/management.sock unix\""),
    ] {
        if !found && !reader.has(table, key) {
            reader.fault(table, key, table.line(), format!("is missing: write `{example}`"));
        }
    }
    // a server whose password cannot be read would only be asked in vain
    let usable = password_file.is_some() || !faulty_file;
    Some(ManagedServer { name: Some(name?), management: management?, password_file }).filter(|_| usable)
}

/// The path of a file.
pub fn file(value: &Value) -> Result<PathBuf, String> {
    let text = reader::text(value)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("must be the path of a file".to_owned());
    }
    if text.starts_with('~') {
        return Err("`~` is a shell's word; write the whole path".to_owned());
    }
    Ok(PathBuf::from(text))
}

const PASSWORD_FILE: &str = "management-password-file";

const KEYS: [&str; 3] = ["name", "management", PASSWORD_FILE];
