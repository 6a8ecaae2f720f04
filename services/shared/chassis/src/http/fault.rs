//! Serde's errors in terms of JSON: which field, and what it must be.

/// The invalid field and its message, from Serde's path and text.
pub(super) fn of(path: &str, text: &str) -> (String, String) {
    // The position in the document: the field is more useful.
    let text = text
        .rsplit_once(" at line ")
        .map_or(text, |(message, _)| message);
    if let Some((field, _)) = quoted(text, "missing field `") {
        return (join(path, field), "is required".into());
    }
    if let Some((field, others)) = quoted(text, "unknown field `") {
        let known = others.trim_start_matches(", ");
        return (join(path, field), format!("unknown field: {known}"));
    }
    let message = match text.rsplit_once(", expected ") {
        Some((got, wanted)) => format!("{}, expected {}", json(got), expected(wanted)),
        None => number(text).to_owned(),
    };
    (path.to_owned(), message)
}

/// The text between the backquotes, and the rest.
fn quoted<'a>(text: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(before)?.split_once('`')
}

/// The path of a field of the object at `path`, which Serde may have entered already.
fn join(path: &str, field: &str) -> String {
    match path.strip_suffix(field) {
        _ if path == "." => field.to_owned(),
        Some(parent) if parent.is_empty() || parent.ends_with('.') => path.to_owned(),
        _ => format!("{path}.{field}"),
    }
}

fn json(got: &str) -> String {
    got.replace("invalid type: map", "invalid type: object")
        .replace("invalid type: sequence", "invalid type: array")
}

fn expected(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        wanted if wanted.starts_with("struct ") => "an object",
        wanted => wanted,
    }
}

/// Messages of the standard library about numbers.
fn number(text: &str) -> &str {
    match text {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number"
        }
        "number too large to fit in target type" => "is too large",
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_missing_field_is_named_and_not_its_parent() {
        let fault = |path| of(path, "missing field `city` at line 1 column 2");
        assert_eq!(fault("."), ("city".into(), "is required".into()));
        assert_eq!(fault("address").0, "address.city");
        assert_eq!(fault("items[0]").0, "items[0].city");
    }

    #[test]
    fn an_unknown_field_is_named_once() {
        let text = "unknown field `role`, expected one of `email`, `password`";
        let message = "unknown field: expected one of `email`, `password`";
        assert_eq!(of("role", text), ("role".into(), message.into()));
        assert_eq!(of("user.role", text).0, "user.role");
        assert_eq!(of("user", text).0, "user.role");
        assert_eq!(of("payrole", text).0, "payrole.role");
    }

    #[test]
    fn types_are_those_of_json_and_not_of_rust() {
        let message = |text| of("a", text).1;
        assert_eq!(
            message("invalid value: integer `-1`, expected u32 at line 1 column 9"),
            "invalid value: integer `-1`, expected a whole number that is not negative"
        );
        assert_eq!(
            message("invalid type: sequence, expected struct Address at line 1 column 1"),
            "invalid type: array, expected an object"
        );
        assert_eq!(
            message("invalid digit found in string"),
            "must be a whole number"
        );
        assert_eq!(
            message("a currency is three letters"),
            "a currency is three letters"
        );
    }
}
