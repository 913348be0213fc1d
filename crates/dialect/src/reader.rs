//! Reads a whole tick.

use openalgo_shm_ring::message::{
    DepthLevel, EXCHANGE_BYTES, Field, MemberValue, Mode, SYMBOL_BYTES, SYNONYMS, TickImage,
};
use openalgo_shm_ring::{Error, ErrorCode, Result};

use crate::names::{Kind, LevelPart, MODES, OHLC_FIELDS, Rule, Side, Spelling};
use crate::tally::Tally;
use crate::timestamps::{INDIA_UTC_OFFSET, epoch_to_ms, is_time_of_day, parse_timestamp};
use crate::value::{Raw, RawKey, Scalar, flag_of, is_blank, is_not_finite, number_of, percent_of, token_of};

/// Most levels a side that are kept; what is beyond is counted as cut.
const MOST_LEVELS: usize = 255;
/// Fields that an LTP tick may have; with any other it is a quote.
const LTP_FIELDS: u32 =
    Field::Ltp.bit() | Field::Volume.bit() | Field::Ltt.bit() | Field::Timestamp.bit() | Field::Seq.bit();

/// What happens to a value that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// It is left out and counted under its key: one bad value never costs the others. For live ticks.
    #[default]
    Lenient,
    /// The tick is refused with `ERR_INVALID_FIELD`. For callers that make their ticks themselves.
    Strict,
}

/// What is known beside the tick, and wins over what stands inside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Topic<'a> {
    /// The symbol.
    pub symbol: Option<&'a str>,
    /// The exchange.
    pub exchange: Option<&'a str>,
    /// The mode.
    pub mode: Option<Mode>,
}

/// Reads the ticks of one adapter. Allocates nothing once its buffers have grown.
///
/// Null, the empty string and `-` count as absent; NaN and infinities travel as NaN. Where a tick has several names of
/// one field, the wire name wins, then the first. A key that no field answers to is counted in [`unknown`](Self::unknown),
/// and so is a time of day without a date.
///
/// What the adapter wrote and no field says in the same form becomes a member of the tick's annex, for clients to find it
/// as it was: such values of keys that are not known, times in other forms than ms, the name of a mode.
#[derive(Debug)]
pub struct Reader {
    strictness: Strictness,
    utc_offset: i32,
    unknown: Tally,
    unreadable: Tally,
    /// Ticks of one second bring the same text again and again, and reading it is the dearest part of a tick.
    last_time: (String, f64),
    now: Now,
}

/// What belongs to the tick that is being read.
#[derive(Debug, Default)]
struct Now {
    symbol: Name,
    exchange: Name,
    mode: Option<Mode>,
    /// The mode as the tick states it.
    stated_mode: Own,
    buys: Vec<DepthLevel>,
    sells: Vec<DepthLevel>,
    /// The sides came from a whole book with levels, which wins over sides that stand alone.
    has_book: bool,
    /// There is a book, or a side, be it empty.
    has_depth: bool,
    /// Where a whole book is read until it is known to be one.
    spare: [Vec<DepthLevel>; 2],
    /// Synonyms that were seen, and their values.
    synonyms: Vec<(u8, Field, f64)>,
    refused: Option<Error>,
    /// The key of the first value that could not be read.
    first_fault: Name,
}

/// A name that keeps its room from tick to tick.
#[derive(Debug, Default)]
struct Name {
    text: String,
    is_set: bool,
}

impl Name {
    fn set(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.is_set = true;
    }

    fn get(&self) -> Option<&str> {
        self.is_set.then_some(self.text.as_str())
    }
}

/// A scalar that keeps its room from tick to tick.
#[derive(Debug, Default)]
struct Own {
    text: String,
    number: Option<f64>,
    is_set: bool,
}

impl Own {
    fn set(&mut self, scalar: Scalar<'_>) {
        self.text.clear();
        (self.number, self.is_set) = (None, false);
        match scalar {
            Scalar::Number(number) if number.is_finite() => (self.number, self.is_set) = (Some(number), true),
            Scalar::Text(text) => {
                self.text.push_str(text);
                self.is_set = true;
            }
            _ => {}
        }
    }

