//! A tick as it lies in a slot.
//!
//! ```text
//! word  0  stamp (in the ring) / sequence (in a copy)
//!       1  extent: which words are in use; in a copy also the lane
//!       2  publish time, ns of the monotonic clock
//!       3  presence bits 0..40 · mode 8 bits · buy levels 8 bits · sell levels 8 bits
//!       4  ltp · volume · ltt · timestamp                            end of line 0
//!       8  exchange, 16 bytes · symbol, 48 bytes                     line 1
//!      16  open … oi          8 fields                               line 2
//!      24  bid … change %     8 fields                               line 3
//!      32  circuits … seq     8 fields                               line 4
//!      40  turnover …         4 fields, 4 free                       line 5
//!      48  levels: price, quantity, orders; the buy side, then the sell side
//! ```
//!
//! Only lines in use are written and read, so an LTP tick costs two cache lines.

use crate::error::{Error, ErrorCode, Result};
use crate::extent::Extent;

/// Longest exchange in bytes of UTF-8.
pub const EXCHANGE_BYTES: usize = 16;
/// Longest symbol in bytes of UTF-8. The longest that OpenAlgo has today is 35.
pub const SYMBOL_BYTES: usize = 48;
/// Words of one depth level: price, quantity, orders.
pub const LEVEL_WORDS: usize = 3;
/// First word of the levels.
pub const LEVELS_WORD: usize = 48;
/// First word of the exchange and the symbol.
pub const TOPIC_WORD: usize = 8;
/// Words of exchange and symbol together.
pub const TOPIC_WORDS: usize = 8;

pub(crate) const SUMMARY_WORD: usize = 3;
pub(crate) const MODE_SHIFT: u32 = 40;
pub(crate) const BUYS_SHIFT: u32 = 48;
pub(crate) const SELLS_SHIFT: u32 = 56;
const PRESENCE_MASK: u64 = (1 << MODE_SHIFT) - 1;

/// What a tick carries, and what a client subscribes to. A tick of mode M is for subscribers of modes 1 to M.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Last traded price.
    Ltp = 1,
    /// Quote: the day's prices, quantities, best bid and ask.
    Quote = 2,
    /// Order book.
    Depth = 3,
}

impl Mode {
    /// The mode of a number, if it is one.
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Ltp),
            2 => Some(Self::Quote),
            3 => Some(Self::Depth),
            _ => None,
        }
    }
}

macro_rules! fields {
    ($($variant:ident $name:literal,)*) => {
        /// The numeric fields, in the order of their presence bits. Prices are in the instrument's
        /// currency, times in ms since 1970; `Tradable` is 0 or 1.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Field { $(#[doc = $name] $variant,)* }

        impl Field {
            /// All fields in order.
            pub const ALL: [Self; FIELD_COUNT] = [$(Self::$variant,)*];
            /// The names on the wire, in order.
            pub const NAMES: [&'static str; FIELD_COUNT] = [$($name,)*];
        }

        /// Number of numeric fields.
        pub const FIELD_COUNT: usize = [$($name,)*].len();
    };
}

fields! {
    Ltp "ltp",
    Volume "volume",
    Ltt "ltt",
    Timestamp "timestamp",
    Open "open",
    High "high",
    Low "low",
    Close "close",
    PrevClose "prev_close",
    AveragePrice "average_price",
    LastQuantity "last_quantity",
    Oi "oi",
    Bid "bid",
    Ask "ask",
    BidQty "bid_qty",
    AskQty "ask_qty",
    TotalBuyQuantity "total_buy_quantity",
    TotalSellQuantity "total_sell_quantity",
    Change "change",
    ChangePercent "change_percent",
    UpperCircuit "upper_circuit",
    LowerCircuit "lower_circuit",
    Week52High "52_week_high",
    Week52Low "52_week_low",
    OiDayHigh "oi_day_high",
    OiDayLow "oi_day_low",
    OiChange "oi_change",
    Seq "seq",
    Turnover "turnover",
    InstrumentToken "instrument_token",
    Tradable "tradable",
    ExchangeTimestamp "exchange_timestamp",
}

impl Field {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The word of a slot that holds this field.
    pub const fn word(self) -> usize {
        field_word(self as usize)
    }
}

const fn field_word(index: usize) -> usize {
    if index < 4 { 4 + index } else { 12 + index }
}

/// Words of the lines that hold the fields of these presence bits: 16, 24, 32, 40 or 48.
const fn field_words(presence: u64) -> usize {
    let highest = 63 - (presence | 1).leading_zeros() as usize;
    if highest < 4 { LINE_WORDS * 2 } else { (field_word(highest) + 1).next_multiple_of(LINE_WORDS) }
}
const LINE_WORDS: usize = 8;

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

/// A tick with room for `LEVELS` depth levels a side; 640 bytes for five.
///
/// ```
/// use openalgo_shm_core::message::{Field, MarketDataMessage, Mode};
///
/// let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "RELIANCE", Mode::Ltp)?;
/// tick.set(Field::Ltp, 150.25).set(Field::Volume, 1000.0);
/// assert_eq!(tick.view().field(Field::Ltp), Some(150.25));
/// assert_eq!(tick.view().field(Field::Open), None); // absent is absent, not zero
/// # Ok::<(), openalgo_shm_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct MarketDataMessage<const LEVELS: usize = 5> {
    head: [u64; TOPIC_WORD],
    topic: [u64; TOPIC_WORDS],
    fields: [f64; LEVELS_WORD - TOPIC_WORD - TOPIC_WORDS],
    levels: [[DepthLevel; LEVELS]; 2],
}

