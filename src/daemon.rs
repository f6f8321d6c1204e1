//! Starts, supervises and stops the loops.
