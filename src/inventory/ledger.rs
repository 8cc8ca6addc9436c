//! The ledger: the append-only, hash-chained record of every act.
//! Knows nothing of where it is kept.
