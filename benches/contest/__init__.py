"""The sections of benches/figures, and what they share."""
