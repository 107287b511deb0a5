//! What an administrator applies: the plane's own Helm chart, and the samples. Judged by Helm and by the API server that
//! KUBECONFIG names (`testbed up` starts one).

mod chart;
#[path = "../support/cluster.rs"]
mod cluster;
mod gitops;
mod helm;
mod objects;
#[path = "../support/plane.rs"]
mod plane;
mod rbac;
#[path = "../support/registry.rs"]
mod registry;
mod samples;
#[path = "../support/gitops.rs"]
mod tools;
