//! What a plane does that has nothing to do.

use std::{
    fmt, fs,
    time::{Duration, Instant},
};

use crate::{audit::Log, crowd::Crowd};

/// A plane whose counters stand still for this long has settled.
const QUIET: Duration = Duration::from_secs(3);
/// What Linux counts a process' time in, per second (proc_pid_stat(5), on every architecture that it runs on here).
const TICKS: f64 = 100.0;

/// What was seen.
pub struct Rest {
    length: Duration,
    /// Seconds of a processor.
    busy: f64,
    /// MiB in memory.
    resident: u64,
    leases: usize,
    /// Every other request that changes something, in any cluster, and every journal that went on.
    pub writes: Vec<String>,
}

impl Rest {
    /// The share of a processor that it took.
    pub fn share(&self) -> f64 {
        self.busy / self.length.as_secs_f64()
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, busy, resident, leases, writes } = self;
        let (length, other) = (length.as_secs_f64(), writes.len());
        let share = 100.0 * self.share();
        write!(f, "at rest for {length:.0} s: {busy:.2} s of a processor ({share:.1} %), {resident} MiB, ")?;
        write!(f, "{leases} writes of Leases, {other} others")
    }
}

/// Waits until the plane has settled, and observes it for so long.
pub async fn observe(crowd: &Crowd, length: Duration) -> Rest {
    settle(crowd).await;
    let mut logs = vec![Log::own()];
    for member in &crowd.alive {
        logs.push(Log::at(member.file("audit.log").await));
    }
    let journals = crowd.plane.chart_store().await;
    let ends = journals.all_heads().await.unwrap();
    let process = crowd.controller.id();
    let (began, busy) = (Instant::now(), busy(process));
    // It is the passing of time that is observed.
    tokio::time::sleep(length).await;
    let busy = self::busy(process) - busy;
    let length = began.elapsed();
    let writes = logs.iter().flat_map(|log| log.writes(&crowd.plane.namespace));
    let (leases, mut writes): (Vec<_>, Vec<_>) = writes.partition(|write| write.contains(" leases/"));
    let went_on = journals.all_heads().await.unwrap().into_iter().filter(|head| !ends.contains(head));
    writes.extend(went_on.map(|head| format!("append {}", head.key)));
    Rest { length, busy, resident: resident(process), leases: leases.len(), writes }
}

async fn settle(crowd: &Crowd) {
    let counted = async || {
        let mut writes = crowd.plane.writes().await;
        writes.remove("lease");
        writes
    };
    let mut last = (counted().await, Instant::now());
    let settled = async {
        while last.1.elapsed() < QUIET {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = counted().await;
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
    };
    tokio::time::timeout(crowd.plane.patience, settled).await.expect("the plane settles");
}

/// How long a process has kept processors busy so far, in seconds.
fn busy(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name in parentheses may hold anything; utime and stime are the 14th and 15th of all.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}
