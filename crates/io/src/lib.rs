//! Owns array files; reads by memory map, writes atomically.
