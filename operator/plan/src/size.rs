//! Sizes and other quantities as texts.
//!
//! ## Why no library
//! The schemas admit a few units only (see `crds`), which the lines below read completely. Crates for Kubernetes
//! quantities bring a parser of the whole grammar, bound to one release of k8s-openapi. Where nothing is computed, the
//! plan passes quantities on as they are written.

/// Whole mebibytes of a size such as `512Mi` or `2Gi`.
pub(crate) fn mebibytes(size: &str) -> Option<u64> {
    let (digits, unit) = size.split_at_checked(size.len().checked_sub(2)?)?;
    let count: u64 = digits.parse().ok()?;
    match unit {
        "Mi" => Some(count),
        "Gi" => count.checked_mul(1_024),
        "Ti" => count.checked_mul(1_048_576),
        _ => None,
    }
}

/// A quantity in billionths, so that no fraction is lost; `None` where it is none.
pub fn nano(text: &str) -> Option<i128> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let scale: i128 = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => 1_000_000_000,
        "k" => 10_i128.pow(12),
        "M" => 10_i128.pow(15),
        "G" => 10_i128.pow(18),
        "T" => 10_i128.pow(21),
        "Ki" => 1_000_000_000 << 10,
        "Mi" => 1_000_000_000 << 20,
        "Gi" => 1_000_000_000 << 30,
        "Ti" => 1_000_000_000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = u32::try_from(fraction.len())
        .ok()
        .filter(|digits| *digits <= 9)?;
    let parse = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<i128>().ok()
        }
    };
    let fraction = parse(fraction)?.checked_mul(scale)? / 10_i128.pow(digits);
    parse(whole)?.checked_mul(scale)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::{mebibytes, nano};

    #[test]
    fn quantities_of_one_size_are_equal_however_they_are_written() {
        for (one, two) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1k", "1000"),
        ] {
            assert_eq!(nano(one), nano(two), "{one} and {two}");
            assert!(nano(one).is_some(), "{one}");
        }
        assert!(nano("1536Mi") > nano("1Gi"));
        assert_eq!(nano("1x"), None);
    }

    #[test]
    fn every_size_that_the_schema_admits_is_read() {
        for (text, expected) in [
            ("1Mi", Some(1)),
            ("1536Mi", Some(1_536)),
            ("2Gi", Some(2_048)),
            ("1Ti", Some(1_048_576)),
            ("2G", None),
            ("Gi", None),
            ("", None),
            ("99999999999999999999Ti", None),
        ] {
            assert_eq!(mebibytes(text), expected, "{text}");
        }
    }
}
