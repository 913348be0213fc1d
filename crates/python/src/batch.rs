//! Ticks as columns, given to Python through Arrow's PyCapsule interface: pyarrow, polars and DuckDB take it as it is.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Int32Type, TimestampMillisecondType};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, ListArray, PrimitiveArray, RecordBatch,
    RecordBatchIterator, StringArray, StructArray, UInt8Array, UInt64Array,
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field as Column, Fields, Schema};
use openalgo_shm_dialect::names::Kind;
use openalgo_shm_ring::message::{Annex, DepthLevel, FIELD_COUNT, Field, Head, LINE_WORDS, MessageView};
use openalgo_shm_ring::stats::PublisherNames;
use openalgo_shm_ring::{Consumer, Error, ErrorCode};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

use crate::error::exception;

/// Ticks that are read from the ring at a time: their heads and their fields stay in the cache.
const SLICE: usize = 512;

/// Makes batches; keeps the names that it has seen.
pub struct Batcher {
    schema: Arc<Schema>,
    /// Code of each topic, by lane and number.
    codes: Vec<Vec<Option<(i32, i32)>>>,
    exchanges: Names,
    symbols: Names,
    publishers: PublisherNames,
    heads: Vec<Head>,
    rest: Vec<u64>,
}

/// Names with a number each, and the array of them.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, i32>,
    names: Vec<String>,
    array: Option<Arc<StringArray>>,
}

/// The columns that are being filled.
#[derive(Default)]
struct Columns {
    count: usize,
    /// Ticks that the columns have room for from the start.
    expected: usize,
    exchange: Vec<i32>,
    symbol: Vec<i32>,
    publisher: Vec<i32>,
    mode: Vec<u8>,
    sequence: Vec<u64>,
    publish_ns: Vec<u64>,
    fields: Vec<Values>,
    sides: [Side; 2],
    /// Of last values that came from another source.
    ages_ms: Values,
}

/// A numeric field; empty until a tick has it.
#[derive(Default)]
struct Values {
    values: Vec<f64>,
    valid: Option<BooleanBufferBuilder>,
}

#[derive(Default)]
struct Side {
    offsets: Vec<i32>,
    levels: [Vec<f64>; 3],
}

impl Batcher {
    pub fn new(lanes: usize) -> Self {
        Self {
            schema: Arc::new(schema()),
            codes: vec![Vec::new(); lanes],
            exchanges: Names::default(),
            symbols: Names::default(),
            publishers: PublisherNames::default(),
            heads: Vec::new(),
            rest: Vec::new(),
        }
    }

    /// The ticks that were read already, then up to `max` in all from the ring.
    pub fn collect(
        &mut self,
        consumer: &mut Consumer,
        heads: &[Head],
        rest: &[u64],
        max: usize,
    ) -> Result<ArrowBatch, Error> {
        let expected =
            usize::try_from(consumer.lag()).unwrap_or(usize::MAX).saturating_add(heads.len()).min(max);
        let mut columns = Columns::new(expected);
        for head in heads {
            self.add(&mut columns, consumer, head, rest);
        }
        let longest = consumer.segment().layout().longest_rest();
        let mut own = (std::mem::take(&mut self.heads), std::mem::take(&mut self.rest));
        own.0.resize(SLICE, [0; LINE_WORDS]);
        own.1.resize(SLICE * longest.max(1), 0);
        while columns.count < max {
            let most = (max - columns.count).min(SLICE);
            let read = consumer.poll_into(&mut own.0[..most], &mut own.1);
            for head in &own.0[..read] {
                self.add(&mut columns, consumer, head, &own.1);
            }
            if read == 0 {
                break;
            }
        }
        (self.heads, self.rest) = own;
        self.finish(columns).map(|batch| ArrowBatch { batch }).map_err(|error| {
            Error::new(ErrorCode::InvalidArgument, format!("the columns do not make a batch: {error}"))
        })
    }

    #[inline]
    fn add(&mut self, columns: &mut Columns, consumer: &Consumer, head: &Head, rest: &[u64]) {
        let view = consumer.view(head, rest);
        let lane = view.lane();
        let (exchange, symbol) = self.topic(consumer, lane, view.topic());
        let publisher = self.publishers.of(consumer.segment(), lane) as i32;
        columns.add(view, exchange, symbol, publisher);
    }

    #[inline]
    fn topic(&mut self, consumer: &Consumer, lane: usize, number: u32) -> (i32, i32) {
        if let Some(Some(codes)) = self.codes[lane].get(number as usize) {
            return *codes;
        }
        self.add_topic(consumer, lane, number)
    }

