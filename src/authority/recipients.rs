//! `recipients`: to whom later bundles of a peer are encrypted. Changes nothing that was handed over.
//! Knows nothing of how they are encrypted.

use serde::Serialize;

use crate::{
    authority::{known_peer, Authority, AuthorityError, Keyholder},
    inventory::{Change, Event, Peer, Role},
    name::Name,
    vault::Recipient,
};

/// What is on record, after a change or without one.
#[derive(Debug, Serialize)]
pub struct Recipients {
    /// Whether anything was changed.
    pub changed: bool,
    /// Whose bundles.
    pub name: Name,
    /// Public keys, one line each; none for bundles in clear.
    pub recipients: Vec<String>,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Authority {
    /// To whom a peer's bundles are encrypted.
    pub fn recipients(&self, name: &Name) -> Result<Recipients, AuthorityError> {
        let peer = known_peer(&*self.view()?, name)?;
        Ok(Recipients { changed: false, name: peer.name, recipients: peer.recipients, warnings: Vec::new() })
    }

    /// Puts these on record in the place of those before; none for bundles in clear. A dry run says what would be there.
    pub fn set_recipients(
        &self,
        name: &Name,
        recipients: &[Recipient],
        dry_run: bool,
        keyholder: &dyn Keyholder,
    ) -> Result<Recipients, AuthorityError> {
        let wanted = texts(recipients);
        let before = self.recipients(name)?;
        if before.recipients == wanted {
            return Ok(before);
        }
        if known_peer(&*self.view()?, name)?.role == Role::Server && !wanted.is_empty() {
            return Err(AuthorityError::ServerRecipients(name.clone()));
        }
        if dry_run {
            return Ok(Recipients { recipients: wanted, ..before });
        }
        let unlocked = self.unlock(&*self.view()?, keyholder)?;
        let mut writing = self.begin()?;
        let peer = known_peer(&*writing, name)?;
        unlocked.refuse_mismatch(&*writing, vec![Change::Peer(peer.clone())])?;
        writing.record(&Change::Peer(Peer { recipients: wanted.clone(), ..peer }))?;
        let event = Event::RecipientsSet { name: name.clone(), many: wanted.len() as u64 };
        self.commit(writing, "recipients", vec![event], false, Some(&unlocked))?;
        let warnings = self.tended(&unlocked);
        Ok(Recipients { changed: true, name: name.clone(), recipients: wanted, warnings })
    }
}

/// As they are recorded: one line each, each once.
pub(super) fn texts(recipients: &[Recipient]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for (place, recipient) in recipients.iter().enumerate() {
        if !recipients[..place].contains(recipient) {
            texts.push(recipient.to_string());
        }
    }
    texts
}
