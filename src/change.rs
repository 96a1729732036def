//! Values: a change, a row, a table, a position in the log. No input, no output.
//!
//! Read in this order: [`table`] (what a watched table looks like), [`row`] (an image of a row as
//! raw JSON text), [`event`] (one committed row change), [`ids`], [`snapshot`] and [`position`]
//! (where in the log a reader stands), [`cursor`] (a position as the text that a client keeps).

pub mod cursor;
pub mod event;
pub mod ids;
pub mod position;
pub mod row;
pub mod snapshot;
pub mod table;

pub use cursor::{BadCursor, Cursor};
pub use event::{Change, Operation};
pub use ids::Ids;
pub use position::{Position, Tick};
pub use row::Row;
pub use snapshot::Snapshot;
pub use table::{Collation, Column, Folding, Table, TableName};
