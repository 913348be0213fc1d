//! The ring for Python. Conversion only: the ring is in `crates/ring`, the names of brokers' fields in `crates/dialect`.
#![allow(missing_docs, reason = "what Python sees is described in `_native.pyi`")]

mod adapter;
mod batch;
mod companion;
mod error;
mod fork;
mod handle;
mod lane;
mod options;
mod publisher;
mod raw;
mod ring;
mod subscriber;
mod tick;
mod wait;

use openalgo_shm_ring as core;
use pyo3::prelude::*;

/// The native part of `openalgo_shm`.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    fork::watch();
    module.add("OpenAlgoShmError", module.py().get_type::<error::OpenAlgoShmError>())?;
    module.add("FORMAT_VERSION", core::layout::FORMAT_VERSION)?;
    module.add("FIELD_NAMES", core::message::Field::NAMES.to_vec())?;
    module.add_class::<adapter::BrokerAdapter>()?;
    module.add_class::<batch::ArrowBatch>()?;
    module.add_class::<companion::EventReader>()?;
    module.add_class::<companion::EventWriter>()?;
    module.add_class::<companion::InterestChange>()?;
    module.add_class::<companion::InterestReader>()?;
    module.add_class::<handle::TopicHandle>()?;
    module.add_class::<publisher::Publisher>()?;
    module.add_class::<ring::LockFreeRingBuffer>()?;
    module.add_class::<subscriber::Subscriber>()?;
    module.add_class::<tick::Tick>()?;
    module.add_function(wrap_pyfunction!(error::error, module)?)?;
    module.add_function(wrap_pyfunction!(ring::monotonic_ns, module)?)?;
    // What is public is the package's affair.
    module.delattr("__all__")?;
    Ok(())
}
