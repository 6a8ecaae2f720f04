//! Gateway API durations (GEP-2257): `1h30m`, `500ms`; each unit at most five digits.

use std::time::Duration;

/// Reads a duration; `None` when the text is not one.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > 5 || parts == 4 {
            return None;
        }
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) = if rest.starts_with("ms") {
            (Duration::from_millis(count), 2)
        } else if rest.starts_with('s') {
            (Duration::from_secs(count), 1)
        } else if rest.starts_with('m') {
            (Duration::from_secs(count * 60), 1)
        } else if rest.starts_with('h') {
            (Duration::from_secs(count * 3_600), 1)
        } else {
            return None;
        };
        total += unit;
        rest = &rest[length..];
        parts += 1;
    }
    (parts > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_the_standard_writes_them() {
        assert_eq!(parse("10s"), Some(Duration::from_secs(10)));
        assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("1h2m3s4ms"), Some(Duration::from_millis(3_723_004)));
        assert_eq!(parse("0s"), Some(Duration::ZERO));
        for odd in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "100000s",
            "1d",
            "1s1s1s1s1s",
            "1 s",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
