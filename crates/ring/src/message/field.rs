//! The numeric fields of a tick, in the order of their presence bits.

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

        /// Number of numeric fields: one bit each of a 32-bit word.
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

const _: () = assert!(FIELD_COUNT == 32, "the presence bits are one 32-bit word");

impl Field {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The presence bit.
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }
}
