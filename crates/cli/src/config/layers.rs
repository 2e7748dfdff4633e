//! Settings as they were given, each with where it was given, before they have types.

use std::collections::BTreeMap;
use std::fmt;

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In the configuration file, at a line (from 1).
    File { path: String, line: usize },
    /// In the environment, by the variable of this name.
    Environment(String),
    /// On the command line, by this flag.
    Flag(&'static str),
    /// By `demo`, whose provider stands for every other.
    Demo,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Demo => f.write_str("demo"),
        }
    }
}

/// A value that has no parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// From the environment or the command line, where everything is text: its setting tells what it is.
    Untyped(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Untyped(text) => write!(f, "{text:?}"),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Boolean(boolean) => boolean.fmt(f),
        }
    }
}

/// A value or values, as given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Scalar(Scalar),
    List(Vec<Given>),
    Table(BTreeMap<String, Given>),
}

/// A node and where it was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    pub(super) node: Node,
    pub(super) origin: Origin,
}

/// A place among the settings that can't be written to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// Something on the way is a plain value.
    NotATable,
    /// A list has no such place yet; the next one free.
    Gap(usize),
}

impl Given {
    pub(super) fn empty() -> Self {
        Self { node: Node::Table(BTreeMap::new()), origin: Origin::Default }
    }

    /// Lays another tree over this one: tables are merged, everything else is replaced.
    pub(super) fn overlay(&mut self, upper: Self) {
        match (&mut self.node, upper.node) {
            (Node::Table(mine), Node::Table(theirs)) => {
                for (key, value) in theirs {
                    match mine.get_mut(&key) {
                        Some(below) => below.overlay(value),
                        None => drop(mine.insert(key, value)),
                    }
                }
            }
            (mine, theirs) => {
                *mine = theirs;
                self.origin = upper.origin;
            }
        }
    }

    /// Puts one untyped value at a path. A number on the path is a place in a list.
    pub(super) fn set(&mut self, path: &[&str], value: &str, origin: Origin) -> Result<(), Misplaced> {
        let [key, rest @ ..] = path else {
            self.node = Node::Scalar(Scalar::Untyped(value.to_owned()));
            self.origin = origin;
            return Ok(());
        };
        let child = || Self { node: Node::Table(BTreeMap::new()), origin: origin.clone() };
        let index = key.parse::<usize>().ok();
        if let (Some(_), Node::Table(table)) = (index, &self.node)
            && table.is_empty()
        {
            self.node = Node::List(Vec::new());
        }
        let below = match (&mut self.node, index) {
            (Node::Table(table), _) => table.entry((*key).to_owned()).or_insert_with(child),
            (Node::List(list), Some(index)) if index <= list.len() => {
                if index == list.len() {
                    list.push(child());
                }
                &mut list[index]
            }
            (Node::List(list), Some(_)) => return Err(Misplaced::Gap(list.len())),
            (Node::List(_) | Node::Scalar(_), _) => return Err(Misplaced::NotATable),
        };
        below.set(rest, value, origin)
    }

    /// Takes away what was given at a path; from a list, all of it, since what comes behind would change its place.
    /// `false` where nothing is there.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        match (path, &mut self.node) {
            ([key], Node::Table(table)) => table.remove(key).is_some(),
            ([key, rest @ ..], Node::Table(table)) => {
                table.get_mut(key).is_some_and(|below| below.remove(rest)) || table.remove(key).is_some()
            }
            ([place, rest @ ..], Node::List(list)) if !rest.is_empty() => {
                let below = place.parse().ok().and_then(|place: usize| list.get_mut(place));
                below.is_some_and(|below| below.remove(rest))
            }
            _ => false,
        }
    }

    /// What was given at a path of keys and places, if anything was.
    pub(super) fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |given, key| match &given.node {
            Node::Table(table) => table.get(key),
            Node::List(list) => list.get(key.parse::<usize>().ok()?),
            Node::Scalar(_) => None,
        })
    }

    /// The value as it is quoted in messages.
    pub(super) fn shown(&self) -> String {
        match &self.node {
            Node::Scalar(scalar) => scalar.to_string(),
            Node::List(list) => {
                format!("[{}]", list.iter().map(Self::shown).collect::<Vec<_>>().join(", "))
            }
            Node::Table(table) => {
                let keys: Vec<_> = table.keys().map(String::as_str).collect();
                format!("a table with the keys {{{}}}", keys.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(origin: &'static str) -> Origin {
        Origin::Flag(origin)
    }

    #[test]
    fn an_upper_layer_replaces_values_and_keeps_their_neighbours() {
        let mut lower = Given::empty();
        lower.set(&["web", "listen"], "a", at("low")).unwrap();
        lower.set(&["web", "title"], "b", at("low")).unwrap();
        let mut upper = Given::empty();
        upper.set(&["web", "listen"], "c", at("high")).unwrap();
        lower.overlay(upper);
        let listen = lower.at(["web", "listen"]).unwrap();
        assert_eq!((listen.shown(), &listen.origin), ("\"c\"".into(), &at("high")));
        assert_eq!(lower.at(["web", "title"]).unwrap().origin, at("low"));
    }

    #[test]
    fn what_is_taken_out_of_a_list_takes_the_list_along() {
        let path = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
        let mut given = Given::empty();
        for (place, value) in [("a.list.0.x", "1"), ("a.list.1.x", "2"), ("a.b", "3")] {
            given.set(&place.split('.').collect::<Vec<_>>(), value, at("x")).unwrap();
        }
        assert!(given.remove(&path("a.list.1.x")));
        assert!(given.at(["a", "list", "1"]).is_some() && given.at(["a", "list", "1", "x"]).is_none());
        assert!(given.remove(&path("a.list.0")));
        assert!(given.at(["a", "list"]).is_none() && given.at(["a", "b"]).is_some());
        assert!(!given.remove(&path("c")) && !given.remove(&[]));
    }

    #[test]
    fn a_number_on_the_path_is_a_place_in_a_list() {
        let mut given = Given::empty();
        given.set(&["providers", "0", "name"], "one", at("x")).unwrap();
        given.set(&["providers", "1", "name"], "two", at("x")).unwrap();
        assert_eq!(given.at(["providers", "1", "name"]).unwrap().shown(), "\"two\"");
        assert_eq!(given.set(&["providers", "3", "name"], "four", at("x")), Err(Misplaced::Gap(2)));
        assert_eq!(given.set(&["providers", "0", "name", "deeper"], "", at("x")), Err(Misplaced::NotATable));
    }
}