impl<const LEVELS: usize> MarketDataMessage<LEVELS> {
    /// An empty tick for a topic.
    ///
    /// # Errors
    /// `ERR_INVALID_SYMBOL` when exchange or symbol is empty, longer than its 16 or 48 bytes, or holds control characters.
    pub fn new(exchange: &str, symbol: &str, mode: Mode) -> Result<Self> {
        let mut message = Self {
            head: [0; TOPIC_WORD],
            topic: topic_words(exchange, symbol)?,
            fields: [0.0; LEVELS_WORD - TOPIC_WORD - TOPIC_WORDS],
            levels: [[DepthLevel::default(); LEVELS]; 2],
        };
        message.set_summary((mode as u64) << MODE_SHIFT);
        Ok(message)
    }

    /// Sets a field and its presence bit.
    pub fn set(&mut self, field: Field, value: f64) -> &mut Self {
        let word = field.word();
        match word.checked_sub(TOPIC_WORD + TOPIC_WORDS) {
            Some(index) => self.fields[index] = value,
            None => self.head[word] = value.to_bits(),
        }
        self.set_summary(self.head[SUMMARY_WORD] | 1 << field as u8);
        self
    }

    /// Sets the order book; the sides may differ in length.
    ///
    /// # Errors
    /// `ERR_BOOK_TOO_DEEP` when a side has more than `LEVELS` levels.
    pub fn set_depth(&mut self, buys: &[DepthLevel], sells: &[DepthLevel]) -> Result<&mut Self> {
        let deepest = buys.len().max(sells.len());
        if deepest > LEVELS || deepest > u8::MAX as usize {
            return Err(book_too_deep(deepest, LEVELS));
        }
        let levels = self.levels.as_flattened_mut();
        levels[..buys.len()].copy_from_slice(buys);
        levels[buys.len()..buys.len() + sells.len()].copy_from_slice(sells);
        let sides = (buys.len() as u64) << BUYS_SHIFT | (sells.len() as u64) << SELLS_SHIFT;
        self.set_summary(self.head[SUMMARY_WORD] & ((1 << BUYS_SHIFT) - 1) | sides);
        Ok(self)
    }

    fn set_summary(&mut self, summary: u64) {
        self.head[SUMMARY_WORD] = summary;
        self.head[1] = extent_of(summary).to_word();
    }

    /// The words as they go into a slot.
    pub fn as_words(&self) -> &[u64] {
        let count = LEVELS_WORD + 2 * LEVELS * LEVEL_WORDS;
        // SAFETY: the struct is `repr(C)` and its first `count` words are u64 and f64 fields without padding.
        unsafe { std::slice::from_raw_parts((&raw const *self).cast::<u64>(), count) }
    }

    /// A view to read the fields.
    pub fn view(&self) -> MessageView<'_> {
        MessageView::new(self.as_words())
    }
}

pub(crate) fn book_too_deep(found: usize, levels: usize) -> Error {
    Error::new(
        ErrorCode::BookTooDeep,
        format!(
            "a book of {found} levels a side does not fit a ring made for {levels}: create the ring with depthLevels {found} or publish fewer levels"
        ),
    )
}

/// Which words a tick with this summary word uses.
pub fn extent_of(summary: u64) -> Extent {
    let levels = (summary >> BUYS_SHIFT & 0xff) + (summary >> SELLS_SHIFT & 0xff);
    Extent {
        prefix: field_words(summary & PRESENCE_MASK) as u16,
        start: LEVELS_WORD as u16,
        length: levels as u16 * LEVEL_WORDS as u16,
    }
}

