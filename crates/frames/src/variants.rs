//! The forms in which a tick is encoded: a mode and a format each.

use openalgo_shm_ring::message::Mode;

use crate::encode::Format;

/// A set of variants: bit m for mode m as JSON, bit m + 4 for mode m as MessagePack. The number of a bit is the
/// number of its variant.
pub type Variants = u8;

/// Most variants of a tick.
pub(crate) const VARIANT_COUNT: usize = 6;

/// The mode and format of a variant's number.
pub(crate) const fn mode_and_format(variant: u8) -> Option<(Mode, Format)> {
    let format = if variant & 4 == 0 { Format::Json } else { Format::MessagePack };
    match Mode::from_u8(variant & 3) {
        Some(mode) if variant < 8 => Some((mode, format)),
        _ => None,
    }
}

/// The variants that a tick of this mode has.
pub(crate) const fn variants_up_to(mode: Mode) -> Variants {
    let modes = (2 << mode as u8) - 2;
    modes | modes << 4
}
