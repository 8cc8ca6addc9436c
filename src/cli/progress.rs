//! A progress bar on standard error for long work.
//! Knows nothing of the work.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// `indicatif` hides it where standard error is no terminal.
pub fn bar(doing: &str, hidden: bool) -> ProgressBar {
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template(&format!("{doing} {{bar:32}} {{pos}}/{{len}}, {{per_sec}}, {{eta}} left"));
    let bar = ProgressBar::with_draw_target(Some(0), target);
    // the template is a constant but for a word; a bad one would only look plainer
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// So many of so many are done.
pub fn show(bar: &ProgressBar, done: usize, of: usize) {
    bar.set_length(of as u64);
    bar.set_position(done as u64);
}
