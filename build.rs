//! Puts the portal's application into the program, where it is built: `make portal` does that, and has this run again.

use std::{env, fmt::Write, fs, path::Path};

/// Where Angular leaves it.
const DIST: &str = "portal/dist/browser";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let dist = Path::new(&root).join(DIST);
    let mut files = Vec::new();
    if dist.is_dir() {
        println!("cargo::rerun-if-changed={DIST}");
        collect(&dist, &dist, &mut files);
    }
    files.sort();
    let mut code = String::from("&[\n");
    for name in files {
        let path = format!("/{DIST}/{name}");
        // Not by the path of this checkout: what is built may be kept, and used for another one.
        writeln!(code, "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?})).as_slice()),")
            .expect("a string takes all");
    }
    code.push_str("]\n");
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    fs::write(Path::new(&out).join("portal_files.rs"), code).expect("the list of files can be written");
}

/// The files of a directory and those below it, by their paths relative to the root.
fn collect(root: &Path, directory: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("the built application can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        files.push(path.strip_prefix(root).expect("it is below the root").to_string_lossy().replace('\\', "/"));
    }
}
