// A loader of Mach-O images for Linux: copies segments, applies chained or classic fixups, coalesces
// weak definitions, serves thread-locals, runs initialisers, then calls and reads what it is told to.
//
//   macho_loader IMAGE... -- COMMAND...
//   COMMAND: call:NAME[:ARG]  prints the result of NAME(ARG) as a number of 64 bits
//            data:NAME:LEN    prints LEN bytes at NAME
//            addr:NAME        prints the image and the offset at which NAME is found
//            main             calls the program's entry point
//            script:FILE      answers each line of FILE about the last image, see `answer`
//            world:FILE       plays each drill of FILE in a process of its own, see `several`
// Images see each other's names by ordinal, flat or weak look-up, the host's C library last. An import
// nobody has traps when it is called. Exit code 2: the image is malformed. What is printed goes to the file that
// SCOLD_ANSWERS names, if there is one: images may print, too.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t i64;

enum { MAX_IMAGES = 64, MAX_SEGMENTS = 64, MAX_LIBRARIES = 256, MAX_SECTIONS = 512 };

struct segment { u64 addr, size, offset, file_size; u32 protection; char name[17]; };
struct section { u64 addr, size; u32 flags; };
struct blob { u32 offset, size; };
struct image {
    const char *path, *id;
    u8 *file, *memory;
    size_t file_size;
    u64 base, span, entry, routine;
    int segments, libraries, sections, has_entry, has_routine, busy;
    struct segment segment[MAX_SEGMENTS];
    struct section section[MAX_SECTIONS];
    const char *library[MAX_LIBRARIES];
    // Whether what such a library exports is this image's, too.
    u8 passed_on[MAX_LIBRARIES];
    struct blob chains, exports, rebases, binds, weak_binds, lazy_binds;
    u8 *block;
    u64 block_size;
};
static struct image images[MAX_IMAGES];
static int image_count;
// How many imports nobody has.
static int missing;
// Where answers go.
static FILE *answers;

static void say(const char *line) { fprintf(answers, "%s\n", line); }

static void fail(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "macho_loader: ");
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    exit(2);
}

static u8 *at(struct image *image, u64 addr) {
    if (addr - image->base >= image->span) fail("%s: address %#lx is outside", image->path, (long)addr);
    return image->memory + (addr - image->base);
}

static const u8 *part(struct image *image, struct blob blob) {
    if ((u64)blob.offset + blob.size > image->file_size) fail("%s: a table is outside", image->path);
    return image->file + blob.offset;
}

