//! Mach-O: the bytes of objects, libraries and images, as little-endian structures → values and back.
//! Must not know of links: each module turns one structure into its bytes, or reads it.

pub mod chained;
mod directives;
pub mod dylib;
pub mod opcodes;
pub mod read;
pub mod signature;
pub mod stub;
pub mod tbd;
pub mod trie;
pub mod yaml;

/// Sections of the kinds that a linker treats apart: the low byte of a section's flags.
#[allow(missing_docs)]
pub mod kind {
    pub const REGULAR: u32 = 0;
    pub const ZEROFILL: u32 = 1;
    pub const CSTRING: u32 = 2;
    pub const LITERAL4: u32 = 3;
    pub const LITERAL8: u32 = 4;
    pub const LITERAL_POINTERS: u32 = 5;
    pub const GOT: u32 = 6;
    pub const LAZY_POINTERS: u32 = 7;
    pub const STUBS: u32 = 8;
    pub const MOD_INIT: u32 = 9;
    pub const MOD_TERM: u32 = 0xa;
    pub const COALESCED: u32 = 0xb;
    pub const GB_ZEROFILL: u32 = 0xc;
    pub const LITERAL16: u32 = 0xe;
    pub const TLV_REGULAR: u32 = 0x11;
    pub const TLV_ZEROFILL: u32 = 0x12;
    pub const TLV_VARS: u32 = 0x13;
    pub const TLV_POINTERS: u32 = 0x14;
    pub const INIT_OFFSETS: u32 = 0x16;
}

/// Attributes: the rest of a section's flags.
#[allow(missing_docs)]
pub mod attr {
    pub const PURE_INSTRUCTIONS: u32 = 0x8000_0000;
    pub const NO_DEAD_STRIP: u32 = 0x1000_0000;
    pub const LIVE_SUPPORT: u32 = 0x0800_0000;
    pub const DEBUG: u32 = 0x0200_0000;
    pub const SOME_INSTRUCTIONS: u32 = 0x400;
}

/// Bits of `n_type` and `n_desc`.
#[allow(missing_docs)]
pub mod nlist {
    pub const STAB: u8 = 0xe0;
    pub const PEXT: u8 = 0x10;
    pub const TYPE: u8 = 0x0e;
    pub const EXT: u8 = 1;
    pub const UNDF: u8 = 0;
    pub const ABS: u8 = 2;
    pub const INDR: u8 = 0xa;
    pub const SECT: u8 = 0xe;
    pub const NO_DEAD_STRIP: u16 = 0x20;
    pub const WEAK_REF: u16 = 0x40;
    /// Of a definition: weak. Of a reference: to a weak definition.
    pub const WEAK_DEF: u16 = 0x80;
    /// Of a definition: called when the image is loaded, and gives the address of the function that has the name.
    pub const RESOLVER: u16 = 0x100;
    pub const ALT_ENTRY: u16 = 0x200;
    /// Bytes of one entry.
    pub const SIZE: u64 = 16;
}

/// Load commands.
#[allow(missing_docs)]
pub mod lc {
    pub const SYMTAB: u32 = 2;
    pub const DYSYMTAB: u32 = 0xb;
    pub const LOAD_DYLIB: u32 = 0xc;
    pub const ID_DYLIB: u32 = 0xd;
    pub const LOAD_DYLINKER: u32 = 0xe;
    pub const SUB_CLIENT: u32 = 0x14;
    pub const LOAD_WEAK_DYLIB: u32 = 0x8000_0018;
    pub const SEGMENT: u32 = 0x19;
    pub const ROUTINES: u32 = 0x1a;
    pub const UUID: u32 = 0x1b;
    pub const RPATH: u32 = 0x8000_001c;
    pub const CODE_SIGNATURE: u32 = 0x1d;
    pub const REEXPORT_DYLIB: u32 = 0x8000_001f;
    pub const DYLD_INFO: u32 = 0x22;
    pub const DYLD_INFO_ONLY: u32 = 0x8000_0022;
    pub const LOAD_UPWARD_DYLIB: u32 = 0x8000_0023;
    pub const VERSION_MIN_MACOSX: u32 = 0x24;
    pub const VERSION_MIN_IPHONEOS: u32 = 0x25;
    pub const FUNCTION_STARTS: u32 = 0x26;
    pub const MAIN: u32 = 0x8000_0028;
    pub const DATA_IN_CODE: u32 = 0x29;
    pub const SOURCE_VERSION: u32 = 0x2a;
    pub const VERSION_MIN_TVOS: u32 = 0x2f;
    pub const VERSION_MIN_WATCHOS: u32 = 0x30;
    pub const LINKER_OPTION: u32 = 0x2d;
    pub const BUILD_VERSION: u32 = 0x32;
    pub const EXPORTS_TRIE: u32 = 0x8000_0033;
    pub const CHAINED_FIXUPS: u32 = 0x8000_0034;
}

/// Systems that files are for.
#[allow(missing_docs)]
pub mod platform {
    pub const MACOS: u32 = 1;
    pub const IOS: u32 = 2;
    pub const TVOS: u32 = 3;
    pub const WATCHOS: u32 = 4;

    /// What people call it.
    pub fn name(platform: u32) -> std::borrow::Cow<'static, str> {
        let names = [
            "macOS",
            "iOS",
            "tvOS",
            "watchOS",
            "bridgeOS",
            "Mac Catalyst",
            "iOS Simulator",
            "tvOS Simulator",
            "watchOS Simulator",
            "DriverKit",
            "visionOS",
            "visionOS Simulator",
        ];
        match names.get((platform as usize).wrapping_sub(1)) {
            Some(name) => (*name).into(),
            None => format!("platform {platform}").into(),
        }
    }
}

/// File types.
#[allow(missing_docs)]
pub mod filetype {
    pub const OBJECT: u32 = 1;
    pub const EXECUTE: u32 = 2;
    pub const DYLIB: u32 = 6;
    pub const BUNDLE: u32 = 8;
    pub const DYLIB_STUB: u32 = 9;
}

/// The number of 64-bit files, little-endian.
pub const MAGIC: u32 = 0xfeed_facf;

/// Ordinals beside those of libraries.
#[allow(missing_docs)]
pub mod ordinal {
    pub const MAIN: i32 = -1;
    pub const FLAT: i32 = -2;
    pub const WEAK: i32 = -3;
}

/// Appends `value` in base 128.
pub fn put_uleb(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` in signed base 128.
pub fn put_sleb(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = value as u8 & 0x7f;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Bytes `value` takes in base 128.
pub fn uleb_len(value: u64) -> usize {
    (64 - value.leading_zeros()).div_ceil(7).max(1) as usize
}

/// Zeros until the length is a multiple of `align`.
pub fn pad(out: &mut Vec<u8>, align: usize) {
    out.resize(out.len().next_multiple_of(align), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_128_is_as_long_as_it_says() {
        for value in [0, 1, 127, 128, 16383, 16384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_uleb(&mut out, value);
            assert_eq!(out.len(), uleb_len(value), "{value}");
            assert_eq!(read::Bytes(&out).uleb(&mut 0).ok(), Some(value));
        }
        let mut out = Vec::new();
        for value in [0, -1, 63, 64, -64, -65] {
            put_sleb(&mut out, value);
        }
        assert_eq!(out, [0, 0x7f, 0x3f, 0xc0, 0, 0x40, 0xbf, 0x7f]);
    }
}
