//! The lab: private servers, the demo, the measurements and the proof, in a program of their own that is never installed beside
//! a payment database.
//!
//! What it shows and measures is the real daemon, a child process: the `makegood` that lies beside this program.

pub mod bench;
pub mod daemon;
pub mod demo;
pub mod mutants;
pub mod servers;
pub mod torture;
