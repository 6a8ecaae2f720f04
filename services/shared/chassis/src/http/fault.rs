//! Serde's complaints in the words of whoever sends JSON: which field, and what it must be.

/// A field that was refused and why, from where Serde was and what it said.
pub(super) fn of(path: &str, said: &str) -> (String, String) {
    // Where in the text it was: the field says it better.
    let said = said
        .rsplit_once(" at line ")
        .map_or(said, |(message, _)| message);
    if let Some((field, _)) = quoted(said, "missing field `") {
        return (join(path, field), "is required".into());
    }
    if let Some((field, others)) = quoted(said, "unknown field `") {
        let known = others.trim_start_matches(", ");
        return (join(path, field), format!("is not known: {known}"));
    }
    let message = match said.rsplit_once(", expected ") {
        Some((got, wanted)) => format!("{}, expected {}", json(got), expected(wanted)),
        None => number(said).to_owned(),
    };
    (path.to_owned(), message)
}

/// What stands between the backquotes, and what follows.
fn quoted<'a>(said: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    said.strip_prefix(before)?.split_once('`')
}

/// The path of a field of the object at `path`, which Serde may or may not have entered already.
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

/// What the standard library says of a text that is no number.
fn number(said: &str) -> &str {
    match said {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number"
        }
        "number too large to fit in target type" => "is too large",
        said => said,
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_missing_field_is_named_and_not_its_parent() {
        let told = |path| of(path, "missing field `city` at line 1 column 2");
        assert_eq!(told("."), ("city".into(), "is required".into()));
        assert_eq!(told("address").0, "address.city");
        assert_eq!(told("items[0]").0, "items[0].city");
    }

    #[test]
    fn an_unknown_field_is_named_once() {
        let said = "unknown field `role`, expected one of `email`, `password`";
        let message = "is not known: expected one of `email`, `password`";
        assert_eq!(of("role", said), ("role".into(), message.into()));
        assert_eq!(of("user.role", said).0, "user.role");
        assert_eq!(of("user", said).0, "user.role");
        assert_eq!(of("payrole", said).0, "payrole.role");
    }

    #[test]
    fn types_are_those_of_json_and_not_of_rust() {
        let message = |said| of("a", said).1;
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
