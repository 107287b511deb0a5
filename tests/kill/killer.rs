//! Starts the controller and ends it, over and over.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::plane::Plane;

/// The longest life: ends those in which the chosen write never comes, because there is nothing to do.
const LONGEST_LIFE: Duration = Duration::from_secs(8);
/// Lives that end at random end within this.
const RANDOM_LIFE: Duration = Duration::from_millis(2500);
/// A life that ends by a write as one of the two before is a repetition. After the second the next life is given twice
/// as many writes, and so on, so often at most, until one ends by another kind. Bytes count only once something names
/// them (a session its pieces, a pointer its data), and what is applied to a cluster is applied again by the next life:
/// dying after the first of them, nothing would ever arrive.
const MOST_DOUBLINGS: u32 = 6;

/// When lives end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// After the first write that is not a repetition.
    EveryWrite,
    /// After two, three, … writes, at random moments, and after writes of the kinds that no life has ended by so far:
    /// those that only ever follow others, and seldom come in turn.
    Mixed,
}

/// How lives ended.
#[derive(Debug, Clone, Default)]
pub struct Deaths {
    /// By SIGKILL, at random or because nothing was left to do.
    pub killed: u32,
    /// After a write, by its kind.
    pub after: BTreeMap<String, u32>,
}

impl Deaths {
    /// All of them.
    pub fn count(&self) -> u32 {
        self.killed + self.after.values().sum::<u32>()
    }

    /// Takes these in too.
    pub fn add(&mut self, other: Self) {
        self.killed += other.killed;
        for (what, count) in other.after {
            *self.after.entry(what).or_default() += count;
        }
    }
}

impl fmt::Display for Deaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} deaths: {} by SIGKILL", self.count(), self.killed)?;
        self.after.iter().try_for_each(|(what, count)| write!(f, ", {count} after {what}"))
    }
}

/// Ends controllers until it is ended itself.
pub struct Killer {
    enough: Arc<AtomicBool>,
    deaths: Arc<AtomicU32>,
    work: JoinHandle<Deaths>,
}

impl Killer {
    /// Starts and ends controllers of `plane` from now on.
    pub fn start(plane: Arc<Plane>, ways: Ways, seed: u64) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU32::new(0));
        let (until, counted) = (Arc::clone(&enough), Arc::clone(&count));
        let work = tokio::spawn(async move {
            let mut deaths = Deaths::default();
            let mut choice = Choice::new(ways, seed);
            while !until.load(Ordering::SeqCst) {
                let end = choice.next();
                let born = Instant::now();
                let last = live(&plane, &end).await;
                let what = last.as_ref().map_or("SIGKILL", |last| &last.what);
                println!("life {} ({end:?}) ended by {what} at {:.1} s", choice.life, born.elapsed().as_secs_f32());
                match &last {
                    Some(last) => *deaths.after.entry(last.what.clone()).or_default() += 1,
                    None => deaths.killed += 1,
                }
                choice.learn(last);
                counted.store(deaths.count(), Ordering::SeqCst);
            }
            deaths
        });
        Self { enough, deaths: count, work }
    }

    /// How many deaths there were so far.
    pub fn deaths(&self) -> u32 {
        self.deaths.load(Ordering::SeqCst)
    }

    /// Lets the present life end as it was to, and starts no other.
    pub async fn end(self) -> Deaths {
        self.enough.store(true, Ordering::SeqCst);
        self.work.await.unwrap()
    }
}

/// How a life is to end.
#[derive(Debug, Clone)]
enum End {
    AfterWrites(u64),
    AfterWriteOf(String),
    After(Duration),
}

/// The last write of a life that ended by one.
struct LastWrite {
    /// Its kind.
    what: String,
    /// The kinds of all that the life wrote.
    made: Vec<String>,
}

struct Choice {
    ways: Ways,
    random: fastrand::Rng,
    life: u64,
    /// What the last two lives ended by.
    last: [Option<String>; 2],
    repetitions: u32,
    /// Kinds that were written, and those that lives ended by.
    made: BTreeSet<String>,
    visited: BTreeSet<String>,
}

impl Choice {
    fn new(ways: Ways, seed: u64) -> Self {
        Self {
            ways,
            random: fastrand::Rng::with_seed(seed),
            life: 0,
            last: [None, None],
            repetitions: 0,
            made: BTreeSet::new(),
            visited: BTreeSet::new(),
        }
    }

    fn next(&mut self) -> End {
        self.life += 1;
        let passed_by: Vec<_> = self.made.difference(&self.visited).collect();
        match self.ways {
            Ways::EveryWrite => End::AfterWrites(1 << self.repetitions.saturating_sub(1).min(MOST_DOUBLINGS)),
            Ways::Mixed if self.life.is_multiple_of(4) && !passed_by.is_empty() => {
                End::AfterWriteOf(passed_by[self.random.usize(..passed_by.len())].clone())
            }
            Ways::Mixed if self.life.is_multiple_of(2) => End::AfterWrites(2 + self.life / 2 % 12),
            Ways::Mixed => End::After(RANDOM_LIFE.mul_f64(self.random.f64())),
        }
    }

    fn learn(&mut self, last: Option<LastWrite>) {
        let (what, made) = last.map(|last| (last.what, last.made)).unzip();
        self.repetitions = if self.last.contains(&what) { self.repetitions + 1 } else { 0 };
        self.made.extend(made.into_iter().flatten());
        self.visited.extend(what.clone());
        self.last.swap(0, 1);
        self.last[1] = what;
    }
}

/// One life. Its last write, where it died of one.
async fn live(plane: &Plane, end: &End) -> Option<LastWrite> {
    let (environment, longest) = match end {
        End::AfterWrites(count) => (vec![("ORBIT_DIE_AFTER_WRITES", count.to_string())], LONGEST_LIFE),
        End::AfterWriteOf(kind) => (vec![("ORBIT_DIE_AFTER_WRITE_OF", kind.clone())], LONGEST_LIFE),
        End::After(moment) => (Vec::new(), *moment),
    };
    let mut controller = plane.spawn(&environment);
    let Ok(death) = tokio::time::timeout(longest, controller.died()).await else {
        controller.kill().await;
        return None;
    };
    let last = death.failpoint.as_deref().and_then(last_write);
    if last.is_none() {
        panic!("the controller ended by itself: {}\n{}", death.status, controller.log().join("\n"));
    }
    last
}

/// What a failpoint says: `3 (journal), having made: blob, journal`.
fn last_write(said: &str) -> Option<LastWrite> {
    let (_, rest) = said.split_once('(')?;
    let (what, made) = rest.split_once("), having made: ")?;
    Some(LastWrite { what: what.to_owned(), made: made.split(", ").map(str::to_owned).collect() })
}
