//! The controller's process: started, killed, ended, and listened to.

use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

/// How long a controller may take to say something: generous on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running controller. It is killed when it is dropped; when the test fails, what it said last is printed.
pub struct Controller {
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
    lines: watch::Receiver<usize>,
}

/// How a controller came to its end.
#[derive(Debug)]
pub struct Death {
    pub status: ExitStatus,
    /// The write that it died after, where a failpoint ended it.
    pub failpoint: Option<String>,
}

impl Controller {
    pub(super) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (bell, lines) = watch::channel(0);
        let bell = Arc::new(bell);
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        listen(stdout.expect("it is piped"), Arc::clone(&said), Arc::clone(&bell));
        listen(stderr.expect("it is piped"), Arc::clone(&said), bell);
        Self { process, said, lines }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    /// The first line that contains this text, as soon as it is said.
    pub async fn says(&self, text: &str) -> String {
        let mut lines = self.lines.clone();
        let said = async {
            loop {
                if let Some(line) = self.said.lock().unwrap().iter().find(|line| line.contains(text)) {
                    return line.clone();
                }
                lines.changed().await.expect("the controller says it before its end");
            }
        };
        tokio::time::timeout(PATIENCE, said).await.unwrap_or_else(|_| panic!("the controller never said {text:?}"))
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// SIGTERM, and its end, which has to be a good one.
    pub async fn stop(mut self) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success());
        let status = tokio::time::timeout(PATIENCE, self.process.wait()).await.expect("it ends when asked to").unwrap();
        assert!(status.success(), "{status}");
    }

    /// Its end, by whatever cause.
    pub async fn died(&mut self) -> Death {
        let status = self.process.wait().await.unwrap();
        // The last words may still be on their way through the pipe, which ends with the process.
        while self.lines.changed().await.is_ok() {}
        let said = self.said.lock().unwrap();
        let failpoint = said.iter().rev().find_map(|line| line.strip_prefix("failpoint: dying after write "));
        Death { status, failpoint: failpoint.map(str::to_owned) }
    }

    /// All that it said so far.
    pub fn log(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said.lock().unwrap();
            let last = said.iter().skip(said.len().saturating_sub(60));
            eprintln!("--- what the controller said last\n{}\n---", last.cloned().collect::<Vec<_>>().join("\n"));
        }
    }
}

fn listen(from: impl AsyncRead + Unpin + Send + 'static, to: Arc<Mutex<Vec<String>>>, bell: Arc<watch::Sender<usize>>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            to.lock().unwrap().push(line);
            bell.send_modify(|count| *count += 1);
        }
    });
}