    fn get(&self) -> Option<MemberValue<'_>> {
        let value = self.number.map_or(MemberValue::Text(&self.text), MemberValue::Number);
        self.is_set.then_some(value)
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(Strictness::default(), INDIA_UTC_OFFSET)
    }
}

impl Reader {
    /// `utc_offset` is in minutes east of UTC, for dates and times that name none.
    pub fn new(strictness: Strictness, utc_offset: i32) -> Self {
        Self {
            strictness,
            utc_offset,
            unknown: Tally::default(),
            unreadable: Tally::default(),
            last_time: (String::new(), f64::NAN),
            now: Now::default(),
        }
    }

    /// Keys that no field answers to, and how often each was seen.
    pub const fn unknown(&self) -> &Tally {
        &self.unknown
    }

    /// Keys whose values could not be read, and how often.
    pub const fn unreadable(&self) -> &Tally {
        &self.unreadable
    }

    /// Both tallies: unknown, unreadable.
    pub fn tallies(&mut self) -> [&mut Tally; 2] {
        [&mut self.unknown, &mut self.unreadable]
    }

    /// The symbol that stood in the tick read last.
    pub fn symbol(&self) -> Option<&str> {
        self.now.symbol.get()
    }

    /// The exchange that stood in the tick read last.
    pub fn exchange(&self) -> Option<&str> {
        self.now.exchange.get()
    }

    /// The mode of the tick read last: the one that it states, else by what it carries: 3 with a book, 2 with any field
    /// beyond ltp, volume, ltt, timestamp and seq, else 1.
    pub fn mode(&self, image: &TickImage) -> Mode {
        match self.now.mode {
            Some(mode) => mode,
            None if self.now.has_depth => Mode::Depth,
            None if image.presence() & !LTP_FIELDS != 0 => Mode::Quote,
            None => Mode::Ltp,
        }
    }

    /// Levels of the deeper side of the book of the tick read last, before it was cut.
    pub fn deepest(&self) -> usize {
        self.now.deepest()
    }

    /// Reads a tick into `image`, with at most `levels` levels a side; see [`deepest`](Self::deepest).
    ///
    /// # Errors
    /// `ERR_INVALID_FIELD` for what is no dictionary, for a tick of which nothing could be read, and with
    /// [`Strictness::Strict`] for any value that cannot be read. `ERR_INVALID_SYMBOL` for a symbol or an exchange that
    /// is no text, empty, too long or has control characters, unless it is known beside the tick.
    pub fn read<R: Raw>(
        &mut self,
        tick: &R,
        known: Topic<'_>,
        levels: usize,
        image: &mut TickImage,
    ) -> Result<()> {
        image.clear();
        self.now.begin();
        if !tick.for_each_entry(|key, value| self.entry(key, value, known, image)) {
            return Err(invalid("tick", "a dictionary", &tick.describe()));
        }
        if let Some(error) = self.now.refused.take() {
            return Err(error);
        }
        let now = &mut self.now;
        if now.deepest() > 0 {
            let cut = |side: &[DepthLevel]| levels.min(side.len());
            image.set_depth(&now.buys[..cut(&now.buys)], &now.sells[..cut(&now.sells)]);
        }
        if let Some(key) = now.first_fault.get().filter(|_| image.presence() == 0 && now.deepest() == 0) {
            return Err(Error::new(
                ErrorCode::InvalidField,
                format!("{key} cannot be read, and the tick holds nothing else: expected a number or a book"),
            ));
        }
        if now.has_depth && now.deepest() == 0 {
            image.set_empty_book();
        }
        for &(number, field, value) in &now.synonyms {
            // A synonym whose value is another than the field's would be a lie.
            if image.field(field).is_some_and(|own| own == value || own.is_nan() && value.is_nan()) {
                image.set_synonym(number);
            } else if value.is_finite() {
                image.push_member(SYNONYMS[usize::from(number)].1, MemberValue::Number(value));
            }
        }
        let mode = self.mode(image);
        if let Some(stated) = self.now.stated_mode.get()
            && stated != MemberValue::Number(f64::from(mode as u8))
        {
            image.push_member("mode", stated);
        }
        Ok(())
    }

