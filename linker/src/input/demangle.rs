//! A mangled C++ name → what people write, for patterns under `extern "C++"`.
//!
//! Names come from inputs and mangling compresses, so both depth and length are bounded: what is
//! beyond the bounds stays as it is.

use std::borrow::Cow;
use std::fmt;

use cpp_demangle::{BorrowedSymbol, DemangleOptions, ParseOptions};

/// Nesting of a name.
const MAX_DEPTH: u32 = 160;
/// Bytes of a demangled name.
const MAX_BYTES: usize = 64 << 10;

/// `ns::f(int)` for `_ZN2ns1fEi`; other names as they are, as bfd and lld have it.
pub(super) fn demangled(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.starts_with(b"_Z") {
        return Cow::Borrowed(name);
    }
    let options = ParseOptions::default().recursion_limit(MAX_DEPTH);
    let parsed = BorrowedSymbol::with_tail_and_options(name, &options);
    let Some((symbol, _)) = parsed.ok().filter(|(_, tail)| tail.is_empty()) else {
        return Cow::Borrowed(name);
    };
    let mut out = Bounded(String::new());
    let options = DemangleOptions::new().recursion_limit(MAX_DEPTH);
    match symbol.structured_demangle(&mut out, &options) {
        Ok(()) => Cow::Owned(special(name, out.0).into_bytes()),
        Err(_) => Cow::Borrowed(name),
    }
}

/// Tables and thunks in the words of c++filt, which is what scripts are written against.
fn special(name: &[u8], text: String) -> String {
    let Some(inner) = text.strip_prefix('{').and_then(|t| t.strip_suffix(")}")) else {
        return text;
    };
    let thunk = |kind: &str| {
        // After the offsets, in braces of their own.
        let of = inner.rsplit_once(")}, ").map_or(inner, |split| split.1);
        format!("{kind} thunk to {of}")
    };
    match (inner.split_once('('), name.get(2..4)) {
        (Some(("vtable", of)), _) => format!("vtable for {of}"),
        (Some(("vtt", of)), _) => format!("VTT for {of}"),
        (Some(("virtual override thunk", _)), Some(b"Th")) => thunk("non-virtual"),
        (Some(("virtual override thunk", _)), Some(b"Tv")) => thunk("virtual"),
        (Some(("virtual override thunk", _)), Some(b"Tc")) => thunk("covariant return"),
        _ => text,
    }
}

/// Text of a bounded length.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::demangled;

    #[test]
    fn names_are_as_cxxfilt_writes_them() {
        for (name, wanted) in [
            ("_ZN2ns1fEi", "ns::f(int)"),
            (
                "_ZNSt6vectorIiSaIiEE9push_backERKi",
                "std::vector<int, std::allocator<int> >::push_back(int const&)",
            ),
            ("_ZTIN2ns1CE", "typeinfo for ns::C"),
            ("_ZTSN2ns1CE", "typeinfo name for ns::C"),
            ("_ZTVN2ns1CE", "vtable for ns::C"),
            ("_ZTTN2ns1CE", "VTT for ns::C"),
            ("_ZThn16_N2ns1C1fEi", "non-virtual thunk to ns::C::f(int)"),
            ("_ZTv0_n24_N2ns1C1fEi", "virtual thunk to ns::C::f(int)"),
            ("_ZTch0_h16_N1C1fEv", "covariant return thunk to C::f()"),
            ("_ZGVZ1fvE1x", "guard variable for f()::x"),
            ("_Znwm", "operator new(unsigned long)"),
            ("_ZN2ns1CC1Ev", "ns::C::C()"),
            ("_ZN2ns3varE", "ns::var"),
            ("main", "main"),
            ("_Z", "_Z"),
            ("_ZN2ns1f", "_ZN2ns1f"),
            ("_Z1fv@V1", "_Z1fv@V1"),
        ] {
            assert_eq!(String::from_utf8_lossy(&demangled(name.as_bytes())), wanted, "{name}");
        }
    }

    #[test]
    fn bombs_stay_as_they_are() {
        // Each substitution holds the one before twice.
        let mut bomb = String::from("_Z1f");
        for at in 0..30 {
            let last = if at == 0 { "i".into() } else { format!("S{}_", base36(2 * at - 1)) };
            bomb += &format!("1tI{last}{last}E");
        }
        let deep = format!("_Z1f{}i", "P".repeat(100_000));
        for name in [bomb, deep] {
            assert!(demangled(name.as_bytes()).len() < 200_000);
        }
    }

    fn base36(mut n: usize) -> String {
        let mut text = String::new();
        loop {
            text.insert(0, char::from_digit((n % 36) as u32, 36).unwrap().to_ascii_uppercase());
            n /= 36;
            if n == 0 {
                return text;
            }
        }
    }
}
