//! Purposes, records, permits.
