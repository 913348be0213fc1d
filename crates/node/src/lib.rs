//! N-API binding of ring and delivery: conversion only. What can be tested without Node lives in the other crates.

mod bare;
mod delivery;
mod error;
mod file_lock;
mod memory;
mod publisher;
mod ring;
mod subscriber;