    #[inline]
    fn entry<R: Raw>(&mut self, key: &R::Key, value: &R, known: Topic<'_>, image: &mut TickImage) {
        match key.rule() {
            Some(Rule::Field(field, Kind::Number, spelling)) => {
                // The usual case first: a number that can be taken as it is.
                match value.scalar() {
                    Scalar::Number(number) if number.is_finite() => {
                        self.put(image, field, spelling, number, number)
                    }
                    scalar if is_blank(scalar) => {}
                    scalar => match number_of(scalar) {
                        Some(number) => self.put(image, field, spelling, number, number),
                        None => self.fault(text_of(key), "a number or text with a number", value),
                    },
                }
            }
            Some(Rule::Ignored) => {}
            Some(Rule::Symbol) if known.symbol.is_some() => self.beside(key, value, known.symbol, image),
            Some(Rule::Exchange) if known.exchange.is_some() => {
                self.beside(key, value, known.exchange, image)
            }
            Some(Rule::Mode) if known.mode.is_some() => {
                let own = known.mode.map(|mode| Scalar::Number(f64::from(mode as u8)));
                if Some(value.scalar()) != own {
                    self.carry(key, value.scalar(), image);
                }
            }
            Some(Rule::Type) if known.mode.is_some() => self.carry(key, value.scalar(), image),
            Some(Rule::Carried) => self.carry(key, value.scalar(), image),
            None | Some(Rule::Level(_)) => {
                if !is_blank(value.scalar()) {
                    self.unknown.count(text_of(key));
                    self.carry(key, value.scalar(), image);
                }
            }
            Some(rule) => {
                if !is_blank(value.scalar()) {
                    self.other(rule, key, value, image);
                }
            }
        }
    }

    /// A name inside a tick that is known beside it: clients get it as it is where it is another one.
    fn beside<R: Raw>(&mut self, key: &R::Key, value: &R, known: Option<&str>, image: &mut TickImage) {
        if !matches!(value.scalar(), Scalar::Text(text) if Some(text) == known) {
            self.carry(key, value.scalar(), image);
        }
    }

    /// Lets clients have a value under its own key, if there is room.
    fn carry(&mut self, key: &(impl RawKey + ?Sized), scalar: Scalar<'_>, image: &mut TickImage) {
        let Some(key) = key.text().filter(|key| !key.chars().any(char::is_control)) else { return };
        if is_blank(scalar) {
            return;
        }
        let value = match scalar {
            Scalar::Number(number) if number.is_finite() => MemberValue::Number(number),
            Scalar::Text(text) => MemberValue::Text(text),
            Scalar::Bool(flag) => MemberValue::Flag(flag),
            _ => return,
        };
        image.push_member(key, value);
    }

    fn other<R: Raw>(&mut self, rule: Rule, raw_key: &R::Key, value: &R, image: &mut TickImage) {
        let key = text_of(raw_key);
        match rule {
            Rule::Field(field, Kind::Percent, spelling) => {
                match number_of(value.scalar()).or_else(|| percent_of(value.scalar())) {
                    Some(number) => self.put(image, field, spelling, number, number),
                    None => self.fault(key, "a number or text with a number", value),
                }
            }
            Rule::Field(field, Kind::Time, spelling) => match self.time_of(value) {
                // No time is said by a time that is 0.
                Ok(0.0) if field == Field::Timestamp => {}
                Ok(ms) => self.put_time(image, (field, spelling), ms, key, value.scalar()),
                Err(true) if field != Field::Timestamp => {
                    self.unknown.count(key);
                    if matches!(spelling, Spelling::Synonym(_)) {
                        self.carry(raw_key, value.scalar(), image);
                    }
                }
                Err(_) => {
                    let expected = "seconds or milliseconds since 1970, or a date and time as in ISO 8601";
                    self.fault(key, expected, value);
                }
            },
            Rule::Field(field, Kind::Flag, spelling) => match flag_of(value.scalar()) {
                Some(flag) => self.put(image, field, spelling, flag, flag),
                None => self.fault(key, "true or false", value),
            },
            Rule::Field(field, _, spelling) => match token_of(value.scalar()) {
                Some(token) => self.put(image, field, spelling, token, token),
                None => {
                    self.unknown.count(key);
                    self.carry(raw_key, value.scalar(), image);
                }
            },
            Rule::Symbol => self.name(key, value, SYMBOL_BYTES),
            Rule::Exchange => self.name(key, value, EXCHANGE_BYTES),
            Rule::Mode => match mode_of(value.scalar()) {
                Some(mode) => {
                    self.now.mode = Some(mode);
                    self.now.stated_mode.set(value.scalar());
                }
                None => self.fault(key, "1, 2, 3, ltp, quote, full or depth", value),
            },
            Rule::Type => match mode_of(value.scalar()) {
                Some(mode) => self.now.mode = self.now.mode.or(Some(mode)),
                None => self.carry(raw_key, value.scalar(), image),
            },
            Rule::Depth => self.book(key, value),
            Rule::Side(side) => self.lone_side(side, key, value),
            Rule::Ohlc => self.ohlc(key, value, image),
            Rule::Carried | Rule::Ignored | Rule::Level(_) => {}
        }
    }

