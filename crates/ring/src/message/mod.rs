//! A tick: as the API gives it, as a line carries it, as a reader sees it.

mod annex;
mod field;
pub(crate) mod head;
mod image;
mod synonyms;
mod tick;
mod topic;
mod view;

pub(crate) use annex::age_of;
pub use annex::{ANNEX_WORDS, Annex, CarriedAge, MEMBER_BYTES, MemberValue, Members, REPLACED};
pub use field::{FIELD_COUNT, Field, Mode};
pub use head::{HEAD_PAYLOAD, Head, LINE_PAYLOAD, LINE_WORDS};
pub use image::TickImage;
pub use synonyms::{SYNONYM_WORDS, SYNONYMS};
pub use tick::{FIELDS_WORD, LEVELS_WORD, MarketDataMessage, TOPIC_WORD};
pub(crate) use tick::{SYNONYMS_IN_IMAGE, book_too_deep};
pub use topic::{EXCHANGE_BYTES, SYMBOL_BYTES, TOPIC_WORDS, TopicName, TopicNumber};
pub(crate) use topic::{text_from, text_into};
pub use view::{MessageView, Record};

/// Words of one depth level: price, quantity, orders.
pub const LEVEL_WORDS: usize = 3;

/// One price level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct DepthLevel {
    /// Price in the instrument's currency.
    pub price: f64,
    /// Quantity at this price.
    pub quantity: f64,
    /// Number of orders at this price, 0 where the broker does not say.
    pub orders: f64,
}
