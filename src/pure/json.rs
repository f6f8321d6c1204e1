//! One fast pass over a JSON text.