    /// Sets a field, unless a name that wins was there before. `given` is the number as the adapter gave it.
    #[inline]
    fn put(&mut self, image: &mut TickImage, field: Field, spelling: Spelling, value: f64, given: f64) {
        match spelling {
            Spelling::Wire => {
                image.set(field, value);
                return;
            }
            Spelling::Synonym(number) => self.now.synonyms.push((number, field, given)),
            Spelling::TypeScript => {}
        }
        if image.presence() & field.bit() == 0 {
            image.set(field, value);
        }
    }

    /// Sets a time. Where the adapter wrote it in another form, clients get that under its key.
    fn put_time(
        &mut self,
        image: &mut TickImage,
        (field, spelling): (Field, Spelling),
        ms: f64,
        key: &str,
        scalar: Scalar<'_>,
    ) {
        let given = number_of(scalar);
        let is_same = given.is_some_and(|given| given == ms || given.is_nan() && ms.is_nan());
        let text = if let Scalar::Text(text) = scalar { Some(text) } else { None };
        match (spelling, given, text) {
            (Spelling::Synonym(_), None, Some(text)) => {
                image.push_member(key, MemberValue::Text(text));
                self.put(image, field, Spelling::TypeScript, ms, ms);
                return;
            }
            (Spelling::Wire, _, _) if !is_same => {
                // A moment of the language's own type has no form that a client could get.
                let form = given.map(MemberValue::Number).or(text.map(MemberValue::Text));
                if form.is_some_and(|form| !image.push_member(key, form)) {
                    image.replace(key);
                }
            }
            _ => {}
        }
        self.put(image, field, spelling, ms, given.unwrap_or(ms));
    }

    /// Milliseconds since 1970. The error is true for a time of day without a date.
    fn time_of<R: Raw>(&mut self, value: &R) -> std::result::Result<f64, bool> {
        match value.scalar() {
            Scalar::Number(number) => epoch_to_ms(number).ok_or(false),
            Scalar::Text(text) => {
                if text == self.last_time.0 {
                    return Ok(self.last_time.1);
                }
                let trimmed = text.trim();
                let ms = parse_timestamp(trimmed, self.utc_offset)
                    .or_else(|| is_not_finite(trimmed).then_some(f64::NAN))
                    .ok_or_else(|| is_time_of_day(trimmed))?;
                self.last_time.0.clear();
                self.last_time.0.push_str(text);
                self.last_time.1 = ms;
                Ok(ms)
            }
            Scalar::Other => {
                value.moment().and_then(|text| parse_timestamp(&text, self.utc_offset)).ok_or(false)
            }
            Scalar::Null | Scalar::Bool(_) => Err(false),
        }
    }

    fn name<R: Raw>(&mut self, key: &str, value: &R, most: usize) {
        let name = if key == "symbol" { &mut self.now.symbol } else { &mut self.now.exchange };
        match value.scalar() {
            Scalar::Text(text) if text.len() <= most && !text.chars().any(char::is_control) => {
                name.set(text);
            }
            _ => self.now.refuse(Error::new(
                ErrorCode::InvalidSymbol,
                format!(
                    "{key} must be text of 1 to {most} bytes of UTF-8 without control characters, got {}",
                    value.describe()
                ),
            )),
        }
    }

