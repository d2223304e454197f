//! kubectl keywright: look into and steer Keywright from a terminal.
