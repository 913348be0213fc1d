//! What few ticks have, in words of its own behind the levels: members as the broker's adapter wrote them where no field
//! says the same, and how old a tick is that came as the last value of another proxy.
//!
//! ```text
//! word 0  flags 16 bits · bytes of the members 16 bits · not used
//!      1  of a snapshot: its age 32 bits · the age of its oldest value 32 bits, ms
//!      2  members, one after the other: length of the key, key, kind, value; then zeros
//! ```
//!
//! A number is an f64, a text its length in a byte and its UTF-8. The number of words is even, and the meta word has half
//! of it.

/// Most words of an annex.
pub const ANNEX_WORDS: usize = 30;
/// Bytes that all members together can take.
pub const MEMBER_BYTES: usize = (ANNEX_WORDS - FIRST_MEMBER) * 8;
/// The first word of the members.
const FIRST_MEMBER: usize = 2;

/// It is the last value of another proxy.
const SNAPSHOT: u64 = 1;
/// The tick has a book without levels.
const EMPTY_BOOK: u64 = 1 << 1;

/// Names of a tick's data that a member can have in place of the tick's own value.
pub const REPLACED: [&str; 6] = ["ltt", "timestamp", "exchange_timestamp", "mode", "symbol", "exchange"];
/// The flag of the first of [`REPLACED`].
const FIRST_REPLACED: u32 = 2;

const NUMBER: u8 = 1;
const TEXT: u8 = 2;
const TRUE: u8 = 3;
const FALSE: u8 = 4;

/// A member's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MemberValue<'a> {
    /// A number.
    Number(f64),
    /// Text.
    Text(&'a str),
    /// True or false.
    Flag(bool),
}

/// How old a snapshot is, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedAge {
    /// Its newest tick.
    pub newest_ms: u32,
    /// Its oldest value; no less than `newest_ms`.
    pub oldest_ms: u32,
}

/// An annex that is being put together.
#[derive(Debug, Clone)]
pub(super) struct AnnexBuilder {
    flags: u64,
    ages: u64,
    members: [u8; MEMBER_BYTES],
    used: usize,
}

impl AnnexBuilder {
    pub const fn new() -> Self {
        Self { flags: 0, ages: 0, members: [0; MEMBER_BYTES], used: 0 }
    }

    pub const fn clear(&mut self) {
        (self.flags, self.ages, self.used) = (0, 0, 0);
    }

    pub fn set_age(&mut self, age: CarriedAge) {
        self.flags |= SNAPSHOT;
        self.ages = u64::from(age.newest_ms) | u64::from(age.oldest_ms.max(age.newest_ms)) << 32;
    }

    pub const fn set_empty_book(&mut self) {
        self.flags |= EMPTY_BOOK;
    }

    pub fn replace(&mut self, name: &str) {
        self.flags |= replaced_flag(name).unwrap_or_default();
    }

    /// False where there is no room, or the key is empty or there already.
    pub fn push(&mut self, key: &str, value: MemberValue<'_>) -> bool {
        let text = if let MemberValue::Text(text) = value { text } else { "" };
        let value_bytes = match value {
            MemberValue::Number(_) => 8,
            MemberValue::Text(_) => 1 + text.len(),
            MemberValue::Flag(_) => 0,
        };
        let end = self.used + 2 + key.len() + value_bytes;
        if key.is_empty() || end > MEMBER_BYTES || find(&self.members[..self.used], key.as_bytes()).is_some()
        {
            return false;
        }
        let mut put = |bytes: &[u8]| {
            self.members[self.used..self.used + bytes.len()].copy_from_slice(bytes);
            self.used += bytes.len();
        };
        put(&[key.len() as u8]);
        put(key.as_bytes());
        match value {
            MemberValue::Number(number) => {
                put(&[NUMBER]);
                put(&number.to_le_bytes());
            }
            MemberValue::Text(_) => {
                put(&[TEXT, text.len() as u8]);
                put(text.as_bytes());
            }
            MemberValue::Flag(flag) => put(&[if flag { TRUE } else { FALSE }]),
        }
        self.flags |= replaced_flag(key).unwrap_or_default();
        true
    }

