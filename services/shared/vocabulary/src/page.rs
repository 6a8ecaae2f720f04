//! Pagination of lists.

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::{Cursor, CursorError};

/// A page size out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a whole number from 1 to {}", Limit::MAX)]
pub struct LimitError;

/// Items per page: 1 to 100, 20 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// The largest page.
    pub const MAX: u16 = 100;

    /// A page size from 1 to [`Limit::MAX`].
    pub fn new(limit: u64) -> Result<Self, LimitError> {
        match u16::try_from(limit) {
            Ok(limit @ 1..=Self::MAX) => Ok(Self(limit)),
            _ => Err(LimitError),
        }
    }

    /// The page size.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

// Not derived: a number in a query string is text, and the message names the limits.
impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{LimitError}")
            }

            fn visit_u64<E: de::Error>(self, limit: u64) -> Result<Limit, E> {
                Limit::new(limit).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                self.visit_u64(text.parse().map_err(|_| E::custom(LimitError))?)
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

/// The page that was requested. A handler fills it from its own query struct, which lists every parameter, so that a
/// misspelt one is refused.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// Items on the page, 1 to 100.
    pub limit: Limit,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// Rows to select: one more than the page, to know whether another page follows.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit.get()) + 1
    }

    /// The sort key to continue after; none on the first page.
    pub fn position<T: DeserializeOwned>(&self) -> Result<Option<T>, CursorError> {
        self.cursor
            .as_deref()
            .map(|text| Cursor::decode(text).map(|cursor| cursor.0))
            .transpose()
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Send this back as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Builds a page from up to [`PageRequest::rows`] rows; `key` is the sort key of a row.
    pub fn of<K: Serialize>(
        mut rows: Vec<T>,
        request: &PageRequest,
        key: impl FnOnce(&T) -> K,
    ) -> Result<Self, CursorError> {
        let limit = usize::from(request.limit.get());
        if rows.len() <= limit {
            return Ok(Self {
                items: rows,
                next_cursor: None,
            });
        }
        rows.truncate(limit);
        let next_cursor = rows
            .last()
            .map(|row| Cursor(key(row)).encode())
            .transpose()?;
        Ok(Self {
            items: rows,
            next_cursor,
        })
    }

    /// The same page with every item converted.
    pub fn map<U>(self, show: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(show).collect(),
            next_cursor: self.next_cursor,
        }
    }
}
