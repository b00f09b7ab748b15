//! Loaded by a C host: what needs TLS, unwinding, threads, dynamic dispatch and big tables.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, c_char, c_int};
use std::fmt::Write;
use std::panic::catch_unwind;

thread_local! {
    static COUNT: Cell<i32> = const { Cell::new(3) };
    static NAMES: Cell<Vec<String>> = Cell::new(vec!["fresh".into()]);
}

static TABLE: [fn(i32) -> i32; 3] = [|x| x + 1, |x| x * 2, |x| x * x];

/// Catches a panic inside the library.
#[unsafe(no_mangle)]
pub extern "C" fn rust_catch(x: c_int) -> c_int {
    catch_unwind(|| if x > 2 { panic!("too big: {x}") } else { TABLE[x as usize](10) })
        .unwrap_or(-1)
}

/// Counts per thread.
#[unsafe(no_mangle)]
pub extern "C" fn rust_count() -> c_int {
    let other = std::thread::spawn(|| COUNT.replace(100) + NAMES.take().len() as i32);
    COUNT.set(COUNT.get() + 1);
    COUNT.get() * 10 + other.join().unwrap()
}

/// Text from maps, floats and trait objects.
#[unsafe(no_mangle)]
pub extern "C" fn rust_text() -> *mut c_char {
    let mut counts: HashMap<char, usize> = HashMap::new();
    for c in "mississippi".chars() {
        *counts.entry(c).or_default() += 1;
    }
    let sorted: BTreeMap<_, _> = counts.into_iter().collect();
    let mut out = String::new();
    write!(out, "{sorted:?} {:.3} {:?}", 2f64.sqrt(), "1.5e3".parse::<f32>()).unwrap();
    let things: [Box<dyn std::fmt::Debug>; 2] = [Box::new(Some(1)), Box::new("two")];
    write!(out, " {things:?}").unwrap();
    CString::new(out).unwrap().into_raw()
}
