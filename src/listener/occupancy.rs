//! How many connections each address has.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::guesses::network;

/// Connections, by where they come from.
#[derive(Debug, Clone, Default)]
pub struct Occupancy(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection, until it is dropped.
#[derive(Debug)]
pub struct Occupied {
    of: IpAddr,
    all: Occupancy,
}

impl Occupancy {
    /// One more connection of an address, unless it has as many as that already.
    pub fn take(&self, address: IpAddr, most: usize) -> Option<Occupied> {
        let of = network(address);
        let mut connections = self.lock();
        let count = connections.entry(of).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Occupied { of, all: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let mut connections = self.all.lock();
        if let Some(count) = connections.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_no_more() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let occupancy = Occupancy::default();
        let first = occupancy.take(address("2001:db8::1"), 2).unwrap();
        let second = occupancy.take(address("2001:db8::2"), 2).unwrap();
        assert!(occupancy.take(address("2001:db8::3"), 2).is_none(), "all of them are one household's");
        assert!(occupancy.take(address("192.0.2.7"), 2).is_some());
        drop(first);
        assert!(occupancy.take(address("2001:db8::3"), 2).is_some());
        drop(second);
        assert!(occupancy.lock().is_empty());
    }
}
