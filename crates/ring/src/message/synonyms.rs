//! The other names under which brokers' adapters send a field.
//!
//! OpenAlgo's clients read a tick under the names that its adapter used. A tick in the ring therefore says which
//! of these names a field came under, and frames carry the value under each of them, beside the wire name.
//!
//! Bit `n % 64` of synonym word `n / 64` stands for synonym `n`. A message has 0, 1 or 2 of these words.

use super::Field;
use Field as F;

/// Most synonym words of a message.
pub const SYNONYM_WORDS: usize = 2;

/// Every synonym: its field, and the name that adapters use. The index is the synonym's number in a message, so
/// the order is part of the format: new names go to the end. The first 64 are those that need one word.
pub const SYNONYMS: [(Field, &str); 71] = [
    (F::Ltp, "last_price"),
    (F::Ltp, "last_traded_price"),
    (F::Volume, "volume_traded"),
    (F::Volume, "traded_volume"),
    (F::Ltt, "last_trade_time"),
    (F::Ltt, "last_traded_time"),
    (F::PrevClose, "previous_close"),
    (F::PrevClose, "cp"),
    (F::AveragePrice, "average_traded_price"),
    (F::AveragePrice, "avg_trade_price"),
    (F::AveragePrice, "average_trade_price"),
    (F::AveragePrice, "avg_price"),
    (F::AveragePrice, "atp"),
    (F::LastQuantity, "ltq"),
    (F::LastQuantity, "last_trade_quantity"),
    (F::LastQuantity, "last_traded_quantity"),
    (F::LastQuantity, "last_trade_qty"),
    (F::LastQuantity, "last_traded_qty"),
    (F::Oi, "open_interest"),
    (F::Oi, "total_oi"),
    (F::Bid, "bid_price"),
    (F::Bid, "best_bid"),
    (F::Bid, "best_bid_price"),
    (F::Ask, "ask_price"),
    (F::Ask, "offer_price"),
    (F::Ask, "best_ask"),
    (F::Ask, "best_ask_price"),
    (F::BidQty, "bid_quantity"),
    (F::BidQty, "bid_size"),
    (F::BidQty, "best_bid_qty"),
    (F::BidQty, "best_bid_quantity"),
    (F::AskQty, "ask_quantity"),
    (F::AskQty, "ask_size"),
    (F::AskQty, "offer_quantity"),
    (F::AskQty, "best_ask_qty"),
    (F::AskQty, "best_ask_quantity"),
    (F::TotalBuyQuantity, "buy_quantity"),
    (F::TotalBuyQuantity, "total_buy_qty"),
    (F::TotalBuyQuantity, "totalbuyqty"),
    (F::TotalSellQuantity, "sell_quantity"),
    (F::TotalSellQuantity, "total_sell_qty"),
    (F::TotalSellQuantity, "totalsellqty"),
    (F::Change, "price_change"),
    (F::Change, "net_change"),
    (F::ChangePercent, "percent_change"),
    (F::ChangePercent, "change_percentage"),
    (F::ChangePercent, "price_change_percent"),
    (F::UpperCircuit, "upper_circuit_limit"),
    (F::LowerCircuit, "lower_circuit_limit"),
    (F::Week52High, "52w_high"),
    (F::Week52High, "week_52_high"),
    (F::Week52Low, "52w_low"),
    (F::Week52Low, "week_52_low"),
    (F::OiDayHigh, "oi_high"),
    (F::OiDayLow, "oi_low"),
    (F::OiChange, "change_in_oi"),
    (F::Turnover, "total_traded_value"),
    (F::Turnover, "tot. traded value"),
    (F::Turnover, "traded_value"),
    (F::Turnover, "value"),
    (F::ExchangeTimestamp, "exchange_time"),
    (F::ExchangeTimestamp, "feed_time"),
    (F::PrevClose, "prev_close_price"),
    (F::ExchangeTimestamp, "exch_feed_time"),
    // From here on a message needs two words.
    (F::Open, "open_price"),
    (F::High, "high_price"),
    (F::Low, "low_price"),
    (F::Close, "close_price"),
    (F::Volume, "volume_trade_for_the_day"),
    (F::Change, "change_absolute"),
    (F::Turnover, "tot_traded_value"),
];

const _: () = assert!(SYNONYMS.len() <= SYNONYM_WORDS * 64, "every synonym has a bit");
