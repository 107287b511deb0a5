//! MySQL goes away and comes back.

use std::{net::SocketAddr, time::Duration};

use orbit_plane::viewport::{PageRequest, Status, ViewportError};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Under, mysql_database, story::*};

/// What the line to a server can be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// As it should be.
    Up,
    /// Connections end, and new ones with them.
    Cut,
    /// Connections stay, and nothing gets through.
    Hanging,
}

/// A line to a server that can be cut.
async fn proxy(to: SocketAddr) -> (SocketAddr, watch::Sender<Line>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let line = watch::Sender::new(Line::Up);
    let of_line = line.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut line = of_line.subscribe();
            tokio::spawn(async move {
                let forward = async {
                    if let Ok(mut server) = TcpStream::connect(to).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                };
                if *line.borrow() == Line::Up {
                    tokio::select! {
                        () = forward => {}
                        _ = line.wait_for(|line| *line != Line::Up) => {}
                    }
                }
                // Held open, unread and unanswered, for as long as the line hangs.
                let _ = line.wait_for(|line| *line != Line::Hanging).await;
            });
        }
    });
    (address, line)
}

/// A Viewport in MySQL, at the far end of a line.
async fn far_away() -> (Under, watch::Sender<Line>) {
    let mut url: url::Url = mysql_database().await.parse().unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let (address, line) = proxy(host.parse().unwrap()).await;
    url.set_port(Some(address.port())).unwrap();
    (Under::with(Some(url.to_string())).await, line)
}

async fn until(status: &mut watch::Receiver<Status>, condition: impl FnMut(&Status) -> bool) {
    timeout(Duration::from_secs(60), status.wait_for(condition)).await.expect("it never came to that").unwrap();
}

fn up_to_date(status: &Status) -> bool {
    status.events_behind == Some(0) && status.problem.is_none()
}

async fn releases_go_on_while_it_is(bad: Line) {
    let (under, line) = far_away().await;
    let projector = under.projector();
    let mut status = projector.status();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(projector.run(shutdown.clone()));
    under.record(&web(), released("1.0.0", "a")).await;
    until(&mut status, |status| up_to_date(status) && status.journals == 1).await;

    line.send_replace(bad);
    let began = Instant::now();
    under.record(&web(), released("2.0.0", "b")).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "recording waited for the Viewport: {took:?}");
    let request = PageRequest::default();
    let asked = under.viewport.uploads("shop", None, &request);
    let error = timeout(Duration::from_secs(30), asked).await.expect("a question waits for ever").unwrap_err();
    assert!(matches!(error, ViewportError::Unavailable { .. }), "{error}");
    until(&mut status, |status| status.problem.is_some()).await;

    line.send_replace(Line::Up);
    until(&mut status, up_to_date).await;
    under.assert_faithful().await;
    let events = under.store.events(&web(), 0, 100).await.unwrap().len();
    let lifecycle = under.viewport.lifecycle(&web(), None, &PageRequest::default()).await.unwrap().unwrap();
    assert_eq!(lifecycle.events.items.len(), events);

    shutdown.cancel();
    timeout(Duration::from_secs(5), running).await.expect("it does not end").unwrap();
}

#[tokio::test]
async fn releases_go_on_while_mysql_is_down() {
    releases_go_on_while_it_is(Line::Cut).await;
}

#[tokio::test]
async fn releases_go_on_while_mysql_hangs() {
    releases_go_on_while_it_is(Line::Hanging).await;
}

#[tokio::test]
async fn a_plane_starts_without_its_viewport() {
    let (under, line) = far_away().await;
    line.send_replace(Line::Cut);
    let projector = under.projector();
    let mut status = projector.status();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(projector.run(shutdown.clone()));
    under.record(&web(), released("1.0.0", "a")).await;
    until(&mut status, |status| status.problem.is_some()).await;
    assert_eq!(status.borrow().events_behind, None);
    line.send_replace(Line::Up);
    until(&mut status, |status| up_to_date(status) && status.journals == 1).await;
    under.assert_faithful().await;
    shutdown.cancel();
    timeout(Duration::from_secs(5), running).await.expect("it does not end").unwrap();
}

#[tokio::test]
async fn migrations_that_somebody_died_in_are_gone_on_with() {
    let under = super::mysql().await;
    under.viewport.ping().await.unwrap();
    // As after a death between a table and the note that it is made, and before the next one.
    under
        .tamper(&[
            "UPDATE _sqlx_migrations SET success = FALSE WHERE version = 22",
            "DELETE FROM _sqlx_migrations WHERE version = 23",
            "DROP TABLE requests",
        ])
        .await;
    under.record(&web(), everything()).await;
    let another = under.another();
    another.ping().await.unwrap();
    under.catch_up().await;
    under.assert_faithful().await;
}

/// The first use is dropped at ever later moments: whatever lock it held then goes with its connection.
#[tokio::test]
async fn a_first_use_that_is_given_up_keeps_no_lock() {
    let under = super::mysql().await;
    let (mut given_up, mut micros) = (0, 500);
    while timeout(Duration::from_micros(micros), under.another().ping()).await.is_err() {
        given_up += 1;
        micros += micros / 3;
    }
    assert!(given_up > 0);
    let began = Instant::now();
    under.another().ping().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "it had to wait for a lock: {:?}", began.elapsed());
}
