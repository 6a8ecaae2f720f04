//! Quoting what others say in a condition.

/// The first line of a text, `longest` characters at most; what is longer is cut between words.
pub fn quote(text: &str, longest: usize) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let Some((end, _)) = line.char_indices().nth(longest) else {
        return line.to_owned();
    };
    let (start, _) = line.split_at(end);
    let words = start.rsplit_once(' ').map_or(start, |(words, _)| words);
    format!("{} ...", words.trim_end_matches([',', ';', ':', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_words_and_a_short_one_is_left() {
        assert_eq!(quote(" short. \nand more", 6), "short.");
        assert_eq!(quote("the name, which is long", 14), "the name ...");
        assert_eq!(quote("äöüß", 2), "äö ...");
        assert_eq!(quote("", 5), "");
    }
}