static u64 uleb(const u8 **p, const u8 *end) {
    u64 value = 0;
    for (int shift = 0; *p < end; shift += 7) {
        u8 byte = *(*p)++;
        if (shift < 64) value |= (u64)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    fail("a number has no end");
    return 0;
}

static i64 sleb(const u8 **p, const u8 *end) {
    i64 value = 0;
    int shift = 0;
    u8 byte = 0x80;
    while (byte & 0x80) {
        if (*p >= end) fail("a number has no end");
        byte = *(*p)++;
        value |= (i64)(byte & 0x7f) << shift;
        shift += 7;
    }
    if (shift < 64 && (byte & 0x40)) value |= -((i64)1 << shift);
    return value;
}

static void load(struct image *image, const char *path) {
    image->path = path;
    int fd = open(path, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) fail("%s: %s", path, strerror(errno));
    image->file_size = st.st_size;
    image->file = mmap(0, st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    u32 *header = (u32 *)image->file;
    if (st.st_size < 32 || header[0] != 0xfeedfacf) fail("%s: not Mach-O", path);
    u8 *p = image->file + 32, *end = p + header[5];
    if (end > image->file + st.st_size) fail("%s: load commands are cut", path);
    u64 low = ~0ull, high = 0;
    for (u32 i = 0; i < header[4]; i++) {
        u32 *c = (u32 *)p;
        if (p + 8 > end || c[1] < 8 || c[1] > end - p) fail("%s: load command %u", path, i);
        switch (c[0]) {
        case 0x19: {
            if (image->segments == MAX_SEGMENTS) fail("%s: too many segments", path);
            struct segment *s = &image->segment[image->segments++];
            memcpy(s->name, p + 8, 16);
            memcpy(&s->addr, p + 24, 32);
            // Nothing is mapped of what takes no room, as of Go's __DWARF.
            s->protection = s->size ? c[15] : 0;
            if (s->offset + s->file_size > (u64)st.st_size || (s->size && s->file_size > s->size))
                fail("%s: segment %s is outside of the file", path, s->name);
            if (s->protection && s->addr < low) low = s->addr;
            if (s->protection && s->addr + s->size > high) high = s->addr + s->size;
            for (u32 k = 0; k < c[16] && image->sections < MAX_SECTIONS; k++) {
                u8 *q = p + 72 + 80 * k;
                struct section *section = &image->section[image->sections++];
                memcpy(&section->addr, q + 32, 16);
                memcpy(&section->flags, q + 64, 4);
            }
            break;
        }
        case 0xd: image->id = (char *)p + c[2]; break;
        case 0xc: case 0x80000018: case 0x8000001f: case 0x80000023:
            if (image->libraries == MAX_LIBRARIES) fail("%s: too many libraries", path);
            image->passed_on[image->libraries] = c[0] == 0x8000001f;
            image->library[image->libraries++] = (char *)p + c[2];
            break;
        case 0x80000034: memcpy(&image->chains, c + 2, 8); break;
        case 0x80000033: memcpy(&image->exports, c + 2, 8); break;
        case 0x80000022: memcpy(&image->rebases, c + 2, 40);
            image->exports = *(struct blob *)(c + 10);
            image->rebases = *(struct blob *)(c + 2);
            image->binds = *(struct blob *)(c + 4);
            image->weak_binds = *(struct blob *)(c + 6);
            image->lazy_binds = *(struct blob *)(c + 8);
            break;
        case 0x1a: memcpy(&image->routine, c + 2, 8); image->has_routine = 1; break;
        case 0x80000028: memcpy(&image->entry, c + 2, 8); image->has_entry = 1; break;
        }
        p += c[1];
    }
    image->base = low;
    image->span = high - low;
    if (high <= low || image->span > 1ull << 36) fail("%s: no segments", path);
    // A program that is not MH_PIE has its addresses already.
    int stays = header[3] == 2 && !(header[6] & 0x200000);
    int place = MAP_PRIVATE | MAP_ANONYMOUS | (stays ? MAP_FIXED_NOREPLACE : 0);
    image->memory = mmap(stays ? (void *)low : 0, image->span, PROT_READ | PROT_WRITE, place, -1, 0);
    if (image->memory == MAP_FAILED) fail("%s: no memory", path);
    for (int i = 0; i < image->segments; i++) {
        struct segment *s = &image->segment[i];
        if (s->protection && s->file_size)
            memcpy(at(image, s->addr), image->file + s->offset, s->file_size);
    }
}

// What an image's trie says of a name: its address, or null; whether it is weak. Of one that it passes on, the
// ordinal of the library that has it, and what it is called there.
struct leaf { void *address; int weak, ordinal; const char *there; };

static struct leaf leaf(struct image *image, const char *name) {
    const struct leaf none = {0};
    const char *whole = name;
    const u8 *start = part(image, image->exports), *end = start + image->exports.size, *p = start;
    if (start == end) return none;
    for (int depth = 0; depth < 100000; depth++) {
        u64 size = uleb(&p, end);
        const u8 *edges = p + size;
        if (!*name) {
            if (!size) return none;
            u64 flags = uleb(&p, end), value = uleb(&p, end);
            int weak = !!(flags & 4);
            if (flags & 8) return (struct leaf){.weak = weak, .ordinal = value, .there = p < end && *p ? (const char *)p : whole};
            void *address = (flags & 3) == 2 ? (void *)value : at(image, image->base + value);
            return (struct leaf){.address = address, .weak = weak};
        }
        if (edges >= end) fail("%s: the export trie is broken", image->path);
        int count = *edges++, found = 0;
        for (p = edges; count-- && !found;) {
            size_t len = strnlen((char *)p, end - p);
            const u8 *next = p + len + 1;
            u64 child = uleb(&next, end);
            if (len && !strncmp((char *)p, name, len)) {
                if (child >= (u64)(end - start)) fail("%s: the export trie is broken", image->path);
                name += len;
                p = start + child;
                found = 1;
            } else p = next;
        }
        if (!found) return none;
    }
    fail("%s: the export trie has a loop", image->path);
    return none;
}

static void *find(struct image *image, const char *name, int *weak);

// The same of the library that a load command of an image names.
static void *find_in_library(struct image *image, int ordinal, const char *name, int *weak) {
    if (ordinal < 1 || ordinal > image->libraries)
        fail("%s: %s: there is no library %d", image->path, name, ordinal);
    const char *library = image->library[ordinal - 1];
    for (int i = 0; i < image_count; i++) {
        int is_it = images[i].id && !strcmp(images[i].id, library);
        void *found = is_it ? find(&images[i], name, weak) : 0;
        if (found) return found;
    }
    return 0;
}

// The export NAME of an image, its own or one that it passes on: its address, or null; whether it is weak.
static void *find(struct image *image, const char *name, int *weak) {
    // Libraries that pass each other on end here.
    if (image->busy) return 0;
    struct leaf own = leaf(image, name);
    if (weak) *weak = own.weak;
    if (own.address) return own.address;
    void *found = 0;
    image->busy = 1;
    if (own.there) found = find_in_library(image, own.ordinal, own.there, weak);
    for (int i = 0; !own.there && i < image->libraries && !found; i++)
        if (image->passed_on[i]) found = find_in_library(image, i + 1, name, weak);
    image->busy = 0;
    return found;
}

void tlv_get(void);
#if defined(__x86_64__)
__asm__(".globl tlv_get\ntlv_get: movq 16(%rdi), %rax\nret\n");
#else
__asm__(".globl tlv_get\ntlv_get: ldr x0, [x0, #16]\nret\n");
#endif

static void never(void) { abort(); }
static void trap(void) { fprintf(stderr, "macho_loader: an import nobody has is called\n"); abort(); }
static void pattern(u8 *to, const u8 *what, size_t len, size_t of) {
    for (size_t i = 0; i < len; i++) to[i] = what[i % of];
}
static void pattern4(void *to, const void *what, size_t len) { pattern(to, what, len, 4); }
static void pattern8(void *to, const void *what, size_t len) { pattern(to, what, len, 8); }
static void pattern16(void *to, const void *what, size_t len) { pattern(to, what, len, 16); }
static void zero(void *to, size_t len) { memset(to, 0, len); }
static int nothing(void) { return 0; }
static int *error(void) { return &errno; }
static u64 guard = 0x5ca1ab1e;

#define HOST(name) {"_" #name, (void *)name}
static const struct { const char *name; void *value; } host[] = {
    {"_memset_pattern4", (void *)pattern4}, {"_memset_pattern8", (void *)pattern8},
    {"_memset_pattern16", (void *)pattern16},
    {"_bzero", (void *)zero}, {"___bzero", (void *)zero}, {"___error", (void *)error},
    {"___stack_chk_guard", &guard}, {"___stack_chk_fail", (void *)never},
    {"dyld_stub_binder", (void *)never}, {"___cxa_atexit", (void *)nothing},
    HOST(malloc), HOST(calloc), HOST(realloc), HOST(free), HOST(memcpy), HOST(memmove),
    HOST(memset), HOST(memcmp), HOST(strlen), HOST(strcmp), HOST(strncmp), HOST(strcspn), HOST(strrchr),
    HOST(strcpy), HOST(strspn), HOST(strchr), HOST(memchr), HOST(qsort),
};

static void *lookup_host(const char *name) {
    for (size_t i = 0; i < sizeof host / sizeof *host; i++)
        if (!strcmp(host[i].name, name)) return host[i].value;
#ifndef STATIC
    return name[0] == '_' ? dlsym(RTLD_DEFAULT, name + 1) : 0;
#else
    return 0;
#endif
}

static void *lookup(struct image *image, const char *name, int ordinal, int weak_import) {
    void *found = 0;
    int weak = 0;
    // Stub libraries may have it, too; only the loader's own will do.
    if (!strcmp(name, "__tlv_bootstrap")) return (void *)tlv_get;
    if (ordinal == -3) {
        // The first strong definition, or else the first one.
        void *first = 0;
        for (int i = 0; i < image_count && !found; i++) {
            void *value = find(&images[i], name, &weak);
            if (value && !weak) found = value;
            if (value && !first) first = value;
        }
        found = found ? found : first;
    } else if (ordinal == -2 || ordinal == -1) {
        for (int i = 0; i < image_count && !found; i++)
            if (ordinal == -2 || images[i].has_entry) found = find(&images[i], name, 0);
    } else if (ordinal == 0) {
        found = find(image, name, 0);
    } else found = find_in_library(image, ordinal, name, 0);
    if (!found) found = lookup_host(name);
    return found || weak_import ? found : (void *)trap;
}

static void chains(struct image *image) {
    const u8 *blob = part(image, image->chains);
    const u32 *header = (const u32 *)blob;
    if (image->chains.size < 28) fail("%s: chained fixups are cut", image->path);
    const u8 *imports = blob + header[2];
    const char *names = (const char *)blob + header[3];
    const u32 *starts = (const u32 *)(blob + header[1]);
    if (starts[0] != (u32)image->segments) fail("%s: chained fixups count segments wrong", image->path);
    for (u32 i = 0; i < starts[0]; i++) {
        if (!starts[1 + i]) continue;
        const u8 *s = (const u8 *)starts + starts[1 + i];
        u16 page_size, format, pages;
        u64 offset;
        memcpy(&page_size, s + 4, 2), memcpy(&format, s + 6, 2);
        memcpy(&offset, s + 8, 8), memcpy(&pages, s + 20, 2);
        if (format != 2 && format != 6) fail("%s: pointer format %d", image->path, format);
        if (image->base + offset != image->segment[i].addr) fail("%s: segment offset", image->path);
        for (u32 page = 0; page < pages; page++) {
            u16 start;
            memcpy(&start, s + 22 + 2 * page, 2);
            if (start == 0xffff) continue;
            u8 *p = at(image, image->base + offset + (u64)page * page_size + start);
            for (u64 next = 1; next; p += 4 * next) {
                u64 word, value;
                memcpy(&word, p, 8);
                next = word >> 51 & 0xfff;
                if (word >> 63) {
                    u32 index = word & 0xffffff, name, weak;
                    int ordinal;
                    i64 addend = word >> 24 & 0xff;
                    if (index >= header[4]) fail("%s: import %u", image->path, index);
                    if (header[5] == 3) {
                        u64 import[2];
                        memcpy(import, imports + 16 * index, 16);
                        ordinal = (u16)import[0], weak = import[0] >> 16 & 1;
                        if (ordinal > 0xfff0) ordinal -= 0x10000;
                        name = import[0] >> 32, addend += import[1];
                    } else {
                        u32 import[2];
                        memcpy(import, imports + (header[5] == 2 ? 8 : 4) * index, 8);
                        ordinal = (u8)import[0], weak = import[0] >> 8 & 1, name = import[0] >> 9;
                        if (ordinal > 0xf0) ordinal -= 0x100;
                        if (header[5] == 2) addend += (int32_t)import[1];
                    }
                    void *found = lookup(image, names + name, ordinal, weak);
                    missing += found == (void *)trap;
                    value = found ? (u64)found + addend : 0;
                } else {
                    u64 target = word & 0xfffffffff, high = word >> 36 & 0xff;
                    value = (u64)image->memory + target - (format == 2 ? image->base : 0);
                    value |= high << 56;
                }
                memcpy(p, &value, 8);
            }
        }
    }
}

static void rebase(struct image *image) {
    const u8 *p = part(image, image->rebases), *end = p + image->rebases.size;
    u64 addr = 0;
    while (p < end) {
        u8 byte = *p++, op = byte & 0xf0, imm = byte & 0xf;
        u64 count = 0, skip = 0;
        switch (op) {
        case 0x00: return;
        case 0x10: break;
        case 0x20: addr = image->segment[imm].addr + uleb(&p, end); break;
        case 0x30: addr += uleb(&p, end); break;
        case 0x40: addr += imm * 8; break;
        case 0x50: count = imm; break;
        case 0x60: count = uleb(&p, end); break;
        case 0x70: count = 1, skip = uleb(&p, end); break;
        case 0x80: count = uleb(&p, end), skip = uleb(&p, end); break;
        default: fail("%s: rebase opcode %#x", image->path, byte);
        }
        while (count--) {
            u64 value;
            memcpy(&value, at(image, addr), 8);
            value += (u64)image->memory - image->base;
            memcpy(at(image, addr), &value, 8);
            addr += 8 + skip;
        }
    }
}

// Binds, weak binds (only where some image has the name) and lazy binds, all of them at once.
static void bind(struct image *image, struct blob blob, int kind) {
    const u8 *p = part(image, blob), *end = p + blob.size;
    const char *name = "";
    int ordinal = 0, weak = 0;
    i64 addend = 0;
    u64 addr = 0;
    while (p < end) {
        u8 byte = *p++, op = byte & 0xf0, imm = byte & 0xf;
        u64 count = 0, skip = 0;
        switch (op) {
        case 0x00: if (kind != 'l') return; break;
        case 0x10: ordinal = imm; break;
        case 0x20: ordinal = uleb(&p, end); break;
        case 0x30: ordinal = imm ? (int)imm - 16 : 0; break;
        case 0x40: name = (const char *)p, weak = imm & 1; p += strnlen(name, end - p) + 1; break;
        case 0x50: break;
        case 0x60: addend = sleb(&p, end); break;
        case 0x70: addr = image->segment[imm].addr + uleb(&p, end); break;
        case 0x80: addr += uleb(&p, end); break;
        case 0x90: count = 1; break;
        case 0xa0: count = 1, skip = uleb(&p, end); break;
        case 0xb0: count = 1, skip = imm * 8; break;
        case 0xc0: count = uleb(&p, end), skip = uleb(&p, end); break;
        default: fail("%s: bind opcode %#x", image->path, byte);
        }
        while (count--) {
            void *found = lookup(image, name, kind == 'w' ? -3 : ordinal, weak);
            if (kind != 'w' || found != (void *)trap) {
                missing += found == (void *)trap;
                u64 value = found ? (u64)found + addend : 0;
                memcpy(at(image, addr), &value, 8);
            }
            addr += 8 + skip;
        }
    }
}

// One thread: descriptors hold the variable's address itself.
static void thread_locals(struct image *image) {
    u64 low = ~0ull, high = 0;
    for (int i = 0; i < image->sections; i++) {
        struct section *s = &image->section[i];
        u32 kind = s->flags & 0xff;
        if (kind != 0x11 && kind != 0x12) continue;
        if (s->addr < low) low = s->addr;
        if (s->addr + s->size > high) high = s->addr + s->size;
    }
    u8 *block = high > low ? aligned_alloc(4096, (high - low + 4095) & ~4095ull) : 0;
    if (block) memcpy(block, at(image, low), high - low);
    image->block = block;
    image->block_size = block ? high - low : 0;
    for (int i = 0; i < image->sections; i++) {
        struct section *s = &image->section[i];
        if ((s->flags & 0xff) != 0x13) continue;
        for (u64 d = 0; d + 24 <= s->size; d += 24) {
            u64 *descriptor = (u64 *)at(image, s->addr + d);
            if (descriptor[0] != (u64)tlv_get) fail("%s: a descriptor without thunk", image->path);
            if (descriptor[2] >= high - low) fail("%s: a variable outside of its block", image->path);
            descriptor[2] += (u64)block;
        }
    }
}

static void protect(struct image *image) {
    for (int i = 0; i < image->segments; i++) {
        struct segment *s = &image->segment[i];
        if (!s->protection || !s->size) continue;
        int constant = !strcmp(s->name, "__DATA_CONST");
        int protection = constant ? PROT_READ : (s->protection & 1 ? PROT_READ : 0) |
            (s->protection & 2 ? PROT_WRITE : 0) | (s->protection & 4 ? PROT_EXEC : 0);
        u8 *start = at(image, s->addr);
        __builtin___clear_cache((char *)start, (char *)start + s->size);
        mprotect(start, (s->size + 4095) & ~4095ull, protection);
    }
}

typedef void init(int, char **, char **, char **, void *);
// In dyld's order: LC_ROUTINES_64, then what sections list as pointers, then what they list as offsets.
static void initialise(struct image *image, char **argv) {
    static char *none[] = {0};
    if (image->has_routine) ((init *)at(image, image->routine))(1, argv, none, none, 0);
    for (int offsets = 0; offsets < 2; offsets++)
        for (int i = 0; i < image->sections; i++) {
            struct section *s = &image->section[i];
            if ((s->flags & 0xff) != (offsets ? 0x16 : 9)) continue;
            for (u64 k = 0; !offsets && k + 8 <= s->size; k += 8)
                (*(init **)at(image, s->addr + k))(1, argv, none, none, 0);
            for (u64 k = 0; offsets && k + 4 <= s->size; k += 4)
                ((init *)at(image, image->base + *(u32 *)at(image, s->addr + k)))(1, argv, none, none, 0);
        }
}

static void *named(const char *name) {
    for (int i = 0; i < image_count; i++) {
        void *found = find(&images[i], name, 0);
        if (found) return found;
    }
    fail("nothing exports %s", name);
    return 0;
}

// A value, the image it lies in (`*` is the last one, `-` none), where in it, and the bytes there.
static void tell(u64 value) {
    for (int i = 0; i < image_count; i++) {
        struct image *image = &images[i];
        u64 offset = value - (u64)image->memory, in_block = value - (u64)image->block;
        int own = i == image_count - 1;
        if (offset < image->span) {
            fprintf(answers, "0x%lx %s 0x%lx ", (long)value, own ? "*" : image->id ? image->id : "?", (long)offset);
            u64 left = image->span - offset;
            for (u64 k = 0; k < 16 && k < left; k++) fprintf(answers, "%02x", ((u8 *)value)[k]);
            fputc('\n', answers);
            return;
        }
        if (image->block && in_block < image->block_size) {
            fprintf(answers, "0x%lx - - ", (long)value);
            for (u64 k = 0; k < 16 && k < image->block_size - in_block; k++) fprintf(answers, "%02x", ((u8 *)value)[k]);
            fputc('\n', answers);
            return;
        }
    }
    fprintf(answers, "0x%lx - - -\n", (long)value);
}

// One line of a script: `slot ADDRESS` what memory holds there, `find NAME ORDINAL WEAK` what a fixup
// that says so gets, `own NAME` where the image exports it, `call NAME` what it returns.
static void answer(char *line) {
    struct image *image = &images[image_count - 1];
    char *word[4] = {0};
    int count = 0;
    for (char *p = strtok(line, " "); p && count < 4; p = strtok(0, " ")) word[count++] = p;
    if (count < 2) fail("a line of the script is empty");
    if (!strcmp(word[0], "slot")) {
        u64 value;
        memcpy(&value, at(image, strtoull(word[1], 0, 16)), 8);
        fprintf(answers, "0x%lx\n", (long)value);
    } else if (!strcmp(word[0], "find") && count == 4) {
        fprintf(answers, "0x%lx\n", (long)lookup(image, word[1], atoi(word[2]), atoi(word[3])));
    } else if (!strcmp(word[0], "own")) {
        void *found = find(image, word[1], 0);
        if (found) fprintf(answers, "0x%lx\n", (long)found);
        else say("none");
    } else if (!strcmp(word[0], "call")) {
        u64 (*probe)(void) = (u64 (*)(void))find(image, word[1], 0);
        if (!probe) say("none");
        else tell(probe());
    } else fail("unknown line %s", word[0]);
    fflush(answers);
}

static void script(const char *path) {
    char line[1 << 16];
    FILE *file = fopen(path, "r");
    if (!file) fail("%s: %s", path, strerror(errno));
    fprintf(answers, "open 0x%lx\n", (long)images[image_count - 1].memory);
    fflush(answers);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        answer(line);
    }
    say("end");
}

// Modules of a world, and where each is.
enum { MODULES = 8 };
static struct image *modules[MODULES];

static void fix(struct image *image) {
    if (image->chains.size) chains(image);
    rebase(image);
    bind(image, image->binds, 'b');
    bind(image, image->lazy_binds, 'l');
    bind(image, image->weak_binds, 'w');
}

// Nothing finds the image any more, and nothing of it can be used.
static void drop(struct image *image) {
    image->exports.size = 0, image->id = 0, image->has_entry = 0;
    munmap(image->memory, image->span);
}

// As dlopen does: what can't be bound is not loaded.
static int open_module(unsigned k, char **argv) {
    static char path[MODULES][32];
    if (modules[k]) return 1;
    if (image_count == MAX_IMAGES) fail("too many images");
    snprintf(path[k], sizeof path[k], "./module.%u", k);
    struct image *image = &images[image_count++];
    load(image, path[k]);
    missing = 0;
    fix(image);
    if (missing) return drop(image), 0;
    thread_locals(image), protect(image), initialise(image, argv);
    modules[k] = image;
    return 1;
}

static u64 evaluate(unsigned k, const char *expression) {
    const char *name = strchr(expression, ':');
    char mangled[512];
    if (!name || !modules[k]) return 0;
    snprintf(mangled, sizeof mangled, "_%s", name + 1);
    void *found = find(modules[k], mangled, 0);
    if (!found) return 0;
    if (!strncmp(expression, "call:", 5)) return ((u64 (*)(void))found)();
    return strncmp(expression, "word:", 5) ? (u64)found : *(u64 *)found;
}

static void list(const char *first, const char *last) {
    char name[512];
    snprintf(name, sizeof name, "name:%s", first);
    u64 *at_module = (u64 *)evaluate(0, name), *prior = 0;
    snprintf(name, sizeof name, "word:%s", last);
    for (int i = 0; at_module && i < 64; i++) {
        fprintf(answers, "%u ", (u32)at_module[1]);
        prior = at_module;
        at_module = (u64 *)at_module[0];
    }
    say(!at_module && prior && evaluate(0, name) == (u64)prior ? "." : "lost");
}

// A line of a drill: `load K FILE` loaded | fail, `unload K` gone, `value K EXPR` a number, `same K EXPR K EXPR`
// same | other, `log K EXPR` the bytes of a log, `list FIRST LAST` the numbers of the modules on module 0's list, where
// EXPR is call:FUNCTION, word:DATA, name:SYMBOL or null; names without their underscore.
static void several(char *line, char **argv) {
    char *word[5] = {0};
    int count = 0;
    for (char *p = strtok(line, " "); p && count < 5; p = strtok(0, " ")) word[count++] = p;
    if (count < 2) return;
    unsigned k = strtoul(word[1], 0, 10) % MODULES;
    if (!strcmp(word[0], "load")) {
        say(open_module(k, argv) ? "loaded" : "fail");
    } else if (!strcmp(word[0], "unload")) {
        if (modules[k]) drop(modules[k]);
        modules[k] = 0;
        say("gone");
    } else if (!strcmp(word[0], "value") && count > 2) {
        fprintf(answers, "%u\n", (u32)evaluate(k, word[2]));
    } else if (!strcmp(word[0], "same") && count > 4) {
        u64 its = evaluate(strtoul(word[3], 0, 10) % MODULES, word[4]);
        say(evaluate(k, word[2]) == its ? "same" : "other");
    } else if (!strcmp(word[0], "log") && count > 2) {
        u8 *log = (u8 *)evaluate(k, word[2]);
        if (!log) say("none");
        for (u32 i = 0; log && i < *(u32 *)log && i < 32; i++) fprintf(answers, "%u ", log[8 + i]);
        if (log) say(".");
    } else if (!strcmp(word[0], "list") && count > 2) {
        list(word[1], word[2]);
    } else fail("unknown line %s", word[0]);
}

// Each drill begins from nothing.
static void world(const char *path, char **argv) {
    static char line[1 << 16];
    static char *text;
    struct stat st;
    int fd = open(path, O_RDONLY), others = 0, child = 0;
    if (fd < 0 || fstat(fd, &st) || !(text = calloc(1, st.st_size + 1)) || read(fd, text, st.st_size) < 0)
        fail("%s: %s", path, strerror(errno));
    setvbuf(answers, 0, _IOLBF, 0);
    for (char *at = text, *next; *at; at = next) {
        size_t len = strcspn(at, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, at);
        next = at + len + (at[len] != 0);
        if (!strcmp(line, "drill")) {
            int status = 0;
            if (child) _exit(0);
            fflush(answers);
            pid_t pid = fork();
            child = !pid, others = !child;
            if (child) say("drill");
            else waitpid(pid, &status, 0);
            if (status) fprintf(answers, "crash %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
        } else if (!others) several(line, argv);
    }
    fflush(answers);
    if (child) _exit(0);
    say("end");
}

static void command(char *text, char **argv) {
    char *name = strchr(text, ':'), *rest = 0;
    if (name) *name++ = 0, rest = strchr(name, ':');
    if (rest) *rest++ = 0;
    if (!strcmp(text, "main")) {
        for (int i = 0; i < image_count; i++)
            if (images[i].has_entry)
                fprintf(answers, "main %d\n", ((int (*)(int, char **))at(&images[i], images[i].base + images[i].entry))(1, argv));
    } else if (!strcmp(text, "script")) {
        script(name);
    } else if (!strcmp(text, "world")) {
        world(name, argv);
    } else if (!strcmp(text, "call")) {
        i64 value = ((i64(*)(i64))named(name))(rest ? atoll(rest) : 0);
        fprintf(answers, "%s %lld\n", name, (long long)value);
    } else if (!strcmp(text, "data")) {
        u8 *bytes = named(name);
        fprintf(answers, "%s ", name);
        for (int i = 0; i < atoi(rest ? rest : "8"); i++) fprintf(answers, "%02x", bytes[i]);
        fputc('\n', answers);
    } else if (!strcmp(text, "addr")) {
        u8 *found = named(name);
        for (int i = 0; i < image_count; i++)
            if ((u64)(found - images[i].memory) < images[i].span)
                fprintf(answers, "%s %d %#lx\n", name, i, (long)(found - images[i].memory));
    } else fail("unknown command %s", text);
    fflush(answers);
}

int main(int argc, char **argv) {
    int i = 1;
    const char *path = getenv("SCOLD_ANSWERS");
    answers = path ? fopen(path, "w") : stdout;
    if (!answers) fail("%s: %s", path, strerror(errno));
    for (; i < argc && strcmp(argv[i], "--"); i++) {
        if (image_count == MAX_IMAGES) fail("too many images");
        load(&images[image_count++], argv[i]);
    }
    for (int k = 0; k < image_count; k++) fix(&images[k]);
    for (int k = 0; k < image_count; k++) thread_locals(&images[k]), protect(&images[k]);
    for (int k = 0; k < image_count; k++) initialise(&images[k], argv);
    for (i++; i < argc; i++) command(argv[i], argv);
    return 0;
}
