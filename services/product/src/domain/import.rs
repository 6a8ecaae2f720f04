//! A catalogue as CSV: checked as a whole before any row is written.

use std::collections::HashSet;

use vocabulary::{Currency, FieldError, Money};

use super::listing::{Listing, Prices};

/// Most rows in one file.
pub const MAX_ROWS: usize = 10_000;
/// Faults reported at once; a file with more has one cause.
pub const MAX_FAULTS: usize = 100;

const FIXED: [&str; 5] = ["sku", "title", "description", "category", "on_hand"];
const PRICE: &str = "price_";

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The product.
    pub listing: Listing,
    /// Pieces, for a product that is new.
    pub on_hand: i64,
}

struct Columns {
    fixed: [usize; 5],
    prices: Vec<(usize, Currency)>,
}

/// Reads the whole file, or names the line and field of everything that is invalid.
pub fn read(text: &[u8]) -> Result<Vec<Row>, Vec<FieldError>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text);
    let columns = match reader.headers() {
        Ok(headers) => columns(headers)?,
        Err(error) => return Err(vec![FieldError::new("line 1", error.to_string())]),
    };
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut skus = HashSet::new();
    for record in reader.records() {
        if rows.len() >= MAX_ROWS {
            faults.push(FieldError::new("file", format!("at most {MAX_ROWS} rows")));
            break;
        }
        if faults.len() >= MAX_FAULTS {
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                // A line of another shape: what follows may be shifted, so it is not guessed at.
                let line = error.position().map_or(0, csv::Position::line);
                faults.push(FieldError::new(format!("line {line}"), error.to_string()));
                break;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        match row(&columns, &record) {
            Ok(row) if !skus.insert(row.listing.sku.clone()) => {
                faults.push(at(line, FieldError::new("sku", "is in this file already")));
            }
            Ok(row) => rows.push(row),
            Err(wrong) => faults.extend(wrong.into_iter().map(|fault| at(line, fault))),
        }
    }
    if rows.is_empty() && faults.is_empty() {
        faults.push(FieldError::new("file", "at least one row"));
    }
    if faults.is_empty() {
        Ok(rows)
    } else {
        Err(faults)
    }
}

fn at(line: u64, fault: FieldError) -> FieldError {
    FieldError {
        field: format!("line {line}, {}", fault.field).into(),
        ..fault
    }
}

fn columns(headers: &csv::StringRecord) -> Result<Columns, Vec<FieldError>> {
    let mut faults = Vec::new();
    let mut prices = Vec::new();
    for (index, name) in headers.iter().enumerate() {
        if let Some(code) = name.strip_prefix(PRICE) {
            match code.parse::<Currency>() {
                Ok(currency) => prices.push((index, currency)),
                Err(error) => faults.push(FieldError::new(
                    format!("line 1, {name}"),
                    error.to_string(),
                )),
            }
        } else if !FIXED.contains(&name) {
            faults.push(FieldError::new(format!("line 1, {name}"), "unknown column"));
        }
    }
    let fixed = FIXED.map(|name| {
        let found = headers.iter().position(|header| header == name);
        if found.is_none() {
            faults.push(FieldError::new(
                format!("line 1, {name}"),
                "column is missing",
            ));
        }
        found.unwrap_or(0)
    });
    if prices.is_empty() {
        faults.push(FieldError::new(
            "line 1, price_EUR",
            "at least one price column",
        ));
    }
    if faults.is_empty() {
        Ok(Columns { fixed, prices })
    } else {
        Err(faults)
    }
}

fn row(columns: &Columns, record: &csv::StringRecord) -> Result<Row, Vec<FieldError>> {
    let text = |at: usize| record.get(columns.fixed[at]).unwrap_or_default().to_owned();
    let mut faults = Vec::new();
    let mut money = Vec::new();
    for (index, currency) in &columns.prices {
        // An empty cell: not sold in that currency.
        let Some(cell) = record.get(*index).filter(|cell| !cell.is_empty()) else {
            continue;
        };
        match cell.parse::<i64>() {
            Ok(minor) => money.push(Money::new(minor, *currency)),
            Err(_) => faults.push(FieldError::new(
                format!("{PRICE}{currency}"),
                "a whole number of minor units",
            )),
        }
    }
    let on_hand = text(4)
        .parse::<i64>()
        .ok()
        .filter(|n| (0..=1_000_000_000).contains(n));
    if on_hand.is_none() {
        faults.push(FieldError::new(
            "on_hand",
            "a whole number from 0 to 1000000000",
        ));
    }
    let prices = match Prices::new(money) {
        Ok(prices) => Some(prices),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let (Some(prices), Some(on_hand)) = (prices, on_hand) else {
        return Err(faults);
    };
    let listing = Listing {
        sku: text(0),
        title: text(1),
        description: text(2),
        category: text(3),
        prices,
    };
    if let Err(wrong) = listing.check() {
        faults.extend(wrong);
    }
    if faults.is_empty() {
        Ok(Row { listing, on_hand })
    } else {
        Err(faults)
    }
}
