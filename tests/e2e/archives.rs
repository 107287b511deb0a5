//! Archives as nobody should send them: each is refused in words, nothing of it is remembered, nobody else is delayed.

use std::{io::Write, process::Stdio};

use orbit_plane::{
    api::{ImageUpload, annotation, reason},
    digest::Digest,
};
use serde_json::json;

use crate::{
    cluster::with_namespace,
    plane::{
        Plane, Stores,
        image::{Image, gzip, tar},
    },
};

/// Zeros, compressed: far more than their size lets expect.
fn bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..1100 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

fn bad_archives() -> Vec<(&'static str, Vec<u8>)> {
    let image = Image::of("good");
    let whole = image.archive();
    let mut corrupt = image.layer.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    let traversal = json!([{"Config": "config.json", "Layers": ["../../../../etc/passwd"]}]).to_string();
    vec![
        ("truncated", whole[..whole.len() / 2].to_vec()),
        ("empty", tar([])),
        ("nothing", b"\0".to_vec()),
        ("no-archive", b"this is no archive".repeat(100)),
        (
            "corrupt",
            image.archive_with(vec![
                (Digest::of(&image.layer), &corrupt),
                (Digest::of(&image.config), &image.config),
                (Digest::of(&image.manifest), &image.manifest),
            ]),
        ),
        ("missing-layer", image.archive_of(&[&image.config, &image.manifest])),
        ("lying", Image::of_parts(gzip(b"what it holds"), Digest::of("what it says it holds")).archive()),
        ("traversal", tar([("manifest.json", traversal.as_bytes()), ("config.json", &image.config)])),
    ]
}

#[tokio::test]
async fn bad_archives_are_refused_and_delay_nobody() {
    with_namespace(|client, namespace| async move {
        let plane = Plane::new(client, &namespace, Stores::Embedded, &[]).await;
        let _controller = plane.start().await;
        // A good one beside the worst of them.
        let bomb = plane.file("slow.tar", &Image::of_parts(bomb(), Digest::of("zeros")).archive());
        let bomb = ["upload", &bomb, "-a", "slow", "-V", "1.0.0", "-n", &namespace];
        let mut bomb = plane.orbit_command(&bomb).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let quick = plane.file("quick.tar", &Image::of("quick").archive());
        let quick = plane.orbit(&["upload", &quick, "-a", "quick", "-V", "1.0.0", "-n", &namespace]).await;
        assert!(quick.good, "{}", quick.text);
        assert!(!bomb.wait().await.unwrap().success());
        plane.until_stalled::<ImageUpload>("slow", reason::ARCHIVE_INVALID).await;
        for (name, archive) in bad_archives() {
            let file = plane.file(&format!("{name}.tar"), &archive);
            let outcome = plane.orbit(&["upload", &file, "-a", name, "-V", "1.0.0", "-n", &namespace]).await;
            assert!(!outcome.good, "{name}: {}", outcome.text);
            assert!(outcome.text.contains(reason::ARCHIVE_INVALID), "{name}: {}", outcome.text);
            let message = plane.until_stalled::<ImageUpload>(name, reason::ARCHIVE_INVALID).await;
            println!("{name}: {message}");
            assert!(outcome.text.contains(&message), "{name}: {message} / {}", outcome.text);
            plane.until_told_of(name, reason::ARCHIVE_INVALID).await;
            assert_eq!(plane.journal(name).await, [""; 0], "{name}");
        }
        // The good one among them, under a name that was refused before.
        let file = plane.file("good.tar", &Image::of("good").archive());
        let outcome = plane.orbit(&["upload", &file, "-a", "corrupt", "-V", "1.0.0", "-n", &namespace]).await;
        assert!(outcome.good, "{}", outcome.text);
        assert_eq!(plane.journal("corrupt").await, ["stored 1.0.0", "described 1.0.0 []", "charted 1.0.0"]);
        plane.verify().await;
    })
    .await;
}

#[tokio::test]
async fn other_bytes_than_announced_are_not_taken() {
    with_namespace(|client, namespace| async move {
        let plane = Plane::new(client, &namespace, Stores::Embedded, &[]).await;
        let _controller = plane.start().await;
        let archive = Image::of("good").archive();
        let (key, other) = ("a-key-of-this-test", vec![7; archive.len()]);
        let announced = json!({
            "application": "web",
            "version": "1.0.0",
            "images": [{"name": "main", "source": {"archive":
                {"sha256": Digest::of(&archive), "size": archive.len()}}}],
        });
        plane.apply::<ImageUpload>("web", announced).await;
        plane.until_reason::<ImageUpload>("web", reason::AWAITING_UPLOAD).await;
        let announce_key = json!({"metadata": {"annotations": {annotation::UPLOAD_KEY: Digest::of(key)}}});
        plane.patch::<ImageUpload>("web", announce_key).await;
        let upload = plane
            .until("web", "open", |upload: &ImageUpload| upload.status.as_ref().is_some_and(|s| s.upload.is_some()))
            .await;
        let url = upload.status.unwrap().upload.unwrap().url;
        let client = reqwest::Client::new();
        let send = async |bytes: &[u8], key: &str| {
            let patch = client.patch(&url).bearer_auth(key).header("content-range", format!("0-{}", bytes.len() - 1));
            let sent = patch.body(bytes.to_vec()).send().await.unwrap().status();
            let put = client.put(&url).bearer_auth(key).query(&[("digest", Digest::of(&archive).to_string())]);
            (sent.as_u16(), put.send().await.unwrap().status().as_u16())
        };
        assert_eq!(send(&archive, "another-key").await, (401, 401));
        assert_eq!(send(&other, key).await, (202, 400));
        assert_eq!(plane.journal("web").await, [""; 0]);
        assert_eq!(send(&archive, key).await, (202, 201));
        plane.until_ready::<ImageUpload>("web").await;
    })
    .await;
}
