//! Sizes as the schema of our own fields allows them.
//!
//! ## Why no library
//! The schema admits whole numbers of `Mi`, `Gi` and `Ti` only (see `crds`), which the eight lines below
//! read completely. Crates for Kubernetes quantities bring a parser of the whole grammar, bound to one
//! release of k8s-openapi. Everything else of the plan passes quantities on as they are written.

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

#[cfg(test)]
mod tests {
    use super::mebibytes;

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
