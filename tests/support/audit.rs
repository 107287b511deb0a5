//! What the API server's audit log says was done.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Every audit log names the tests and their planes so; what else is in there is Kubernetes' own.
const USER: &str = "kubernetes-admin";

/// An audit log from some moment on.
pub struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    /// That of the cluster that KUBECONFIG names, from now on. Only the testbed's clusters have one there.
    pub fn own() -> Self {
        let kubeconfig = std::env::var_os("KUBECONFIG").expect("KUBECONFIG names a cluster: see `testbed env`");
        Self::at(Path::new(&kubeconfig).with_file_name("audit.log"))
    }

    /// One in a file, from now on.
    pub fn at(path: PathBuf) -> Self {
        let from = fs::metadata(&path)
            .unwrap_or_else(|e| panic!("{}: {e}: what was written is seen on the testbed only", path.display()))
            .len();
        Self { path, from }
    }

    /// What was to be changed since then, in this namespace or in none, as `verb resource/name`.
    pub fn writes(&self, namespace: &str) -> Vec<String> {
        let mut file = fs::File::open(&self.path).unwrap();
        assert!(file.metadata().unwrap().len() >= self.from, "{} was begun anew", self.path.display());
        file.seek(SeekFrom::Start(self.from)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let requests = String::from_utf8_lossy(&bytes);
        let requests = requests.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let shown = requests.filter_map(|request| {
            let of = &request["objectRef"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let is_write = !["get", "list", "watch"].iter().any(|verb| request["verb"] == *verb);
            let is_here = of["namespace"] == namespace || of["namespace"].is_null();
            (is_write && is_here && request["user"]["username"] == USER)
                .then(|| format!("{} {}/{}", text(&request["verb"]), text(&of["resource"]), text(&of["name"])))
        });
        shown.collect()
    }
}
