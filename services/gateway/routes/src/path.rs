//! Paths in one spelling: of requests, and of everything that requests are compared with.

use std::borrow::Cow;

/// Certificate authorities ask here whether a host is ours, before there is a certificate for it (RFC 8555).
pub const ACME: &str = "/.well-known/acme-challenge/";

/// One spelling for one path. Escaped slashes, backslashes, zero bytes and dot segments mean different
/// things to different servers, so there is no path with them.
pub fn normalise(path: &str) -> Option<Cow<'_, str>> {
    if !path.starts_with('/') {
        return None;
    }
    if path.bytes().all(is_plain) {
        return Some(Cow::Borrowed(path));
    }
    let path = if path.bytes().all(|byte| is_plain(byte) || byte == b'.') {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(respell(path)?)
    };
    // A path parameter can hide a dot segment: some servers cut `..;x` down to `..`.
    let has_dots = path.contains("/.")
        && path
            .split('/')
            .any(|part| matches!(part.split(';').next(), Some("." | "..")));
    (!has_dots).then_some(path)
}

/// [`normalise`] for a path that somebody wrote into an object.
pub(crate) fn read(path: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!("path {path:?} does not begin with a slash"));
    }
    normalise(path).map(Cow::into_owned).ok_or_else(|| {
        format!(
            "path {path:?} matches no request: requests with escaped slashes, backslashes, control characters, \
             dot segments or incomplete escapes are refused"
        )
    })
}

/// Whether a path of a shop takes `path` as well: it does if that is the same or below. `/` takes only itself, so
/// that every path that the shop does not use is open to others.
pub fn takes(own: &str, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    match own.trim_end_matches('/') {
        "" => path.is_empty(),
        own => path
            .strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

/// What a path may hold as it is (`pchar` and `/` of RFC 3986), without the dot, which needs a second look. A
/// table, because each byte of each request is looked up.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"/-_~!$&'()*+,;=:@";
    let mut index = 0;
    while index < marks.len() {
        table[marks[index] as usize] = true;
        index += 1;
    }
    table
};

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// Letters, digits and `-._~` need no escape and lose it; other escapes stay, in capitals; and what may not
/// stand in a path as it is gets one.
fn respell(path: &str) -> Option<String> {
    let mut plain = String::with_capacity(path.len() + 8);
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            match byte {
                b'\\' | 0..=0x1f | 0x7f => return None,
                b'.' => plain.push('.'),
                _ if is_plain(byte) => plain.push(char::from(byte)),
                _ => escape(byte, &mut plain),
            }
            continue;
        }
        let value = hex(bytes.next()?)? << 4 | hex(bytes.next()?)?;
        match value {
            b'/' | b'\\' | 0..=0x1f | 0x7f => return None,
            b'-' | b'.' | b'_' | b'~' => plain.push(char::from(value)),
            _ if value.is_ascii_alphanumeric() => plain.push(char::from(value)),
            _ => escape(value, &mut plain),
        }
    }
    Some(plain)
}

fn escape(byte: u8, into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    into.push('%');
    for digit in [byte >> 4, byte & 15] {
        into.push(char::from(DIGITS[usize::from(digit)]));
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        let same = |path: &str| normalise(path).map(Cow::into_owned);
        assert_eq!(same("/a/b").as_deref(), Some("/a/b"));
        assert_eq!(same("/%61/%7euser").as_deref(), Some("/a/~user"));
        assert_eq!(same("/a%20b%c3%a9").as_deref(), Some("/a%20b%C3%A9"));
        assert_eq!(same("/é"), same("/%c3%A9"));
        assert_eq!(same("/a|b^"), same("/a%7cb%5E"));
        assert_eq!(
            same("/.well-known/jwks.json").as_deref(),
            Some("/.well-known/jwks.json")
        );
        assert_eq!(same("/a/...").as_deref(), Some("/a/..."));
        for path in ["/%61/%7euser", "/a%20b%c3%a9", "/é%2B+", "/a.b/%2e%2ec"] {
            let once = same(path).expect("a path");
            assert_eq!(same(&once), Some(once.clone()), "{path}");
        }
    }

    #[test]
    fn paths_that_servers_read_differently_are_refused() {
        let odd = [
            "a",
            "*",
            "/a/../b",
            "/a/..",
            "/./a",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0a",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%+1",
            "/a/..;x/b",
        ];
        for path in odd {
            assert_eq!(normalise(path), None, "{path}");
            assert!(read(path).is_err(), "{path}");
        }
    }
}