/// Exchange (2 words) and symbol (6 words) as they lie in the message, zero-padded.
///
/// # Errors
/// `ERR_INVALID_SYMBOL`.
pub fn topic_words(exchange: &str, symbol: &str) -> Result<[u64; TOPIC_WORDS]> {
    let mut words = [0; TOPIC_WORDS];
    text_into(&mut words[..EXCHANGE_BYTES / 8], "exchange", exchange)?;
    text_into(&mut words[EXCHANGE_BYTES / 8..], "symbol", symbol)?;
    Ok(words)
}

/// Writes a text into zeroed words, eight bytes a word.
pub(crate) fn text_into(words: &mut [u64], what: &str, text: &str) -> Result<()> {
    let room = words.len() * 8;
    let fault = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > room {
        format!("'{text}' is {} bytes long", text.len())
    } else if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        format!("{text:?} holds control characters")
    } else {
        for (word, bytes) in words.iter_mut().zip(text.as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        return Ok(());
    };
    Err(Error::new(
        ErrorCode::InvalidSymbol,
        format!("{what} {fault}: expected 1 to {room} bytes of UTF-8 without control characters"),
    ))
}

/// The text of zero-padded words; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn text_from(words: &[u64], text: &mut String) {
    text.clear();
    let mut bytes = [0; 64];
    let used = &mut bytes[..words.len() * 8];
    for (chunk, word) in used.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let length = used.iter().position(|&byte| byte == 0).unwrap_or(used.len());
    text.push_str(&String::from_utf8_lossy(&used[..length]));
}

/// A tick in a copy of its slot. Reading never fails: whatever another process wrote, counts are clamped to the words that are there.
#[derive(Debug, Clone, Copy)]
pub struct MessageView<'a> {
    words: &'a [u64],
}

impl<'a> MessageView<'a> {
    /// A view over at least [`LEVELS_WORD`] words.
    ///
    /// # Panics
    /// When there are fewer words; slots never have fewer.
    pub fn new(words: &'a [u64]) -> Self {
        assert!(words.len() >= LEVELS_WORD, "a tick has at least {LEVELS_WORD} words");
        Self { words }
    }

    /// The sequence in its lane.
    pub fn sequence(self) -> u64 {
        self.words[0]
    }

    /// The lane it came through.
    pub fn lane(self) -> usize {
        Extent::lane_of(self.words[1])
    }

    /// Publish time in ns of the monotonic clock.
    pub fn publish_ns(self) -> u64 {
        self.words[2]
    }

    /// What the tick carries; an unknown number reads as LTP.
    pub fn mode(self) -> Mode {
        Mode::from_u8((self.words[SUMMARY_WORD] >> MODE_SHIFT) as u8).unwrap_or(Mode::Ltp)
    }

    /// A field, if present.
    pub fn field(self, field: Field) -> Option<f64> {
        let present = self.words[SUMMARY_WORD] >> field as u8 & 1 == 1;
        present.then(|| f64::from_bits(self.words[field.word()]))
    }

    /// Exchange and symbol as words: the key of the topic.
    pub fn topic(self) -> &'a [u64; TOPIC_WORDS] {
        self.words[TOPIC_WORD..].first_chunk().expect("checked in new")
    }

    /// The exchange.
    pub fn exchange(self) -> String {
        let mut text = String::new();
        text_from(&self.topic()[..EXCHANGE_BYTES / 8], &mut text);
        text
    }

    /// The symbol.
    pub fn symbol(self) -> String {
        let mut text = String::new();
        text_from(&self.topic()[EXCHANGE_BYTES / 8..], &mut text);
        text
    }

    /// The buy side, best price first.
    pub fn buys(self) -> impl ExactSizeIterator<Item = DepthLevel> + 'a {
        self.side(0, self.words[SUMMARY_WORD] >> BUYS_SHIFT)
    }

    /// The sell side, best price first.
    pub fn sells(self) -> impl ExactSizeIterator<Item = DepthLevel> + 'a {
        let buys = self.buys().len();
        self.side(buys, self.words[SUMMARY_WORD] >> SELLS_SHIFT)
    }

    fn side(self, skip: usize, count: u64) -> impl ExactSizeIterator<Item = DepthLevel> + 'a {
        let levels = self.words[LEVELS_WORD..].as_chunks::<LEVEL_WORDS>().0;
        let levels = &levels[skip.min(levels.len())..];
        levels[..levels.len().min((count & 0xff) as usize)].iter().map(|level| DepthLevel {
            price: f64::from_bits(level[0]),
            quantity: f64::from_bits(level[1]),
            orders: f64::from_bits(level[2]),
        })
    }
}
