//! What a SIGKILL in the middle of a write leaves in the local layout.

use std::{path::Path, process::Stdio};

use bytes::Bytes;
use futures::{StreamExt, stream};
use orbit_plane::{
    digest::Digest,
    image_harbor::{ImageHarbor, LocalHarbor, read_to_vec, store_bytes},
};
use tokio::io::{AsyncBufReadExt, BufReader};

const NAME: &str = "image_harbor::killed_writer::what_a_killed_writer_leaves_is_cleared";
/// Set in the process that is to be killed: the directory it writes to.
const VICTIM: &str = "ORBIT_TEST_VICTIM_WRITES_TO";
const HALF_WRITTEN: &str = "half of it is written";
const CONTENT: &str = "never completed";

fn unnamed_files(root: &Path) -> usize {
    std::fs::read_dir(root.join("tmp")).unwrap().count()
}

/// Writes half a blob, says so, and waits for its end.
async fn victim(root: &str) {
    let harbor = LocalHarbor::open(root).await.unwrap();
    let half = stream::iter([Ok(Bytes::from_static(&CONTENT.as_bytes()[..7]))]);
    let rest = stream::once(async {
        println!("\n{HALF_WRITTEN}");
        std::future::pending().await
    });
    harbor.store(&Digest::of(CONTENT), None, half.chain(rest).boxed()).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_writer_leaves_is_cleared() {
    if let Ok(root) = std::env::var(VICTIM) {
        return victim(&root).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(VICTIM, directory.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    while said.next_line().await.unwrap().expect("the victim writes until it is killed") != HALF_WRITTEN {}

    let digest = Digest::of(CONTENT);
    let harbor = LocalHarbor::open(directory.path()).await.unwrap();
    assert_eq!(unnamed_files(directory.path()), 1, "a live writer of another process keeps its file");
    assert_eq!(harbor.stat(&digest).await.unwrap(), None);
    drop(harbor);

    child.kill().await.unwrap();
    assert_eq!(unnamed_files(directory.path()), 1);
    let harbor = LocalHarbor::open(directory.path()).await.unwrap();
    assert_eq!(unnamed_files(directory.path()), 0);
    assert_eq!(harbor.blobs(None, 10).await.unwrap(), []);
    store_bytes(&harbor, CONTENT).await.unwrap();
    assert_eq!(read_to_vec(&harbor, &digest, 100).await.unwrap(), CONTENT.as_bytes());
}
