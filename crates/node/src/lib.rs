//! N-API binding of the ring: conversion only. What can be tested without Node lives in the other crates.

mod bare;
mod encoder;
mod error;
mod publisher;
mod ring;
mod subscriber;
mod vectored_write;