    /// The words, none if there is nothing to say.
    pub fn append_to(&self, words: &mut Vec<u64>) -> usize {
        if self.flags == 0 && self.used == 0 {
            return 0;
        }
        let count = (FIRST_MEMBER + self.used.div_ceil(8)).next_multiple_of(2);
        let first = words.len();
        words.resize(first + count, 0);
        words[first] = self.flags | (self.used as u64) << 16;
        words[first + 1] = self.ages;
        for (word, bytes) in words[first + FIRST_MEMBER..].iter_mut().zip(self.members[..self.used].chunks(8))
        {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        count
    }
}

fn replaced_flag(name: &str) -> Option<u64> {
    REPLACED.iter().position(|&replaced| replaced == name).map(|at| 1 << (FIRST_REPLACED + at as u32))
}

/// The annex of a tick. Its words may come from another process: what cannot be read ends the members.
#[derive(Debug, Clone, Copy)]
pub struct Annex<'a> {
    words: &'a [u64],
}

impl<'a> Annex<'a> {
    pub(super) const fn new(words: &'a [u64]) -> Self {
        Self { words }
    }

    fn flags(self) -> u64 {
        self.words.first().copied().unwrap_or_default()
    }

    /// Its words.
    pub const fn words(self) -> &'a [u64] {
        self.words
    }

    /// How old it was when it was published here, if it is the last value of another proxy.
    pub fn age(self) -> Option<CarriedAge> {
        age_of(self.words)
    }

    /// True if the tick says that its book has no levels.
    pub fn has_empty_book(self) -> bool {
        self.flags() & EMPTY_BOOK != 0
    }

    /// True if the value under this name of [`REPLACED`] is a member's, or unknown, and not the tick's own.
    pub fn replaces(self, name: &str) -> bool {
        replaced_flag(name).is_some_and(|flag| self.flags() & flag != 0)
    }

    /// Its members, copied: words from another process may not lie as bytes.
    pub fn members(self) -> Members {
        let mut bytes = [0; MEMBER_BYTES];
        let words = self.words.get(FIRST_MEMBER..).unwrap_or_default();
        let said = ((self.flags() >> 16 & 0xffff) as usize).min(8 * words.len()).min(MEMBER_BYTES);
        let room = bytes.as_chunks_mut::<8>().0;
        room.iter_mut().zip(words).for_each(|(room, word)| *room = word.to_le_bytes());
        Members { used: readable(&bytes[..said]), bytes }
    }
}

/// The members of an annex, each with a key of its own.
#[derive(Debug, Clone)]
pub struct Members {
    bytes: [u8; MEMBER_BYTES],
    /// Of those that can be read.
    used: usize,
}

impl Members {
    /// Each member.
    pub fn iter(&self) -> impl Iterator<Item = (&str, MemberValue<'_>)> {
        raw_members(&self.bytes[..self.used]).map_while(|raw| Some((text_of(raw.key)?, raw.value()?)))
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<MemberValue<'_>> {
        find(&self.bytes[..self.used], name.as_bytes())?.value()
    }
}

/// The age of a snapshot, from the words of an annex.
pub(crate) fn age_of(words: &[u64]) -> Option<CarriedAge> {
    let [flags, ages, ..] = *words else { return None };
    let (newest_ms, oldest_ms) = (ages as u32, (ages >> 32) as u32);
    (flags & SNAPSHOT != 0).then(|| CarriedAge { newest_ms, oldest_ms: oldest_ms.max(newest_ms) })
}

/// A member whose texts nobody has looked at.
struct RawMember<'a> {
    key: &'a [u8],
    kind: u8,
    value: &'a [u8],
    /// Bytes of all that is behind it.
    behind: usize,
}

impl<'a> RawMember<'a> {
    fn value(&self) -> Option<MemberValue<'a>> {
        match self.kind {
            NUMBER => Some(MemberValue::Number(f64::from_le_bytes(self.value.try_into().ok()?))),
            TEXT => text_of(self.value).map(MemberValue::Text),
            _ => Some(MemberValue::Flag(self.kind == TRUE)),
        }
    }
}

/// Members up to the first that is not whole.
fn raw_members(mut rest: &[u8]) -> impl Iterator<Item = RawMember<'_>> {
    std::iter::from_fn(move || {
        let (&length, behind) = rest.split_first()?;
        let (key, behind) = behind.split_at_checked(usize::from(length))?;
        let (&kind, behind) = behind.split_first()?;
        let (length, behind) = match kind {
            NUMBER => (8, behind),
            TEXT => behind.split_first().map(|(&length, behind)| (usize::from(length), behind))?,
            TRUE | FALSE => (0, behind),
            _ => return None,
        };
        let (value, behind) = behind.split_at_checked(length)?;
        rest = behind;
        Some(RawMember { key, kind, value, behind: behind.len() })
    })
}

