//! A real registry with a real image in it: crane's, and buildah's. Tests and benches include this file.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running registry. It is ended when it is dropped.
pub struct Registry {
    process: Child,
    /// Its host and port.
    pub host: String,
}

impl Registry {
    /// Starts one; what it stores goes with it.
    pub fn start() -> Self {
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let process = Command::new(crane())
            .args(["registry", "serve", "--address", &host])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("crane is needed: {error}"));
        let began = Instant::now();
        while TcpStream::connect(&host).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "crane's registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, host }
    }

    /// Builds a small image in `folder` and pushes it under each of these names.
    pub fn fill(&self, folder: &Path, names: &[&str]) {
        std::fs::write(folder.join("app"), "#!/bin/sh\n").unwrap();
        let recipe = "FROM scratch\nCOPY app /app\nEXPOSE 8080\nUSER 1000\nCMD [\"/app\"]\n";
        std::fs::write(folder.join("Dockerfile"), recipe).unwrap();
        let root = folder.join("storage");
        let storage = ["--storage-driver", "vfs", "--root", root.to_str().unwrap()];
        let buildah = |arguments: &[&str]| {
            let output = Command::new("buildah").args(storage).args(arguments).current_dir(folder).output();
            let output = output.unwrap_or_else(|error| panic!("buildah is needed: {error}"));
            assert!(output.status.success(), "buildah {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        buildah(&["bud", "--isolation", "chroot", "--tag", "image", "."]);
        for name in names {
            buildah(&["push", "--tls-verify=false", "image", &format!("docker://{}/{name}", self.host)]);
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn crane() -> PathBuf {
    let cached = std::env::home_dir().unwrap_or_default().join(".cache/orbit-plane/bin/crane");
    if cached.exists() { cached } else { "crane".into() }
}
