//! psABI letters → what they refer to, what that counts from, and whether they ask for the instruction set.

/// Turns psABI letters into what they refer to and what that counts from.
macro_rules! expr {
    () => {
        ($crate::arch::What::Nothing, $crate::arch::Base::Zero)
    };
    (S + A) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Zero)
    };
    (S + A - P) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Place)
    };
    (L + A - P) => {
        ($crate::arch::What::Plt, $crate::arch::Base::Place)
    };
    (G + A) => {
        ($crate::arch::What::Got, $crate::arch::Base::Got)
    };
    (G + GOT + A - P) => {
        ($crate::arch::What::Got, $crate::arch::Base::Place)
    };
    (S + A - GOT) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Got)
    };
    (GOT + A - P) => {
        ($crate::arch::What::GotBase, $crate::arch::Base::Place)
    };
    (L - GOT + A) => {
        ($crate::arch::What::Plt, $crate::arch::Base::Got)
    };
    (Z + A) => {
        ($crate::arch::What::Size, $crate::arch::Base::Zero)
    };
    (TLSGD + A - P) => {
        ($crate::arch::What::TlsGd, $crate::arch::Base::Place)
    };
    (TLSLD + A - P) => {
        ($crate::arch::What::TlsLd, $crate::arch::Base::Place)
    };
    (DTPOFF + A) => {
        ($crate::arch::What::DtpOff, $crate::arch::Base::Zero)
    };
    (GOTTPOFF + A - P) => {
        ($crate::arch::What::GotTp, $crate::arch::Base::Place)
    };
    (TPOFF + A) => {
        ($crate::arch::What::TpOff, $crate::arch::Base::Zero)
    };
    (TLSDESC + A - P) => {
        ($crate::arch::What::TlsDesc, $crate::arch::Base::Place)
    };
    (Page(S + A) - Page(P)) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Page)
    };
    (Lo(S + A)) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::InPage)
    };
    (Page(G + A) - Page(P)) => {
        ($crate::arch::What::Got, $crate::arch::Base::Page)
    };
    (Lo(G + A)) => {
        ($crate::arch::What::Got, $crate::arch::Base::InPage)
    };
    (Page(TLSGD + A) - Page(P)) => {
        ($crate::arch::What::TlsGd, $crate::arch::Base::Page)
    };
    (Lo(TLSGD + A)) => {
        ($crate::arch::What::TlsGd, $crate::arch::Base::InPage)
    };
    (Page(TLSLD + A) - Page(P)) => {
        ($crate::arch::What::TlsLd, $crate::arch::Base::Page)
    };
    (Lo(TLSLD + A)) => {
        ($crate::arch::What::TlsLd, $crate::arch::Base::InPage)
    };
    (Page(GOTTPOFF + A) - Page(P)) => {
        ($crate::arch::What::GotTp, $crate::arch::Base::Page)
    };
    (Lo(GOTTPOFF + A)) => {
        ($crate::arch::What::GotTp, $crate::arch::Base::InPage)
    };
    (Page(TLSDESC + A) - Page(P)) => {
        ($crate::arch::What::TlsDesc, $crate::arch::Base::Page)
    };
    (Lo(TLSDESC + A)) => {
        ($crate::arch::What::TlsDesc, $crate::arch::Base::InPage)
    };
    (G + A - Page(GOT)) => {
        ($crate::arch::What::Got, $crate::arch::Base::GotPage)
    };
    (((S + A) | T)) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Zero)
    };
    (((S + A) | T) - P) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Place)
    };
    (((S + A) | T) - Pa) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Word)
    };
    (S + A - Pa) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Word)
    };
    (((S + A) | T) - GOT) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Got)
    };
    (((S + A) | T) - SB) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Segment)
    };
    (S + A - SB) => {
        ($crate::arch::What::Symbol, $crate::arch::Base::Segment)
    };
    (G + GOT + A) => {
        ($crate::arch::What::Got, $crate::arch::Base::Zero)
    };
    (GOTTPOFF + A - GOT) => {
        ($crate::arch::What::GotTp, $crate::arch::Base::Got)
    };
    (TLSGD + A - GOT) => {
        ($crate::arch::What::TlsGd, $crate::arch::Base::Got)
    };
    (TLSLD + A - GOT) => {
        ($crate::arch::What::TlsLd, $crate::arch::Base::Got)
    };
    (TLSDESC + A - GOT) => {
        ($crate::arch::What::TlsDesc, $crate::arch::Base::Got)
    };
    (TLSCALL) => {
        ($crate::arch::What::TlsDescCall, $crate::arch::Base::Zero)
    };
}
pub(crate) use expr;

/// Whether psABI letters have the target's instruction set in them.
macro_rules! states {
    (((S + A) | T) $($rest:tt)*) => {
        true
    };
    (L + A - P) => {
        true
    };
    ($($rest:tt)*) => {
        false
    };
}
pub(crate) use states;
