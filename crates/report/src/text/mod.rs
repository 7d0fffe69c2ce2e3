//! Reports for a terminal.
