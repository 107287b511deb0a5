//! The charts the Manifestor makes, judged by Helm itself and by a real API server.
//!
//! Helm is looked for in `ORBIT_HELM`, then in the testbed's cache, then on the PATH. The admission tests take the API
//! server from `KUBECONFIG` (`testbed up` prints one) and fail without it.

mod admission;
mod helm;
mod lint;
mod packaging;
mod samples;
mod traps;
mod users;
