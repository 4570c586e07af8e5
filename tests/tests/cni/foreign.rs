//! Devices and programs of others.
