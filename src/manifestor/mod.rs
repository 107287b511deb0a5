//! Manifestor (C12): turns a stored release into a Helm chart.
