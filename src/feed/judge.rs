//! What a change means for a topic's set of rows.

use super::{Columns, Image, Topic};
use crate::change::{Change, Operation};

/// What a change means for the set of rows that a subscription holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A row comes in.
    Enter(Columns),
    /// A row of the set has other values.
    Update {
        /// What is seen of the row before.
        before: Columns,
        /// What is seen of it now.
        now: Columns,
    },
    /// A row goes; after DELETE with what it was.
    Leave(Option<Columns>),
    /// A row of the set has another key: one goes, one comes.
    Move(Columns),
    /// All rows go.
    Clear,
    /// It cannot be said: the row was too large to be logged, or is of another definition of the
    /// table than the topic.
    Unknown,
}

/// The images of a change, read once for all topics.
#[derive(Debug)]
pub struct Images<'a> {
    /// The row after.
    pub new: Option<Image<'a>>,
    /// The row before.
    pub old: Option<Image<'a>>,
    /// Whether the key is another one.
    pub moves: bool,
}

impl<'a> Images<'a> {
    /// Reads a change's images.
    pub fn of(change: &'a Change) -> Self {
        let table = &change.table;
        let new = change.new.as_ref().map(|row| Image::of(table, row));
        let old = change.old.as_ref().map(|row| Image::of(table, row));
        let moves = match (&old, &new) {
            (Some(old), Some(new)) => table
                .key
                .iter()
                .filter_map(|name| table.column(name))
                .any(|place| old.value(place) != new.value(place)),
            _ => false,
        };
        Self { new, old, moves }
    }
}

/// What the change means for the topic; `None` where it means nothing.
///
/// Both images are judged as they stand in the change, never by looking the row up: the row may
/// have moved on, and a reader sees of a version what was theirs of that version.
pub fn judge(topic: &Topic, change: &Change, images: &Images<'_>) -> Option<Effect> {
    if !topic.spec.events.has(change.operation) {
        return None;
    }
    if change.operation == Operation::Truncate {
        return Some(Effect::Clear);
    }
    if change.table.shape != topic.spec.table.shape {
        // Places of columns are those of one definition, and by another one they would show what
        // is not granted.
        return Some(Effect::Unknown);
    }
    if change.is_oversize() {
        return Some(judge_key_alone(topic, change));
    }
    let before = images.old.as_ref().and_then(|image| topic.sees(image));
    let now = images.new.as_ref().and_then(|image| topic.sees(image));
    match (before, now) {
        (None, None) => None,
        (None, Some(now)) => Some(Effect::Enter(now)),
        (Some(before), None) if change.operation == Operation::Delete => {
            Some(Effect::Leave(Some(before)))
        }
        (Some(_), None) => Some(Effect::Leave(None)),
        (Some(_), Some(now)) if images.moves => Some(Effect::Move(now)),
        (Some(before), Some(now)) => {
            changes_what_is_seen(&before, &now, images).then_some(Effect::Update { before, now })
        }
    }
}

fn judge_key_alone(topic: &Topic, change: &Change) -> Effect {
    if topic.needs_image() {
        return Effect::Unknown;
    }
    let columns = topic.spec.grant.columns();
    match change.operation {
        Operation::Insert => Effect::Enter(columns),
        Operation::Delete => Effect::Leave(Some(columns)),
        // A former key is logged only where it was another one.
        _ if change.old.is_some() => Effect::Move(columns),
        _ => Effect::Update { before: columns.clone(), now: columns },
    }
}

fn changes_what_is_seen(before: &Columns, now: &Columns, images: &Images<'_>) -> bool {
    let (Some(old), Some(new)) = (&images.old, &images.new) else { return true };
    if before != now {
        return true;
    }
    before.places().any(|place| old.value(place) != new.value(place))
}
