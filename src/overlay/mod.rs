//! Overlays (C28): which release an environment runs, and its manifests there.
