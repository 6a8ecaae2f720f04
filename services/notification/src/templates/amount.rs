//! Amounts in the notation of a language.

use vocabulary::Money;

use crate::shop::Locale;

/// Minor digits of a currency (ISO 4217): two, unless listed here.
fn digits(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// `EUR 1,234.50` in English, `1.234,50 EUR` in German. The code instead of a sign, because
/// several currencies share one.
pub fn format(amount: Money, locale: Locale) -> String {
    let (group, point) = match locale {
        Locale::En => (',', '.'),
        Locale::De => ('.', ','),
    };
    let currency = amount.currency();
    let digits = digits(currency.as_str());
    // Padded with zeros, so that one cent is 0.01.
    let text = format!(
        "{:0>width$}",
        amount.minor().unsigned_abs(),
        width = digits + 1
    );
    let (major, minor) = text.split_at(text.len() - digits);
    let mut number = String::with_capacity(text.len() + 8);
    if amount.minor() < 0 {
        number.push('-');
    }
    for (index, digit) in major.chars().enumerate() {
        if index > 0 && (major.len() - index).is_multiple_of(3) {
            number.push(group);
        }
        number.push(digit);
    }
    if digits > 0 {
        number.push(point);
        number.push_str(minor);
    }
    match locale {
        Locale::En => format!("{currency} {number}"),
        Locale::De => format!("{number} {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(minor: i64, currency: &str, locale: Locale) -> String {
        super::format(Money::new(minor, currency.parse().unwrap()), locale)
    }

    #[test]
    fn english_and_german_separators_differ() {
        assert_eq!(shown(123_450, "EUR", Locale::En), "EUR 1,234.50");
        assert_eq!(shown(123_450, "EUR", Locale::De), "1.234,50 EUR");
        assert_eq!(shown(1_234_567_890, "USD", Locale::En), "USD 12,345,678.90");
    }

    #[test]
    fn small_and_negative_amounts_keep_their_zeros() {
        assert_eq!(shown(0, "EUR", Locale::En), "EUR 0.00");
        assert_eq!(shown(1, "EUR", Locale::En), "EUR 0.01");
        assert_eq!(shown(-105, "EUR", Locale::De), "-1,05 EUR");
        assert_eq!(shown(99_999, "EUR", Locale::En), "EUR 999.99");
    }

    #[test]
    fn not_every_currency_has_cents() {
        assert_eq!(shown(1500, "JPY", Locale::En), "JPY 1,500");
        assert_eq!(shown(1500, "KWD", Locale::En), "KWD 1.500");
    }

    #[test]
    fn the_smallest_number_is_shown() {
        assert_eq!(
            shown(i64::MIN, "JPY", Locale::En),
            "JPY -9,223,372,036,854,775,808"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_digit_is_lost(minor: i64) {
            for (currency, locale) in [("EUR", Locale::En), ("JPY", Locale::De), ("KWD", Locale::En)] {
                let text = shown(minor, currency, locale);
                let digits: String =
                    text.chars().filter(|c| c.is_ascii_digit() || *c == '-').collect();
                proptest::prop_assert_eq!(digits.parse::<i64>().unwrap(), minor, "{}", text);
            }
        }
    }
}
