//! Slows down who guesses, by address.
//!
//! Each address has some guesses, and gets a new one every few seconds. Several clients may share an address, behind a
//! proxy or a port-forward: whoever was known a moment ago is not asked about guesses at all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Wrong credentials in a row that cost nothing.
const FREE: u32 = 10;
/// In which time one of them is forgotten.
const FORGIVEN_IN: Duration = Duration::from_secs(3);
/// Addresses that are remembered at most.
const MAX_ADDRESSES: usize = 4096;

/// Wrong credentials, by where they came from.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<HashMap<IpAddr, Instant>>);

impl Guesses {
    /// How long an address has to wait before its credentials are looked at; none if it need not.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let paid_off = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&network(address))?;
        // Each guess moves the moment at which all are forgotten further away.
        let debt = paid_off.saturating_duration_since(now);
        debt.checked_sub(FORGIVEN_IN * (FREE - 1)).filter(|wait| !wait.is_zero())
    }

    /// Notes wrong credentials.
    pub fn note(&self, address: IpAddr, now: Instant) {
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= MAX_ADDRESSES {
            addresses.retain(|_, paid_off| *paid_off > now);
        }
        if addresses.len() >= MAX_ADDRESSES
            && let Some(least) = addresses.iter().min_by_key(|(_, paid_off)| **paid_off).map(|(address, _)| *address)
        {
            addresses.remove(&least);
        }
        let paid_off = addresses.entry(network(address)).or_insert(now);
        *paid_off = (*paid_off).max(now) + FORGIVEN_IN;
        // Nobody is locked out for longer than all free guesses take.
        *paid_off = (*paid_off).min(now + FORGIVEN_IN * FREE);
    }
}

/// The address, or of IPv6 the network that one household or host has all of.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_becomes_slow_and_only_there() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        let (here, elsewhere) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..FREE {
            assert_eq!(guesses.wait(here, start), None);
            guesses.note(here, start);
        }
        assert_eq!(guesses.wait(here, start), Some(FORGIVEN_IN));
        assert_eq!(guesses.wait(elsewhere, start), None);
        assert_eq!(guesses.wait(here, start + FORGIVEN_IN), None);
        guesses.note(here, start + FORGIVEN_IN);
        assert_eq!(guesses.wait(here, start + FORGIVEN_IN), Some(FORGIVEN_IN));
    }

    #[test]
    fn nobody_is_locked_out_for_long() {
        let (guesses, start) = (Guesses::default(), Instant::now());
        let here = "192.0.2.1".parse().unwrap();
        for _ in 0..1000 {
            guesses.note(here, start);
        }
        assert_eq!(guesses.wait(here, start), Some(FORGIVEN_IN));
    }

    #[test]
    fn a_network_counts_as_one() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for host in 0..u16::try_from(FREE).unwrap() {
            guesses.note(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into(), now);
        }
        assert!(guesses.wait("2001:db8:0:1::ffff".parse().unwrap(), now).is_some());
        assert!(guesses.wait("2001:db8:0:2::1".parse().unwrap(), now).is_none());
    }
}
