//! Errors in logs.

use std::error::Error;
use std::fmt::Write as _;

/// An error and its causes on one line. The last cause says most: name resolution, port or certificate. Some errors name their causes
/// themselves; these are not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Said {
        text: &'static str,
        source: Option<Box<Said>>,
    }

    fn said(texts: &[&'static str]) -> Said {
        let (text, rest) = texts.split_first().unwrap();
        let source = (!rest.is_empty()).then(|| Box::new(said(rest)));
        Said { text, source }
    }

    #[test]
    fn a_cause_that_an_error_names_itself_is_not_repeated() {
        let own = said(&["send: no such name", "no such name", "no such name"]);
        assert_eq!(chain(&own), "send: no such name");
        let plain = said(&["send", "connect", "no such name"]);
        assert_eq!(chain(&plain), "send: connect: no such name");
    }
}