fn find<'a>(bytes: &'a [u8], key: &[u8]) -> Option<RawMember<'a>> {
    raw_members(bytes).find(|member| member.key == key)
}

/// Bytes of the members up to the first that cannot be read: it is not whole, has a text that is no UTF-8, or no key
/// or one that was there before.
fn readable(bytes: &[u8]) -> usize {
    let mut used = 0;
    for member in raw_members(bytes) {
        let is_new = !member.key.is_empty() && find(&bytes[..used], member.key).is_none();
        if !is_new || text_of(member.key).is_none() || member.value().is_none() {
            break;
        }
        used = bytes.len() - member.behind;
    }
    used
}

fn text_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[u64]) -> Vec<String> {
        Annex::new(words).members().iter().map(|(key, value)| format!("{key}={value:?}")).collect()
    }

    #[test]
    fn members_are_read_as_they_were_written() {
        let mut builder = AnnexBuilder::new();
        assert!(builder.push("token", MemberValue::Text("2885")));
        assert!(builder.push("prev_oi", MemberValue::Number(12.5)));
        assert!(builder.push("live", MemberValue::Flag(true)));
        assert!(builder.push("ltt", MemberValue::Text("15:29:59 é")));
        builder.set_age(CarriedAge { newest_ms: 7, oldest_ms: 3 });
        let mut words = Vec::new();
        assert_eq!(builder.append_to(&mut words), words.len());
        assert!(words.len().is_multiple_of(2) && words.len() <= ANNEX_WORDS);
        assert_eq!(
            read(&words),
            ["token=Text(\"2885\")", "prev_oi=Number(12.5)", "live=Flag(true)", "ltt=Text(\"15:29:59 é\")"]
        );
        let annex = Annex::new(&words);
        assert_eq!(annex.age(), Some(CarriedAge { newest_ms: 7, oldest_ms: 7 }));
        assert!(annex.replaces("ltt") && !annex.replaces("timestamp") && !annex.replaces("token"));
        assert_eq!(annex.members().get("token"), Some(MemberValue::Text("2885")));
        assert_eq!(annex.members().get("other"), None);
        builder.clear();
        assert_eq!(builder.append_to(&mut words), 0);
    }

    #[test]
    fn what_has_no_room_is_refused() {
        let mut builder = AnnexBuilder::new();
        assert!(!builder.push("", MemberValue::Flag(true)));
        assert!(!builder.push("key", MemberValue::Text(&"x".repeat(MEMBER_BYTES))));
        let mut count = 0;
        while builder.push(&char::from(b'!' + count as u8).to_string(), MemberValue::Number(1.0)) {
            count += 1;
        }
        assert_eq!(count, MEMBER_BYTES / 11);
        let mut words = Vec::new();
        assert_eq!(builder.append_to(&mut words), ANNEX_WORDS);
        assert_eq!(read(&words).len(), count);
    }

    #[test]
    fn a_key_that_is_there_again_is_refused_and_ends_the_members_of_another_process() {
        let mut builder = AnnexBuilder::new();
        for key in ["a", "b", "c", "d"] {
            assert!(builder.push(key, MemberValue::Flag(true)));
        }
        assert!(!builder.push("a", MemberValue::Flag(false)));
        let mut words = Vec::new();
        builder.append_to(&mut words);
        assert_eq!(read(&words).len(), 4);
        // The key of the third member.
        words[FIRST_MEMBER] = words[FIRST_MEMBER] & !(0xff << 56) | u64::from(b'a') << 56;
        assert_eq!(read(&words), ["a=Flag(true)", "b=Flag(true)"]);
    }

    #[test]
    fn no_words_panic() {
        let mut state = 1_u64;
        for length in (0..ANNEX_WORDS + 4).cycle().take(20_000) {
            let words: Vec<u64> = (0..length)
                .map(|_| {
                    // Knuth's constants for a linear congruential generator; small bytes make members.
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    state & if state >> 63 == 0 { u64::MAX } else { 0x0303_6103_0301_6101 }
                })
                .collect();
            read(&words);
            let _ = Annex::new(&words).age();
        }
    }
}
