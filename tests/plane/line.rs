//! A line between a plane and a server that can be cut, or fall silent, without harm to others who use the server.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What a line does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Cut,
    Silent,
}

/// A line to a server. Whoever is to depend on it is given [`Line::address`] in place of the server's.
pub struct Line {
    pub address: SocketAddr,
    state: watch::Sender<State>,
}

impl Line {
    /// An open line.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = watch::Sender::new(State::Open);
        let states = state.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, states.clone()));
            }
        });
        Self { address, state }
    }

    /// Connections break, and new ones end at once: the server is down.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Connections are made, and nothing ever comes back: the server hangs.
    pub fn silence(&self) {
        self.state.send_replace(State::Silent);
    }

    /// The server is back.
    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }
}

/// Carries one connection for as long as the line is open. What was on its way when that ended is lost.
async fn carry(mut client: TcpStream, server: SocketAddr, mut states: watch::Receiver<State>) {
    let Ok(state) = states.wait_for(|state| *state != State::Silent).await.map(|state| *state) else { return };
    if state == State::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let end = tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        end = states.wait_for(|state| *state != State::Open) => end.map(|state| *state),
    };
    if end.is_ok_and(|state| state == State::Silent) {
        // The client hears nothing, not even that this connection is of no use any more.
        let _ = states.wait_for(|state| *state != State::Silent).await;
    }
}
