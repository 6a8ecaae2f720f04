//! Opaque positions in a list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A cursor that this service did not issue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct CursorError;

/// Where the last page ended: the sort key of its last row. Opaque to clients, not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<T>(pub T);

/// No cursor of ours is longer.
const MAX_ENCODED: usize = 1024;

impl<T: Serialize> Cursor<T> {
    /// The text that clients send back: base64url of JSON.
    pub fn encode(&self) -> Result<String, CursorError> {
        let json = serde_json::to_vec(&self.0).map_err(|_| CursorError)?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }
}

impl<T: DeserializeOwned> Cursor<T> {
    /// Reads what [`Cursor::encode`] wrote.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        if text.len() > MAX_ENCODED {
            return Err(CursorError);
        }
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        serde_json::from_slice(&json)
            .map(Self)
            .map_err(|_| CursorError)
    }
}
