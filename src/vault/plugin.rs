//! age plugins (`age-plugin-NAME` on the PATH): how they reach people, and their refusals in our words.
//! Refuses to know who is asked, and how; age runs them (<https://c2sp.org/age-plugin>).

use std::sync::Arc;

use age::{
    plugin::{self, IdentityPluginV1, RecipientPluginV1},
    secrecy::SecretString,
};

use super::VaultError;
use crate::{name::escape, secret::Secret};

/// The person in front of a plugin.
pub trait Interview: Send + Sync {
    /// Shows what the plugin says.
    fn tell(&self, message: &str);
    /// A question with one or two answers; none when nobody is there.
    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool>;
    /// Asks for a text; none when nobody is there.
    fn text(&self, prompt: &str) -> Option<String>;
    /// Asks for a secret such as a PIN; none when nobody is there.
    fn secret(&self, prompt: &str) -> Option<Secret>;
}

/// How plugins reach the person who runs the program.
#[derive(Clone)]
pub struct Plugins(Arc<dyn Interview>);

impl Plugins {
    /// Plugins speak to this person.
    pub fn before(person: impl Interview + 'static) -> Self {
        Self(Arc::new(person))
    }

    /// Nobody is there: what a plugin says is not heard, what it asks is not answered.
    pub fn unattended() -> Self {
        Self::before(Nobody)
    }

    pub(super) fn recipient(
        &self,
        recipient: &plugin::Recipient,
    ) -> Result<RecipientPluginV1<Self>, plugin::ResolveError> {
        RecipientPluginV1::new(recipient.plugin(), std::slice::from_ref(recipient), &[], self.clone())
    }

    pub(super) fn identity(&self, identity: &plugin::Identity) -> Result<IdentityPluginV1<Self>, plugin::ResolveError> {
        IdentityPluginV1::new(identity.plugin(), std::slice::from_ref(identity), self.clone())
    }
}

impl age::Callbacks for Plugins {
    fn display_message(&self, message: &str) {
        self.0.tell(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.0.confirm(message, yes, no)
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.text(description)
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let secret = self.0.secret(description)?;
        secret.expose_text().map(|text| text.to_owned().into())
    }
}

/// The program that a plugin's keys need.
pub(super) fn binary(plugin: &str) -> String {
    format!("age-plugin-{plugin}")
}

/// What plugins said when they refused; it is anybody's text, in age's words with Unicode isolates.
pub(super) fn refusal<E: ToString>(errors: &[E]) -> VaultError {
    let said = |error: &E| {
        let text = error.to_string().replace(['\u{2068}', '\u{2069}'], "");
        text.split_whitespace().map(escape).collect::<Vec<_>>().join(" ")
    };
    VaultError::Plugin(errors.iter().map(said).collect::<Vec<_>>().join("; "))
}

struct Nobody;

impl Interview for Nobody {
    fn tell(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn text(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> Option<Secret> {
        None
    }
}
