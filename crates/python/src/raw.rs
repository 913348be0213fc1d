//! Python's values as the dialect reads them.

use std::cell::RefCell;

use openalgo_shm_dialect::names::{Rule, rule_of};
use openalgo_shm_dialect::{Raw, RawKey, Scalar};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

/// A value of a tick's dictionary.
pub struct Value<'py>(pub Bound<'py, PyAny>);

impl<'py> Raw for Value<'py> {
    type Key = Key<'py>;

    #[inline]
    fn scalar(&self) -> Scalar<'_> {
        let value = &self.0;
        if let Ok(number) = value.cast_exact::<PyFloat>() {
            return Scalar::Number(number.value());
        }
        if let Ok(text) = value.cast::<PyString>() {
            // Text with a lone surrogate has no UTF-8: it is nothing that could be read.
            return text.to_str().map_or(Scalar::Other, Scalar::Text);
        }
        if let Ok(number) = value.cast_exact::<PyInt>() {
            // Twice as fast as Python's own conversion; beyond 2^53 both round alike.
            let whole = number.extract::<i64>().map(|whole| whole as f64);
            return Scalar::Number(whole.or_else(|_| number.extract()).unwrap_or(f64::NAN));
        }
        other(value)
    }

    fn for_each_entry(&self, mut each: impl FnMut(&Key<'py>, &Self)) -> bool {
        if let Ok(dictionary) = self.0.cast::<PyDict>() {
            // PyO3's iterator panics when the dictionary changes meanwhile, which code of a value's own may do: what
            // was there is read as far as that goes.
            let length = dictionary.len();
            for (key, value) in dictionary.iter().take(length) {
                each(&Key(key), &Value(value));
                if dictionary.len() != length {
                    break;
                }
            }
            return true;
        }
        let Ok(mapping) = self.0.cast::<PyMapping>() else { return false };
        let Ok(items) = mapping.items() else { return false };
        for item in items.iter() {
            if let Ok((key, value)) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() {
                each(&Key(key), &Value(value));
            }
        }
        true
    }

    fn for_each_item(&self, mut each: impl FnMut(usize, &Self) -> bool) -> bool {
        if let Ok(list) = self.0.cast::<PyList>() {
            for (index, item) in list.iter().enumerate() {
                if !each(index, &Value(item)) {
                    break;
                }
            }
            return true;
        }
        let Ok(tuple) = self.0.cast::<PyTuple>() else { return false };
        for (index, item) in tuple.iter().enumerate() {
            if !each(index, &Value(item)) {
                break;
            }
        }
        true
    }

    fn moment(&self) -> Option<String> {
        // A `datetime` or a pandas `Timestamp`; without a zone it means the market's.
        self.0.call_method0("isoformat").ok()?.extract().ok()
    }

    fn describe(&self) -> String {
        let kind = self.0.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
        match self.0.repr() {
            Ok(text) => {
                let text = text.to_string();
                let shown: String = text.chars().take(60).collect();
                let rest = if shown.len() < text.len() { "…" } else { "" };
                format!("{kind} {shown}{rest}")
            }
            Err(_) => format!("a value of type {kind}"),
        }
    }
}

/// Keys whose rules are remembered: adapters' dictionaries have the same few objects as keys again and again.
const REMEMBERED: usize = 128;

type Remembered = Option<(Py<PyString>, Rule)>;

thread_local! {
    static RULES: RefCell<[Remembered; REMEMBERED]> =
        const { RefCell::new([const { None }; REMEMBERED]) };
}

/// A key of a dictionary.
pub struct Key<'py>(Bound<'py, PyAny>);

impl RawKey for Key<'_> {
    fn text(&self) -> Option<&str> {
        self.0.cast::<PyString>().ok()?.to_str().ok()
    }

    /// Found by the address of the key's object, without a look at its text. The object is kept, so no other can have
    /// its address.
    #[inline]
    fn rule(&self) -> Option<Rule> {
        RULES.with_borrow_mut(|rules| {
            let slot = &mut rules[self.0.as_ptr() as usize >> 4 & (REMEMBERED - 1)];
            match slot {
                Some((known, rule)) if known.is(&self.0) => Some(*rule),
                _ => {
                    let rule = rule_of(self.text()?)?;
                    *slot = Some((self.0.cast::<PyString>().ok()?.clone().unbind(), rule));
                    Some(rule)
                }
            }
        })
    }
}

#[cold]
fn other<'a>(value: &Bound<'_, PyAny>) -> Scalar<'a> {
    if value.is_none() {
        return Scalar::Null;
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Scalar::Bool(flag.is_true());
    }
    let is_structure = value.cast::<PyDict>().is_ok()
        || value.cast::<PyList>().is_ok()
        || value.cast::<PyTuple>().is_ok()
        || value.cast::<PyBytes>().is_ok();
    if is_structure || value.hasattr("isoformat").unwrap_or(false) {
        return Scalar::Other;
    }
    // numpy's numbers, `Decimal`, `Fraction`: whatever calls itself a float, but not numpy's booleans.
    if value.get_type().name().is_ok_and(|name| name == "bool" || name == "bool_") {
        return value.is_truthy().map_or(Scalar::Other, Scalar::Bool);
    }
    match value.hasattr("__float__") {
        Ok(true) => value.extract().map_or(Scalar::Other, Scalar::Number),
        _ => Scalar::Other,
    }
}
