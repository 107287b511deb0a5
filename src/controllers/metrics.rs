//! What `/metrics` says. No label holds anything a user can choose.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use tokio::sync::watch;

use crate::{failpoint, overlay::renderer::Renderer, viewport};

/// How a reconciliation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelValue)]
pub enum Outcome {
    /// The object is as asked.
    Ready,
    /// It waits for something that will come.
    Waiting,
    /// It waits for somebody to change something.
    Stalled,
    /// It is tried again.
    Retry,
    /// It is gone, and the journal knows.
    Deleted,
    /// It cannot be read as its kind.
    Undecodable,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    kind: &'static str,
    outcome: Outcome,
}

/// The controllers' own figures.
#[derive(Debug, Clone)]
pub struct Metrics {
    reconciliations: Family<OfOutcome, Counter>,
    seconds: Family<OfKind, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        // From 1 ms to half an hour: an ingest takes as long as its image is large.
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 11));
        Self { reconciliations: Family::default(), seconds: Family::new_with_constructor(histogram) }
    }
}

impl Metrics {
    /// A reconciliation ended.
    pub fn reconciled(&self, kind: &'static str, outcome: Outcome, took: Duration) {
        self.reconciliations.get_or_create(&OfOutcome { kind, outcome }).inc();
        self.seconds.get_or_create(&OfKind { kind }).observe(took.as_secs_f64());
    }

    /// Everything there is to be scraped.
    pub fn registry(&self, renderer: Arc<Renderer>, viewport: watch::Receiver<viewport::Status>) -> Registry {
        let mut registry = Registry::with_prefix("orbit");
        registry.register("reconciliations", "Reconciliations by kind and outcome", self.reconciliations.clone());
        registry.register("reconciliation_seconds", "How long reconciliations take", self.seconds.clone());
        registry.register_collector(Box::new(Elsewhere { renderer, viewport }));
        registry
    }
}

/// What is counted where it happens.
#[derive(Debug)]
struct Elsewhere {
    renderer: Arc<Renderer>,
    viewport: watch::Receiver<viewport::Status>,
}

impl Collector for Elsewhere {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let renderings = ConstCounter::new(self.renderer.renderings());
        let metric = encoder.encode_descriptor("renderings", "Overlays rendered", None, MetricType::Counter)?;
        renderings.encode(metric)?;
        let help = "Writes to stores and the API server that became durable";
        let mut family = encoder.encode_descriptor("external_writes", help, None, MetricType::Counter)?;
        for (what, count) in failpoint::writes() {
            ConstCounter::new(count).encode(family.encode_family(&[("what", what)])?)?;
        }
        // Nothing is said before anything is known.
        let behind = self.viewport.borrow().events_behind.and_then(|events| i64::try_from(events).ok());
        if let Some(behind) = behind {
            let help = "Events of the journals that are not in the Viewport yet";
            let metric = encoder.encode_descriptor("viewport_events_behind", help, None, MetricType::Gauge)?;
            ConstGauge::new(behind).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_scraped() {
        let metrics = Metrics::default();
        metrics.reconciled("ImageUpload", Outcome::Ready, Duration::from_millis(3));
        failpoint::after_write("a test");
        let renderer = Arc::new(Renderer::new("none".into(), 1, Duration::from_secs(1)));
        let status = viewport::Status { events_behind: Some(7), ..Default::default() };
        let (_projector, status) = watch::channel(status);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.registry(renderer, status)).unwrap();
        for line in [
            r#"orbit_reconciliations_total{kind="ImageUpload",outcome="Ready"} 1"#,
            r#"orbit_external_writes_total{what="a test"} 1"#,
            "orbit_renderings_total 0",
            "orbit_viewport_events_behind 7",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
