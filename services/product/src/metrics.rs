//! The metrics of product.

use chassis::Registry;
use prometheus::{IntCounter, IntCounterVec, Opts};

/// The series; clones share.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Steps of reservations: held, replayed, out_of_stock, refused, claimed, too_late, released,
    /// expired, restocked. Panel "Stock".
    pub reservations: IntCounterVec,
    /// Reads of a product card: hit, miss, blind (Redis did not answer). Panel "Catalogue".
    pub cards: IntCounterVec,
    /// Times that a product became low on stock: `stock.low.v1` is published for each.
    pub low: IntCounter,
    /// Products written by an import. Panel "Catalogue".
    pub imported: IntCounter,
}

impl Metrics {
    /// Registers the series.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let reservations = Opts::new(
            "shop_stock_reservations_total",
            "Steps of stock reservations, by outcome",
        );
        let reservations = registry.register(IntCounterVec::new(reservations, &["outcome"])?)?;
        for outcome in ["held", "out_of_stock", "claimed", "released", "expired"] {
            reservations.with_label_values(&[outcome]);
        }
        let cards = Opts::new(
            "shop_product_cards_total",
            "Reads of a product card from the cache, by outcome",
        );
        let cards = registry.register(IntCounterVec::new(cards, &["outcome"])?)?;
        for outcome in ["hit", "miss", "blind"] {
            cards.with_label_values(&[outcome]);
        }
        Ok(Self {
            reservations,
            cards,
            low: registry.register(IntCounter::new(
                "shop_stock_low_total",
                "Times that the available quantity of a product fell to the threshold of stock.low",
            )?)?,
            imported: registry.register(IntCounter::new(
                "shop_products_imported_total",
                "Products written by an import",
            )?)?,
        })
    }

    /// Counts one step of a reservation.
    pub fn reservation(&self, outcome: &str) {
        self.reservations.with_label_values(&[outcome]).inc();
    }

    /// Counts steps of many reservations at once.
    pub fn reservations(&self, outcome: &str, count: u64) {
        self.reservations
            .with_label_values(&[outcome])
            .inc_by(count);
    }

    /// Counts products that became low on stock.
    pub fn low_stock(&self, products: u64) {
        self.low.inc_by(products);
    }

    /// Counts one read of a card.
    pub fn card(&self, outcome: &str) {
        self.cards.with_label_values(&[outcome]).inc();
    }
}
