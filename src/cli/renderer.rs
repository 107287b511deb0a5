//! Where the program is that renders.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Its name.
const NAME: &str = "orbit-renderer";

/// The program that was named, or else the one beside this program or on the PATH.
pub fn program(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(program) = named {
        anyhow::ensure!(program.is_file(), "--renderer {}: there is no such program", program.display());
        return Ok(program.to_owned());
    }
    found().with_context(|| {
        format!("{NAME} is neither beside this program nor on the PATH: build it with make renderer, or name it with --renderer")
    })
}

/// The program beside this one or on the PATH.
pub fn found() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(NAME)));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&on_path).map(|directory| directory.join(NAME));
    beside.into_iter().chain(on_path).find(|program| program.is_file())
}
