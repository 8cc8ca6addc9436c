//! What an act changes, as whole facts: the state of a thing after the act, never a patch.
//! Knows nothing of tables.