    #[cold]
    fn add_topic(&mut self, consumer: &Consumer, lane: usize, number: u32) -> (i32, i32) {
        let name = consumer.topic_name(lane, number);
        let exchange = self.exchanges.number_of(&name.map_or_else(String::new, |name| name.exchange()));
        let symbol = self.symbols.number_of(&name.map_or_else(String::new, |name| name.symbol()));
        let codes = &mut self.codes[lane];
        if codes.len() <= number as usize {
            codes.resize(number as usize + 1, None);
        }
        codes[number as usize] = Some((exchange, symbol));
        (exchange, symbol)
    }

    fn publisher_column(&self, codes: Vec<i32>) -> Result<ArrayRef, arrow_schema::ArrowError> {
        let last = codes.iter().copied().max().unwrap_or(-1);
        let names = StringArray::from_iter_values((0..=last).map(|code| self.publishers.name(code as u32)));
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(codes), Arc::new(names))?))
    }

    fn finish(&mut self, columns: Columns) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let Columns {
            count,
            exchange,
            symbol,
            publisher,
            mode,
            sequence,
            publish_ns,
            fields,
            sides,
            ages_ms,
            ..
        } = columns;
        let mut arrays: Vec<ArrayRef> = vec![
            self.exchanges.column(exchange)?,
            self.symbols.column(symbol)?,
            self.publisher_column(publisher)?,
            Arc::new(UInt8Array::from(mode)),
            Arc::new(UInt64Array::from(sequence)),
            Arc::new(UInt64Array::from(publish_ns)),
        ];
        // Columns without a value share one array of nulls.
        let absent: ArrayRef = Arc::new(Float64Array::new_null(count));
        let absent_time: ArrayRef =
            Arc::new(PrimitiveArray::<TimestampMillisecondType>::new_null(count).with_timezone("UTC"));
        for (field, values) in Field::ALL.into_iter().zip(fields) {
            let is_time = Kind::of(field) == Kind::Time;
            arrays.push(match (values.finish(count), is_time) {
                (Some(column), false) => column,
                (Some(column), true) => times(&column),
                (None, false) => Arc::clone(&absent),
                (None, true) => Arc::clone(&absent_time),
            });
        }
        for side in sides {
            arrays.push(side.finish(count)?);
        }
        arrays.push(ages_ms.finish(count).unwrap_or(absent));
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }
}

impl Names {
    fn number_of(&mut self, name: &str) -> i32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as i32;
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        self.array = None;
        number
    }

    fn column(&mut self, codes: Vec<i32>) -> Result<ArrayRef, arrow_schema::ArrowError> {
        let array = self.array.get_or_insert_with(|| Arc::new(StringArray::from(self.names.clone())));
        let column =
            DictionaryArray::<Int32Type>::try_new(Int32Array::from(codes), Arc::clone(array) as ArrayRef)?;
        Ok(Arc::new(column))
    }
}

impl Columns {
    fn new(expected: usize) -> Self {
        Self {
            expected,
            exchange: Vec::with_capacity(expected),
            symbol: Vec::with_capacity(expected),
            publisher: Vec::with_capacity(expected),
            mode: Vec::with_capacity(expected),
            sequence: Vec::with_capacity(expected),
            publish_ns: Vec::with_capacity(expected),
            fields: std::iter::repeat_with(Values::default).take(FIELD_COUNT).collect(),
            ..Self::default()
        }
    }

    #[inline]
    fn add(&mut self, view: MessageView<'_>, exchange: i32, symbol: i32, publisher: i32) {
        self.exchange.push(exchange);
        self.symbol.push(symbol);
        self.publisher.push(publisher);
        self.mode.push(view.mode() as u8);
        self.sequence.push(view.sequence());
        self.publish_ns.push(view.publish_ns());
        let (count, expected) = (self.count, self.expected);
        if let Some(age) = view.annex().and_then(Annex::age) {
            self.ages_ms.set(count, expected, f64::from(age.newest_ms));
        }
        view.for_each_field(|field, value| self.fields[field as usize].set(count, expected, value));
        if view.levels() > 0 {
            self.sides[0].add(count, view.buys());
            self.sides[1].add(count, view.sells());
        }
        self.count += 1;
    }
}

impl Values {
    /// Sets the value of the tick with this number; those in between have none.
    #[inline]
    fn set(&mut self, at: usize, expected: usize, value: f64) {
        if self.values.capacity() == 0 {
            self.values.reserve_exact(expected);
        }
        let missing = at - self.values.len();
        if missing > 0 {
            self.skip(missing);
        }
        self.values.push(value);
        if let Some(valid) = &mut self.valid {
            valid.append(true);
        }
    }

