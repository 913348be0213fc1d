//! JavaScript functions without the class glue of `#[napi]`, for the two calls that are made per message
//! or per batch: 10 to 25 ns instead of 300 to 400.

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::bindgen_prelude::{FromNapiValue, Function};
use napi::{Env, sys};

use crate::error::{Error, Result};

/// What a bare function does: from its handle and one whole number (0 if none was passed) to a number, or to
/// `undefined`, which costs less.
pub type Body<T> = fn(&mut T, u32) -> Result<Option<u32>>;

struct Data<T> {
    handle: Rc<RefCell<T>>,
    body: Body<T>,
}

/// Makes a function that keeps the handle alive as long as it is reachable itself.
pub fn function<'env, T>(
    env: &Env,
    handle: &Rc<RefCell<T>>,
    body: Body<T>,
) -> Result<Function<'env, u32, u32>> {
    let data = Box::into_raw(Box::new(Data { handle: Rc::clone(handle), body }));
    let mut value = ptr::null_mut();
    // SAFETY: `env` is the current environment; `data` is freed by the finalizer alone, which N-API runs
    // once when the function is collected.
    unsafe {
        let made = sys::napi_create_function(
            env.raw(),
            ptr::null(),
            0,
            Some(call::<T>),
            data.cast(),
            &raw mut value,
        );
        if made != sys::Status::napi_ok {
            drop(Box::from_raw(data));
            return Err(Error::new("ERR_NATIVE", "napi_create_function failed".to_owned()));
        }
        let added = sys::napi_add_finalizer(
            env.raw(),
            value,
            data.cast(),
            Some(finalize::<T>),
            ptr::null_mut(),
            ptr::null_mut(),
        );
        if added != sys::Status::napi_ok {
            return Err(Error::new("ERR_NATIVE", "napi_add_finalizer failed".to_owned()));
        }
        Function::from_napi_value(env.raw(), value).map_err(crate::error::native)
    }
}

unsafe extern "C" fn finalize<T>(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: `data` is the box made in `function`, finalized once.
    drop(unsafe { Box::from_raw(data.cast::<Data<T>>()) });
}

unsafe extern "C" fn call<T>(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut data = ptr::null_mut();
    let mut argument = ptr::null_mut();
    let mut count = 1;
    let mut number = 0;
    // SAFETY: called by N-API with a valid environment and info; one argument is read at most, however
    // many `count` says there were. A missing or non-numeric one leaves `number` 0.
    let data = unsafe {
        sys::napi_get_cb_info(env, info, &raw mut count, &raw mut argument, ptr::null_mut(), &raw mut data);
        if count >= 1 {
            sys::napi_get_value_uint32(env, argument, &raw mut number);
        }
        &*data.cast::<Data<T>>()
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| match data.handle.try_borrow_mut() {
        Ok(mut handle) => (data.body)(&mut handle, number),
        Err(_) => Err(Error::new("ERR_NATIVE", "called from within itself".to_owned())),
    }));
    let mut result = ptr::null_mut();
    // SAFETY: plain N-API calls in the environment that called us; the strings are given with their lengths.
    unsafe {
        match outcome {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(number))) => {
                sys::napi_create_uint32(env, number, &raw mut result);
            }
            Ok(Err(error)) => throw(env, error.status, &error.reason),
            Err(_) => throw(env, "ERR_NATIVE", "the native code panicked; this is a bug"),
        }
    }
    result
}

unsafe fn throw(env: sys::napi_env, code: &str, reason: &str) {
    let (mut code_value, mut reason_value, mut error) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: as in `call`.
    unsafe {
        sys::napi_create_string_utf8(env, code.as_ptr().cast(), code.len() as isize, &raw mut code_value);
        sys::napi_create_string_utf8(
            env,
            reason.as_ptr().cast(),
            reason.len() as isize,
            &raw mut reason_value,
        );
        sys::napi_create_error(env, code_value, reason_value, &raw mut error);
        sys::napi_throw(env, error);
    }
}

/// The words behind a Float64Array that JavaScript and native code share.
pub fn words(array: &mut napi::bindgen_prelude::Float64Array) -> &mut [u64] {
    // SAFETY: the array is kept alive by its reference, only this thread touches it while the borrow
    // lasts, and f64 and u64 have the same size, alignment and no invalid values.
    unsafe {
        let floats = array.as_mut();
        std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast::<u64>(), floats.len())
    }
}
