//! The HTTP API behind portal and command line.