    /// Of a book what can be read counts, and the rest costs itself alone. One without levels takes nothing from sides
    /// that stand alone.
    fn book<R: Raw>(&mut self, key: &str, value: &R) {
        let [mut buys, mut sells] = std::mem::take(&mut self.now.spare);
        buys.clear();
        sells.clear();
        let mut fault = None;
        let is_book = value.for_each_entry(|name, side| {
            let levels = match name.rule() {
                Some(Rule::Side(Side::Buy)) if buys.is_empty() => &mut buys,
                Some(Rule::Side(Side::Sell)) if sells.is_empty() => &mut sells,
                _ => return,
            };
            if let Some(side_fault) = read_side(side, levels) {
                fault.get_or_insert_with(|| side_fault.inside(&format!("{key}.{}", text_of(name))));
            }
        });
        let has_levels = !buys.is_empty() || !sells.is_empty();
        if is_book && (has_levels || fault.is_none() && !self.now.has_depth) {
            std::mem::swap(&mut self.now.buys, &mut buys);
            std::mem::swap(&mut self.now.sells, &mut sells);
            (self.now.has_book, self.now.has_depth) = (has_levels, true);
        }
        self.now.spare = [buys, sells];
        if !is_book && !is_empty_list(value) {
            self.fault(key, "a dictionary with buy and sell", value);
        } else if let Some(fault) = fault {
            self.fault_at(key, &fault);
        }
    }

    /// A side that stands beside the other fields. A whole book in the same tick wins.
    fn lone_side<R: Raw>(&mut self, side: Side, key: &str, value: &R) {
        let levels = if side == Side::Buy { &mut self.now.buys } else { &mut self.now.sells };
        if self.now.has_book || !levels.is_empty() {
            return;
        }
        let fault = read_side(value, levels);
        if fault.is_none() || !levels.is_empty() {
            self.now.has_depth = true;
        }
        if let Some(fault) = fault {
            self.fault_at(key, &fault.inside(key));
        }
    }

    fn ohlc<R: Raw>(&mut self, key: &str, value: &R, image: &mut TickImage) {
        let is_dictionary = value.for_each_entry(|name, price| {
            let Some(field) =
                name.text().and_then(|name| OHLC_FIELDS.into_iter().find(|field| field.name() == name))
            else {
                return;
            };
            if is_blank(price.scalar()) || image.presence() & field.bit() != 0 {
                return;
            }
            match number_of(price.scalar()) {
                Some(number) => image.set(field, number),
                None => {
                    self.fault(&format!("{key}.{}", field.name()), "a number or text with a number", price)
                }
            }
        });
        if !is_dictionary {
            self.fault(key, "a dictionary of open, high, low and close", value);
        }
    }

    #[cold]
    fn fault<R: Raw>(&mut self, key: &str, expected: &str, value: &R) {
        self.count_fault(key);
        if self.strictness == Strictness::Strict {
            self.now.refuse(invalid(key, expected, &value.describe()));
        }
    }

    fn count_fault(&mut self, key: &str) {
        self.unreadable.count(key);
        if !self.now.first_fault.is_set {
            self.now.first_fault.set(key);
        }
    }

    #[cold]
    fn fault_at(&mut self, key: &str, fault: &Fault) {
        self.count_fault(key);
        if self.strictness == Strictness::Strict {
            self.now.refuse(invalid(&fault.place, fault.expected, &fault.found));
        }
    }
}

/// A value of a book that cannot be read: where it stands, what it is, and what was expected.
struct Fault {
    place: String,
    expected: &'static str,
    found: String,
}

impl Fault {
    #[cold]
    fn new<R: Raw>(place: String, expected: &'static str, value: &R) -> Self {
        Self { place, expected, found: value.describe() }
    }

    fn inside(self, outer: &str) -> Self {
        Self { place: format!("{outer}{}", self.place), ..self }
    }
}

impl Now {
    fn begin(&mut self) {
        (self.symbol.is_set, self.exchange.is_set) = (false, false);
        self.mode = None;
        self.stated_mode.is_set = false;
        self.buys.clear();
        self.sells.clear();
        (self.has_book, self.has_depth) = (false, false);
        self.synonyms.clear();
        self.refused = None;
        self.first_fault.is_set = false;
    }

    fn deepest(&self) -> usize {
        self.buys.len().max(self.sells.len())
    }

