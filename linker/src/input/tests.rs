//! Tests of finding and splitting inputs.
