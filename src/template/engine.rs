//! The template language: names, conditions and loops of minijinja, with nothing undefined, nothing loaded and no filter.
//! Knows no `OpenVPN`.

use std::{borrow::Cow, collections::BTreeSet, sync::OnceLock};

use minijinja::{
    syntax::SyntaxConfig,
    value::{Serde, Value},
    Environment, UndefinedBehavior,
};
use serde::Serialize;

use super::TemplateError;

/// A template that is filled more than once.
#[derive(Clone, Debug)]
pub struct Source {
    file: &'static str,
    text: Cow<'static, str>,
    /// The text, compiled, where it is our own: as many bundles as there are people are made of it.
    compiled: OnceLock<Environment<'static>>,
}

impl Source {
    /// One of ours, or a user's.
    pub fn new(file: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { file, text: text.into(), compiled: OnceLock::new() }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Fills it.
    pub fn fill(&self, values: &impl Serialize) -> Result<String, TemplateError> {
        let Cow::Borrowed(text) = self.text else { return fill(self.file, &self.text, values) };
        let compiled = self.compiled.get_or_init(|| {
            let mut environment = environment();
            // what is wrong with it is told when it is asked for
            let _ = environment.add_template(self.file, text);
            environment
        });
        let refused = |error| refused(self.file, &error);
        compiled.get_template(self.file).map_err(refused)?.render(Value::from(Serde(values))).map_err(refused)
    }
}

/// What it is made of is all that it is.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (self.file, &self.text) == (other.file, &other.text)
    }
}

impl Eq for Source {}

/// Fills a template; `file` is how errors name it.
pub fn fill(file: &str, text: &str, values: &impl Serialize) -> Result<String, TemplateError> {
    let environment = environment();
    let template = environment.template_from_named_str(file, text).map_err(|error| refused(file, &error))?;
    template.render(Value::from(Serde(values))).map_err(|error| refused(file, &error))
}

/// The values that would fill a template, in one order.
pub fn values(values: &impl Serialize) -> Vec<u8> {
    // structs of strings, numbers and lists always have a JSON form
    serde_json::to_vec(values).unwrap_or_default()
}

/// Refuses a template that uses a name that is not offered, or leaves one unused that carries a setting.
pub fn check_names(
    file: &str,
    text: &str,
    settings: &[&'static str],
    others: &[&'static str],
) -> Result<(), TemplateError> {
    let environment = environment();
    let template = environment.template_from_named_str(file, text).map_err(|error| refused(file, &error))?;
    let used: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
    let offered: Vec<&'static str> = settings.iter().chain(others).copied().collect();
    if let Some(name) = used.iter().find(|name| !offered.contains(&name.as_str())) {
        let (line, name) = (line_using(text, name), name.clone());
        return Err(TemplateError::UnknownName { file: file.to_owned(), line, name, offered });
    }
    let names: Vec<&'static str> = settings.iter().copied().filter(|name| !used.contains(*name)).collect();
    if names.is_empty() {
        Ok(())
    } else {
        Err(TemplateError::Unused { file: file.to_owned(), names })
    }
}

fn environment() -> Environment<'static> {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    let mut environment = Environment::empty();
    environment.set_syntax(syntax.build().expect("the delimiters are the usual ones"));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

fn refused(file: &str, error: &minijinja::Error) -> TemplateError {
    let what = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    let line = error.line().unwrap_or(1);
    TemplateError::Syntax { file: file.to_owned(), line, what }
}

/// The first line on which the name stands as a word of its own.
fn line_using(text: &str, name: &str) -> usize {
    let inside = |character: char| character.is_alphanumeric() || character == '_';
    let uses = |line: &str| line.contains('{') && line.split(|character| !inside(character)).any(|word| word == name);
    1 + text.lines().position(uses).unwrap_or_default()
}