    fn refuse(&mut self, error: Error) {
        self.refused.get_or_insert(error);
    }
}

fn mode_of(scalar: Scalar<'_>) -> Option<Mode> {
    match scalar {
        Scalar::Number(number) => Mode::from_u8(number as u8).filter(|&mode| f64::from(mode as u8) == number),
        Scalar::Text(text) => {
            let text = text.trim();
            let known = MODES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name))?;
            Mode::from_u8(known.1)
        }
        _ => None,
    }
}

/// True for a list without items, which some adapters send where there is no book.
fn is_empty_list<R: Raw>(value: &R) -> bool {
    let mut is_empty = true;
    let is_list = value.for_each_item(|_, _| {
        is_empty = false;
        false
    });
    is_list && is_empty
}

/// One side of a book: levels as dictionaries or as `[price, quantity, orders]`. Levels that say nothing are left out,
/// and so are those that cannot be read, of which the first is returned.
fn read_side<R: Raw>(side: &R, levels: &mut Vec<DepthLevel>) -> Option<Fault> {
    if is_blank(side.scalar()) {
        return None;
    }
    let mut fault = None;
    let is_list = side.for_each_item(|index, raw| {
        let (level, level_fault) = read_level(raw);
        levels.extend(level);
        if let Some(level_fault) = level_fault {
            fault.get_or_insert_with(|| level_fault.inside(&format!("[{index}]")));
        }
        levels.len() < MOST_LEVELS
    });
    if is_list { fault } else { Some(Fault::new(String::new(), "a list of price levels", side)) }
}

/// A level as it is being read.
#[derive(Default)]
struct Level {
    price: Option<f64>,
    quantity: Option<f64>,
    orders: Option<f64>,
    fault: Option<Fault>,
}

impl Level {
    /// Takes in a part; what is blank is absent, and of several names of a part the first counts.
    #[inline]
    fn set<R: Raw>(&mut self, part: LevelPart, value: &R) {
        let own = match part {
            LevelPart::Price => &mut self.price,
            LevelPart::Quantity => &mut self.quantity,
            LevelPart::Orders => &mut self.orders,
        };
        let scalar = value.scalar();
        if own.is_some() || is_blank(scalar) {
            return;
        }
        *own = number_of(scalar).filter(|number| number.is_finite());
        if own.is_none() && self.fault.is_none() {
            let name = [".price", ".quantity", ".orders"][part as usize];
            self.fault = Some(Fault::new(name.to_owned(), "a number or text with a number", value));
        }
    }
}

/// A level, and what of it cannot be read. No level of one that says nothing, or that lacks its price or quantity.
#[inline]
fn read_level<R: Raw>(raw: &R) -> (Option<DepthLevel>, Option<Fault>) {
    let mut level = Level::default();
    let is_dictionary = raw.for_each_entry(|key, value| {
        if let Some(Rule::Level(part)) = key.rule() {
            level.set(part, value);
        }
    });
    if !is_dictionary {
        let is_list = raw.for_each_item(|index, value| {
            level.set([LevelPart::Price, LevelPart::Quantity, LevelPart::Orders][index.min(2)], value);
            index < 2
        });
        if !is_list && !is_blank(raw.scalar()) {
            let expected = "a dictionary with price, quantity and orders";
            return (None, Some(Fault::new(String::new(), expected, raw)));
        }
    }
    let Level { price, quantity, orders, fault } = level;
    match (price, quantity) {
        (Some(price), Some(quantity)) => {
            (Some(DepthLevel { price, quantity, orders: orders.unwrap_or(0.0) }), fault)
        }
        _ if fault.is_some() => (None, fault),
        (None, None) => (None, None),
        (None, _) => (None, Some(Fault::new(".price".to_owned(), "a number, as there is a quantity", raw))),
        (_, None) => (None, Some(Fault::new(".quantity".to_owned(), "a number, as there is a price", raw))),
    }
}

/// The text of a key, for people.
fn text_of(key: &(impl RawKey + ?Sized)) -> &str {
    key.text().unwrap_or("(not text)")
}

fn invalid(key: &str, expected: &str, found: &str) -> Error {
    Error::new(ErrorCode::InvalidField, format!("{key} must be {expected}, got {found}"))
}
