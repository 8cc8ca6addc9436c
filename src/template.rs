//! The two configurations as templates: built in, or files of the same name in the PKI directory.
//! Knows no key and no file: an overriding template is checked whole before a vault is opened.

mod engine;
mod rules;

pub use engine::fill;
use engine::Source;

use crate::{
    name::Name,
    openvpn::{directive::LineError, ClientConfig, ServerConfig},
    settings::Settings,
};

/// The templates in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Templates {
    client: Source,
    server: Source,
}

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file in `templates/` that overrides nothing.
    #[error("`templates/{0}` overrides nothing; there are `{CLIENT}` and `{SERVER}`")]
    UnknownFile(String),
    /// The template language does not allow it.
    #[error("templates/{file}:{line}: {what}")]
    Syntax {
        /// The template's file name.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A name that has no value.
    #[error("templates/{file}:{line}: there is no `{name}`; there are {}", offered.join(", "))]
    UnknownName {
        /// The template's file name.
        file: String,
        /// Counted from 1.
        line: usize,
        /// The name.
        name: String,
        /// The names that there are.
        offered: Vec<&'static str>,
    },
    /// A setting that would be without effect.
    #[error("templates/{file}: `{}` is not used, so a setting would have no effect; where that is meant, write `{{% set unused = {} %}}`", names.join("`, `"), names[0])]
    Unused {
        /// The template's file name.
        file: String,
        /// The names, at least one.
        names: Vec<&'static str>,
    },
    /// A directive without which the template is refused.
    #[error(
        "templates/{file}: `{directive}` is missing; `template-without = [\"{word}\"]` under `[server]` allows that"
    )]
    Lacks {
        /// The template's file name.
        file: String,
        /// The directive with its parameter.
        directive: String,
        /// The word for `template-without`.
        word: String,
    },
    /// The credentials are missing, twice there, or not alone on their line.
    #[error("templates/{file}: `{{{{ credentials }}}}` must stand once, alone on its line, not indented")]
    Credentials {
        /// The template's file name.
        file: String,
    },
    /// A line that `OpenVPN` would not read as meant.
    #[error("templates/{file}: line {line} of what it makes: {what}")]
    Line {
        /// The template's file name.
        file: String,
        /// Counted from 1, in the configuration that was made.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A value that cannot stand in a configuration.
    #[error("a setting cannot stand in a configuration")]
    Value(#[from] LineError),
}

impl Templates {
    /// Those that vpnpki brings.
    pub fn built_in() -> Self {
        Self {
            client: Source::new(CLIENT, include_str!("../templates/client.conf")),
            server: Source::new(SERVER, include_str!("../templates/server.conf")),
        }
    }

    /// With the files of `templates/`, each as its name and text. They are checked and tried with these settings; our own
    /// were checked when vpnpki was made.
    pub fn with_overrides(files: Vec<(String, String)>, settings: &Settings) -> Result<Self, TemplateError> {
        let mut templates = Self::built_in();
        if files.is_empty() {
            return Ok(templates);
        }
        for (file, text) in files {
            match file.as_str() {
                CLIENT => templates.client = Source::new(CLIENT, text),
                SERVER => templates.server = Source::new(SERVER, text),
                _ => return Err(TemplateError::UnknownFile(crate::name::escape(&file))),
            }
        }
        templates.check(settings)?;
        Ok(templates)
    }

    /// A client's configuration, with [`crate::openvpn::client::CREDENTIALS`] on the line where they go.
    pub fn client(&self, settings: &Settings, name: &Name) -> Result<String, TemplateError> {
        let text = self.client.fill(&ClientConfig::new(settings, name)?)?;
        rules::check_client(CLIENT, &text, &settings.server.template_without)?;
        Ok(text)
    }

    /// The server's configuration.
    pub fn server(&self, settings: &Settings, has_dh: bool) -> Result<String, TemplateError> {
        let text = self.server.fill(&ServerConfig::new(settings, has_dh)?)?;
        rules::check_server(SERVER, &text, &settings.server)?;
        Ok(text)
    }

    /// All that makes a client's configuration what it is, but for the client's name: bytes to be compared by their digest.
    pub fn client_ingredients(&self, settings: &Settings) -> Result<Vec<u8>, TemplateError> {
        let values = engine::values(&ClientConfig::new(settings, &anyone())?);
        Ok([self.client.text().as_bytes(), settings.control_channel.to_string().as_bytes(), &values].concat())
    }

    /// The same of the server's configuration.
    pub fn server_ingredients(&self, settings: &Settings, has_dh: bool) -> Result<Vec<u8>, TemplateError> {
        Ok([self.server.text().as_bytes(), &engine::values(&ServerConfig::new(settings, has_dh)?)].concat())
    }

    fn check(&self, settings: &Settings) -> Result<(), TemplateError> {
        let (needed, others) = client_names(settings);
        engine::check_names(CLIENT, self.client.text(), &needed, &others)?;
        engine::check_names(SERVER, self.server.text(), &SERVER_NAMES, &["vpn", "crl_file"])?;
        // the longest name there can be makes the longest lines
        let name = Name::parse(&"n".repeat(64)).expect("64 letters are a name");
        self.client(settings, &name)?;
        self.server(settings, true)?;
        self.server(settings, false).map(drop)
    }
}

/// The names that a client's template must use, and those that it may leave out: what came later than the first templates
/// is only missed where it is set.
fn client_names(settings: &Settings) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut needed, mut others) = (CLIENT_NAMES.to_vec(), vec!["name", "poll_timeout"]);
    let client = &settings.client;
    for (name, set) in [("remote_random", client.remote_random), ("http_proxy", client.http_proxy.is_some())] {
        if set { &mut needed } else { &mut others }.push(name);
    }
    (needed, others)
}

/// A name that stands for all.
fn anyone() -> Name {
    Name::parse("name").expect("four letters are a name")
}

/// The file that overrides the client's template.
pub const CLIENT: &str = "client.conf";

/// The file that overrides the server's template.
pub const SERVER: &str = "server.conf";

/// The fields of [`ClientConfig`] that carry a setting in every authority.
const CLIENT_NAMES: [&str; 8] =
    ["vpn", "proto", "remotes", "float", "tun_mtu", "server_name_prefix", "extra", "credentials"];

/// The fields of [`ServerConfig`] that carry a setting; `vpn` may be left out, and `crl_file`
/// where the line that it belongs to says the same.
const SERVER_NAMES: [&str; 17] = [
    "port",
    "proto",
    "network",
    "netmask",
    "dh",
    "control_channel",
    "reneg_sec",
    "hand_window",
    "tran_window",
    "routes",
    "dns",
    "redirect_gateway",
    "tun_mtu",
    "user",
    "group",
    "management",
    "extra",
];

#[cfg(test)]
mod tests;
