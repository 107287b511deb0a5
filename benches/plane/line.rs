//! A line of so many bits a second, as there is between a plane and an S3 service, in front of a server on this machine.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

/// What goes over the line at once: on one of 1 Gbit/s some 2 ms.
const BURST: usize = 256 * 1024;

/// How late one wakes up at most.
const LATE: Duration = Duration::from_millis(10);

/// A line, until it is dropped.
pub struct Line {
    /// Its near end.
    pub address: SocketAddr,
    _forwarding: AbortOnDropHandle<()>,
}

impl Line {
    /// A line to a server. What the server sends is kept to the rate, over all connections together; what it is sent is not.
    pub async fn to(server: SocketAddr, bits_per_second: f64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("an address");
        let address = listener.local_addr().expect("an address");
        let pace = Arc::new(Pace { bytes_per_second: bits_per_second / 8.0, free: Mutex::new(Instant::now()) });
        let forwarding = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // One that breaks off is its client's to notice.
                tokio::spawn(forward(near, server, pace.clone()));
            }
        });
        Self { address, _forwarding: AbortOnDropHandle::new(forwarding) }
    }
}

async fn forward(near: TcpStream, server: SocketAddr, pace: Arc<Pace>) -> io::Result<()> {
    let far = TcpStream::connect(server).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.into_split(), far.into_split());
    let there = async {
        copy(&mut from_near, &mut to_far).await?;
        to_far.shutdown().await
    };
    let back = async {
        let mut bytes = vec![0; BURST];
        loop {
            match from_far.read(&mut bytes).await? {
                0 => return to_near.shutdown().await,
                read => {
                    pace.wait(read).await;
                    to_near.write_all(&bytes[..read]).await?;
                }
            }
        }
    };
    tokio::try_join!(there, back)?;
    Ok(())
}

struct Pace {
    bytes_per_second: f64,
    /// From when on the line is free.
    free: Mutex<Instant>,
}

impl Pace {
    /// Waits until so many bytes have gone over the line.
    async fn wait(&self, bytes: usize) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let gone = {
            let mut free = self.free.lock().expect("nobody panics with it");
            // Who wakes up late has not wasted the line.
            *free = (*free).max(Instant::now() - LATE) + takes;
            *free
        };
        tokio::time::sleep_until(gone.into()).await;
    }
}
