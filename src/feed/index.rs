//! The routing index: which topics a change may concern.
//!
//! An equality that a filter or a grant demands is looked up by (column, value), so a change
//! costs what it matches and not what is subscribed.

use std::{collections::HashMap, sync::Arc};

use super::{Topic, filter::canonical, judge::Images};
use crate::change::Table;

/// Topics by the canonical text of a value.
type ByValue = HashMap<Box<str>, Vec<Arc<Topic>>>;

/// The topics of one table.
#[derive(Debug, Default)]
pub struct TableTopics {
    /// Topics without an equality to look up: every change may concern them.
    others: Vec<Arc<Topic>>,
    /// Topics by a value that the row must have, for each column in use.
    by_value: HashMap<usize, ByValue>,
}

impl TableTopics {
    /// Adds a topic.
    pub fn add(&mut self, topic: &Arc<Topic>) {
        match topic.spec.equality() {
            None => self.others.push(Arc::clone(topic)),
            Some((column, values)) => {
                let lists = self.by_value.entry(column).or_default();
                for value in values {
                    lists.entry(value.into()).or_default().push(Arc::clone(topic));
                }
            }
        }
    }

    /// Removes a topic.
    pub fn remove(&mut self, topic: &Topic) {
        let Some((column, values)) = topic.spec.equality() else {
            self.others.retain(|it| it.id != topic.id);
            return;
        };
        let Some(lists) = self.by_value.get_mut(&column) else { return };
        for value in values {
            if let Some(list) = lists.get_mut(&*value) {
                list.retain(|it| it.id != topic.id);
                if list.is_empty() {
                    lists.remove(&*value);
                }
            }
        }
        if lists.is_empty() {
            self.by_value.remove(&column);
        }
    }

    /// Whether no topic is left.
    pub fn is_empty(&self) -> bool {
        self.others.is_empty() && self.by_value.is_empty()
    }

    /// All topics, each once.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        let lists = self.by_value.values().flat_map(HashMap::values).flatten();
        distinct(self.others.iter().chain(lists).cloned().collect())
    }

    /// The topics that a change with these images may concern, each once. A TRUNCATE has no
    /// image and concerns all.
    pub fn candidates(
        &self,
        table: &Table,
        images: &Images<'_>,
        is_blind: bool,
    ) -> Vec<Arc<Topic>> {
        if is_blind {
            return self.all();
        }
        let mut found = self.others.clone();
        let mut lists = 0;
        for (place, values) in &self.by_value {
            // Topics of another definition of the table end, and may have columns that it lacks.
            let Some(column) = table.columns.get(*place) else { continue };
            for image in [&images.new, &images.old].into_iter().flatten() {
                let Some(raw) = image.value(*place) else { continue };
                if let Some(list) = canonical(column, raw).and_then(|key| values.get(&*key)) {
                    found.extend(list.iter().cloned());
                    lists += 1;
                }
            }
        }
        if lists > 1 { distinct(found) } else { found }
    }
}

fn distinct(mut topics: Vec<Arc<Topic>>) -> Vec<Arc<Topic>> {
    topics.sort_unstable_by_key(|topic| topic.id);
    topics.dedup_by_key(|topic| topic.id);
    topics
}
