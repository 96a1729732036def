//! PostgreSQL: the throwaway cluster.

pub mod cluster;
