//! A tick as Python sees it: a copy, read on demand.

use openalgo_shm_dialect::names::{Rule, Spelling, rule_of};
use openalgo_shm_ring::message::{
    Annex, DepthLevel, Field, Head, MemberValue, Members, MessageView, REPLACED, SYNONYMS,
};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

/// A tick. Fields that the tick does not have are ``None``. Prices are in the instrument's currency, times in ms
/// since 1970. ``tick["52_week_high"]`` takes the names on the wire, those that brokers' adapters use, and other keys that
/// this one's adapter wrote.
#[pyclass(frozen, module = "openalgo_shm", freelist = 256)]
pub struct Tick {
    head: Head,
    rest: Box<[u64]>,
    #[pyo3(get)]
    symbol: Py<PyString>,
    #[pyo3(get)]
    exchange: Py<PyString>,
    #[pyo3(get)]
    publisher: Py<PyString>,
}

impl Tick {
    pub fn new(
        head: Head,
        rest: &[u64],
        symbol: Py<PyString>,
        exchange: Py<PyString>,
        publisher: Py<PyString>,
    ) -> Self {
        Self { head, rest: rest.into(), symbol, exchange, publisher }
    }

    fn view(&self) -> MessageView<'_> {
        MessageView::of_parts(&self.head, &self.rest)
    }

    fn has_member(&self, name: &str) -> bool {
        self.view().annex().is_some_and(|annex| annex.members().get(name).is_some())
    }

    fn named(&self, name: &str) -> Option<f64> {
        match rule_of(name) {
            Some(Rule::Field(field, _, Spelling::Wire | Spelling::Synonym(_))) => self.view().field(field),
            _ => None,
        }
    }
}

macro_rules! fields {
    ($($name:ident $field:ident,)*) => {
        #[pymethods]
        impl Tick {
            $(#[getter] fn $name(&self) -> Option<f64> { self.view().field(Field::$field) })*

            /// 1 LTP, 2 quote, 3 depth.
            #[getter]
            fn mode(&self) -> u8 {
                self.view().mode() as u8
            }

            /// Number of the message in its publisher's lane, from 0, without gaps.
            #[getter]
            fn sequence(&self) -> u64 {
                self.view().sequence()
            }

            /// When it was published, ns of ``monotonic_ns``.
            #[getter]
            fn publish_ns(&self) -> u64 {
                self.view().publish_ns()
            }

            #[getter]
            fn depth<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
                if has_book(self.view()) { book(self.view(), py).map(Some) } else { Ok(None) }
            }

            /// What the broker's adapter wrote that no field says in the same form, by its keys.
            #[getter]
            fn members<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                members(self.view(), py, |_| true)
            }

            /// Of the last value of another source, such as another proxy: how old it was when it was published here.
            #[getter]
            fn age_ms(&self) -> Option<u32> {
                Some(self.view().annex()?.age()?.newest_ms)
            }

            /// With an ``age_ms``: how old its oldest value was then.
            #[getter]
            fn oldest_age_ms(&self) -> Option<u32> {
                Some(self.view().annex()?.age()?.oldest_ms)
            }

            #[pyo3(signature = (name, default = None))]
            fn get<'py>(
                &self,
                py: Python<'py>,
                name: &str,
                default: Option<Bound<'py, PyAny>>,
            ) -> PyResult<Option<Bound<'py, PyAny>>> {
                Ok(self.item(py, name)?.or(default))
            }

            fn keys(&self) -> Vec<String> {
                let mut keys = vec!["symbol", "exchange", "mode"];
                self.view().for_each_field(|field, _| keys.push(field.name()));
                keys.extend(told(self.view()).map(|(_, name)| name));
                if has_book(self.view()) {
                    keys.push("depth");
                }
                let mut keys: Vec<_> = keys.into_iter().map(str::to_owned).collect();
                let members = self.view().annex().map(Annex::members);
                for (key, _) in members.iter().flat_map(Members::iter) {
                    if !is_own(key) && !keys.iter().any(|known| known == key) {
                        keys.push(key.to_owned());
                    }
                }
                keys
            }

            /// With the names on the wire, and those that the broker's adapter used, as OpenAlgo's clients have them.
            fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                let dictionary = PyDict::new(py);
                for key in self.keys() {
                    dictionary.set_item(&key, self.item(py, &key)?)?;
                }
                Ok(dictionary)
            }

            fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
                self.item(py, name)?.ok_or_else(|| PyKeyError::new_err(name.to_owned()))
            }

            fn __contains__(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
                Ok(self.item(py, name)?.is_some())
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                Ok(format!("Tick({})", self.as_dict(py)?.repr()?))
            }
        }
    };
}