    fn skip(&mut self, count: usize) {
        let length = self.values.len();
        let valid = self.valid.get_or_insert_with(|| {
            let mut valid = BooleanBufferBuilder::new(length + count);
            valid.append_n(length, true);
            valid
        });
        valid.append_n(count, false);
        self.values.resize(length + count, 0.0);
    }

    /// `None` where no tick had the field.
    fn finish(mut self, count: usize) -> Option<ArrayRef> {
        if self.values.is_empty() {
            return None;
        }
        let missing = count - self.values.len();
        if missing > 0 {
            self.skip(missing);
        }
        let nulls = self.valid.map(|mut valid| NullBuffer::new(valid.finish()));
        Some(Arc::new(Float64Array::new(ScalarBuffer::from(self.values), nulls)))
    }
}

impl Side {
    /// Adds the levels of the tick with this number; those in between have none.
    fn add(&mut self, at: usize, levels: impl Iterator<Item = DepthLevel>) {
        self.offsets.resize(at + 1, self.levels[0].len() as i32);
        for level in levels {
            let values = [level.price, level.quantity, level.orders];
            for (column, value) in self.levels.iter_mut().zip(values) {
                column.push(value);
            }
        }
    }

    fn finish(mut self, count: usize) -> Result<ArrayRef, arrow_schema::ArrowError> {
        self.offsets.resize(count + 1, self.levels[0].len() as i32);
        let columns = self.levels.map(|column| Arc::new(Float64Array::from(column)) as ArrayRef);
        let levels = StructArray::try_new(level_fields(), columns.to_vec(), None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Ok(Arc::new(ListArray::try_new(level_column(), offsets, Arc::new(levels), None)?))
    }
}

/// Milliseconds as timestamps; what is no number is null.
fn times(column: &ArrayRef) -> ArrayRef {
    let values = column.as_any().downcast_ref::<Float64Array>().expect("a field's column");
    let ms = values.iter().map(|value| value.filter(|value| value.is_finite()).map(|value| value as i64));
    Arc::new(PrimitiveArray::<TimestampMillisecondType>::from_iter(ms).with_timezone("UTC"))
}

fn level_fields() -> Fields {
    ["price", "quantity", "orders"].map(|name| Column::new(name, DataType::Float64, false)).to_vec().into()
}

fn level_column() -> Arc<Column> {
    Arc::new(Column::new("item", DataType::Struct(level_fields()), false))
}

fn schema() -> Schema {
    let text = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut columns = vec![
        Column::new("exchange", text(), false),
        Column::new("symbol", text(), false),
        Column::new("publisher", text(), false),
        Column::new("mode", DataType::UInt8, false),
        Column::new("sequence", DataType::UInt64, false),
        Column::new("publish_ns", DataType::UInt64, false),
    ];
    columns.extend(Field::ALL.map(|field| {
        let kind = match Kind::of(field) {
            Kind::Time => DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, Some("UTC".into())),
            _ => DataType::Float64,
        };
        Column::new(field.name(), kind, true)
    }));
    columns.extend(["buy", "sell"].map(|name| Column::new(name, DataType::List(level_column()), false)));
    columns.push(Column::new("age_ms", DataType::Float64, true));
    Schema::new(columns)
}

/// Ticks as columns. pyarrow, polars and DuckDB take it as it is: ``pyarrow.table(batch)``, ``polars.DataFrame(batch)``.
///
/// Columns: ``exchange``, ``symbol`` and ``publisher`` as dictionaries, ``mode``, ``sequence``, ``publish_ns``, every
/// field under its name on the wire (times as timestamps in UTC, null where a tick does not have it), ``buy`` and
/// ``sell`` as lists of levels, and ``age_ms``: how old the last value of another source was when it came, null of all
/// other ticks. Every batch has the same columns.
#[pyclass(frozen, module = "openalgo_shm")]
pub struct ArrowBatch {
    batch: RecordBatch,
}

#[pymethods]
impl ArrowBatch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|column| column.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.batch.schema().as_ref()).map_err(failed)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        // A consumer must be able to take the batch as it is; other schemas are its own affair.
        let _ = requested_schema;
        let array = StructArray::from(self.batch.clone());
        let array = PyCapsule::new_with_value(py, FFI_ArrowArray::new(&array.into_data()), c"arrow_array")?;
        PyTuple::new(py, [self.__arrow_c_schema__(py)?, array])
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    fn __repr__(&self) -> String {
        format!("ArrowBatch({} ticks)", self.batch.num_rows())
    }
}

fn failed(error: arrow_schema::ArrowError) -> PyErr {
    exception("ERR_NATIVE", &format!("the schema cannot be exported: {error}"))
}
