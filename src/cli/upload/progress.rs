//! How far it is, on standard error: a bar on a terminal, now and then a line elsewhere.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex},
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Where progress is shown. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<Shown>>);

#[derive(Debug)]
struct Shown {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    /// The last tenth that a line was written for.
    tenth: u64,
    /// The last note, so that the same one is not shown twice in a row.
    note: String,
}

impl Progress {
    /// Nothing to show yet.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::no_length);
        Self(Arc::new(Mutex::new(Shown { bar, what: "", total: 0, tenth: 0, note: String::new() })))
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// `what` is done to `total` bytes from here on.
    pub fn begin(&self, what: &'static str, total: u64) {
        let mut shown = self.shown();
        (shown.what, shown.total, shown.tenth) = (what, total, 0);
        if let Some(bar) = &shown.bar {
            let style = ProgressStyle::with_template("{msg:9} {bar:32} {bytes}/{total_bytes} {binary_bytes_per_sec}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.reset();
            bar.set_length(total);
            bar.set_message(what);
        }
    }

    /// `offset` of the bytes are done.
    pub fn at(&self, offset: u64) {
        let mut shown = self.shown();
        match &shown.bar {
            Some(bar) => bar.set_position(offset),
            None => {
                let tenth = (u128::from(offset) * 10 / u128::from(shown.total.max(1))) as u64;
                if tenth > shown.tenth {
                    shown.tenth = tenth;
                    eprintln!("{} {} of {}", shown.what, HumanBytes(offset), HumanBytes(shown.total));
                }
            }
        }
    }

    /// Something worth knowing while waiting.
    pub fn note(&self, text: &str) {
        let mut shown = self.shown();
        if shown.note == text {
            return;
        }
        text.clone_into(&mut shown.note);
        match &shown.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Nothing more will be shown.
    pub fn finish(&self) {
        if let Some(bar) = &self.shown().bar {
            bar.finish_and_clear();
        }
    }
}
