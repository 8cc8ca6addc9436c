//! What a configuration must hold and how its lines must be, whatever template made it.
//! Knows no template language.

use super::TemplateError;
use crate::{
    openvpn::{client::CREDENTIALS, directive},
    settings::{Server, Without},
};

/// A client's configuration, credentials still marked.
pub fn check_client(file: &str, text: &str, without: &[Without]) -> Result<(), TemplateError> {
    let lines = directives(file, text)?;
    let marks = text.matches(CREDENTIALS).count();
    if marks != 1 || !text.lines().any(|line| line == CREDENTIALS) {
        return Err(TemplateError::Credentials { file: file.to_owned() });
    }
    if let Some(line) = text.lines().position(|line| !line.is_ascii()) {
        return Err(refused(file, line, &"only ASCII is read alike by all clients"));
    }
    require(file, &lines, &["remote-cert-tls", "server"], Without::RemoteCertTls, without)
}

/// A server's configuration.
pub fn check_server(file: &str, text: &str, server: &Server) -> Result<(), TemplateError> {
    let (lines, without) = (directives(file, text)?, &server.template_without);
    let crl_verify = [&["crl-verify"][..], &server.crl.words()].concat();
    require(file, &lines, &crl_verify, Without::CrlVerify, without)?;
    require(file, &lines, &["remote-cert-tls", "client"], Without::RemoteCertTls, without)
}

fn require(
    file: &str,
    lines: &[Vec<String>],
    wanted: &[&str],
    word: Without,
    without: &[Without],
) -> Result<(), TemplateError> {
    if without.contains(&word) || lines.iter().any(|words| words == wanted) {
        return Ok(());
    }
    Err(TemplateError::Lacks { file: file.to_owned(), directive: wanted.join(" "), word: word.to_string() })
}

/// Every line outside inline blocks, as `OpenVPN` splits it.
fn directives(file: &str, text: &str) -> Result<Vec<Vec<String>>, TemplateError> {
    let mut found = Vec::new();
    let mut lines = text.split_terminator('\n').enumerate();
    while let Some((index, line)) = lines.next() {
        let words = directive::read(line).map_err(|error| refused(file, index, &error))?.words;
        if let Some(end) = opened(&words) {
            if !lines.any(|(_, line)| line.trim_start().starts_with(&end)) {
                return Err(refused(file, index, &format!("`{end}` is missing")));
            }
        }
        found.push(words);
    }
    Ok(found)
}

/// The end of the inline block that this line opens (`check_inline_file`, `options_parse.c`).
fn opened(words: &[String]) -> Option<String> {
    let [word] = words else { return None };
    let tag = word.strip_prefix('<')?.strip_suffix('>')?;
    Some(format!("</{tag}>"))
}

fn refused(file: &str, index: usize, what: &impl ToString) -> TemplateError {
    TemplateError::Line { file: file.to_owned(), line: index + 1, what: what.to_string() }
}
