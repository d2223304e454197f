//! Fake cluster, fixed clock, builders of test objects.
