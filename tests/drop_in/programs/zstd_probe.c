/* Compresses and decompresses a text of so many bytes: the compressed size, negative if it differs. */
#include <stddef.h>
extern size_t ZSTD_compress(void *, size_t, const void *, size_t, int);
extern size_t ZSTD_decompress(void *, size_t, const void *, size_t);
extern unsigned ZSTD_isError(size_t);
static unsigned char text[1 << 20], packed[1 << 21], back[1 << 20];
long probe(long size) {
    unsigned seed = 7;
    for (long i = 0; i < size; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = "the quick brown fox jumps"[(seed >> 16) % (8 + i % 17)];
    }
    size_t len = ZSTD_compress(packed, sizeof packed, text, size, 9);
    if (ZSTD_isError(len)) return -1;
    if (ZSTD_decompress(back, sizeof back, packed, len) != (size_t)size) return -2;
    for (long i = 0; i < size; i++)
        if (back[i] != text[i]) return -3 - i;
    return len;
}