fields! {
    ltp Ltp,
    volume Volume,
    ltt Ltt,
    timestamp Timestamp,
    open Open,
    high High,
    low Low,
    close Close,
    prev_close PrevClose,
    average_price AveragePrice,
    last_quantity LastQuantity,
    oi Oi,
    bid Bid,
    ask Ask,
    bid_qty BidQty,
    ask_qty AskQty,
    total_buy_quantity TotalBuyQuantity,
    total_sell_quantity TotalSellQuantity,
    change Change,
    change_percent ChangePercent,
    upper_circuit UpperCircuit,
    lower_circuit LowerCircuit,
    week_52_high Week52High,
    week_52_low Week52Low,
    oi_day_high OiDayHigh,
    oi_day_low OiDayLow,
    oi_change OiChange,
    seq Seq,
    turnover Turnover,
    instrument_token InstrumentToken,
    tradable Tradable,
    exchange_timestamp ExchangeTimestamp,
}

impl Tick {
    fn item<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(match name {
            "symbol" => Some(self.symbol.bind(py).clone().into_any()),
            "exchange" => Some(self.exchange.bind(py).clone().into_any()),
            "mode" => Some(self.mode().into_pyobject(py)?.into_any()),
            "depth" => self.depth(py)?.map(Bound::into_any),
            name if !is_own(name) && self.has_member(name) => {
                members(self.view(), py, |key| key == name)?.get_item(name)?
            }
            name => self.named(name).map(|value| value.into_pyobject(py)).transpose()?.map(Bound::into_any),
        })
    }
}

/// True of names whose values are the tick's own, whatever its adapter wrote under them.
fn is_own(name: &str) -> bool {
    REPLACED.contains(&name)
}

fn has_book(view: MessageView<'_>) -> bool {
    view.levels() > 0 || view.annex().is_some_and(Annex::has_empty_book)
}

/// The members of a tick whose keys are wanted.
fn members<'py>(
    view: MessageView<'_>,
    py: Python<'py>,
    wants: impl Fn(&str) -> bool,
) -> PyResult<Bound<'py, PyDict>> {
    let dictionary = PyDict::new(py);
    let members = view.annex().map(Annex::members);
    for (key, value) in members.iter().flat_map(Members::iter).filter(|(key, _)| wants(key)) {
        match value {
            MemberValue::Number(number) => dictionary.set_item(key, number)?,
            MemberValue::Text(text) => dictionary.set_item(key, text)?,
            MemberValue::Flag(flag) => dictionary.set_item(key, flag)?,
        }
    }
    Ok(dictionary)
}

/// The names of brokers' adapters that a tick's fields came under.
fn told(view: MessageView<'_>) -> impl Iterator<Item = (Field, &'static str)> {
    let bits = view.synonyms();
    SYNONYMS
        .into_iter()
        .enumerate()
        .filter(move |(number, (field, _))| {
            bits[number / 64] >> (number % 64) & 1 != 0 && view.field(*field).is_some()
        })
        .map(|(_, synonym)| synonym)
}

fn book<'py>(view: MessageView<'_>, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let book = PyDict::new(py);
    book.set_item("buy", side(view.buys(), py)?)?;
    book.set_item("sell", side(view.sells(), py)?)?;
    Ok(book)
}

fn side<'py>(levels: impl Iterator<Item = DepthLevel>, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for level in levels {
        let entry = PyDict::new(py);
        entry.set_item("price", level.price)?;
        entry.set_item("quantity", level.quantity)?;
        entry.set_item("orders", level.orders)?;
        list.append(entry)?;
    }
    Ok(list)
}
