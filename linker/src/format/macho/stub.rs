//! What a link needs to know of a library, whether it was read from a dylib or from a text stub.

/// A name a library has.
#[derive(Clone, Debug)]
pub struct Export {
    /// With its underscore.
    pub name: Vec<u8>,
    /// Weakly defined.
    pub weak: bool,
    /// Thread-local.
    pub thread_local: bool,
}

/// A library as far as links care.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// Where it will be at run time.
    pub install_name: Vec<u8>,
    /// X.Y.Z as 16.8.8 bits.
    pub current: u32,
    /// The same, of the oldest it can replace.
    pub compatibility: u32,
    /// The names.
    pub exports: Vec<Export>,
    /// Install names of libraries whose names it passes on.
    pub reexports: Vec<Vec<u8>>,
    /// Those of others that it only loads itself.
    pub loads: Vec<Vec<u8>>,
    /// The names of those: in a flat namespace all images see them.
    pub indirect: Vec<Export>,
    /// Those that it passes on and that are nowhere to be found.
    pub missing: Vec<Vec<u8>>,
    /// Where `@rpath` in the names of those may lead.
    pub rpaths: Vec<Vec<u8>>,
    /// Libraries that had some of its names on the systems that the link is for.
    pub previous: Vec<Library>,
    /// Only some may link it: it is reached through those that pass it on.
    pub restricted: bool,
    /// Libraries described in the same file.
    pub inline: Vec<Library>,
}

/// `X.Y.Z` as 16.8.8 bits.
pub fn version(text: &str) -> Option<u32> {
    let mut parts = text.split('.');
    let mut part = |most: u32| match parts.next() {
        None => Some(0),
        Some(part) => part.parse().ok().filter(|&number: &u32| number <= most),
    };
    let value = part(0xffff)? << 16 | part(0xff)? << 8 | part(0xff)?;
    // Apple's own versions have up to five parts; the rest is not kept.
    parts.all(|part| part.parse::<u32>().is_ok()).then_some(value)
}
