/* The execute oracle's host. Built twice from this source: as a program that loads a library, and
 * (HOOK) as a library that is preloaded into an executable and looks at it before it starts.
 * It reads commands, one a line, from the file named by SCOLD_SCRIPT and prints a line for each:
 *   open FILE        open 0xBASE | fail MESSAGE
 *   slot 0xADDR LEN  the LEN bytes at base + ADDR, as a number
 *   resolve 0xADDR   what the function at base + ADDR returns
 *   find NAME [VER]  the address that the global scope gives, or none
 *   own NAME [VER]   the address that the module gives, or none
 *   call NAME        value, the object it lies in and the offset there, what is at that address
 *   close
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void *module;
static uintptr_t base;

static void look(void *handle, const char *name, const char *version) {
    void *at;
    dlerror();
    at = version ? dlvsym(handle, name, version) : dlsym(handle, name);
    if (dlerror()) puts("none");
    else printf("0x%" PRIxPTR "\n", (uintptr_t)at);
}

static int peek(uintptr_t at, void *to, size_t len) {
    static int ends[2] = {-1, -1};
    struct iovec local = {to, len}, remote = {(void *)at, len};
    ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    if (got >= 0 || errno != ENOSYS) return got == (ssize_t)len;
    /* An emulator may not have it: a pipe takes what can be read, or says that it can't. */
    if (ends[0] < 0 && pipe(ends)) return 0;
    got = write(ends[1], (void *)at, len);
    if (got > 0 && read(ends[0], to, got) != got) return 0;
    return got == (ssize_t)len;
}

static void show(uint64_t value) {
    Dl_info info;
    struct link_map *map = NULL;
    unsigned char bytes[8];
    printf("0x%" PRIx64, value);
    if (value > 0xffff && dladdr1((void *)value, &info, (void **)&map, RTLD_DL_LINKMAP) && map) {
        const char *name = strrchr(map->l_name, '/');
        printf(" %s 0x%" PRIx64, map->l_addr == base ? "*" : name ? name + 1 : "*main",
               value - (uint64_t)map->l_addr);
    } else {
        printf(" - 0x0");
    }
    if (value > 0xffff && peek(value, bytes, sizeof bytes)) {
        putchar(' ');
        for (unsigned i = 0; i < sizeof bytes; i++) printf("%02x", bytes[i]);
    } else {
        printf(" -");
    }
    putchar('\n');
}

static int load(const char *file) {
    struct link_map *map = NULL;
    module = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
    if (!module || dlinfo(module, RTLD_DI_LINKMAP, &map)) {
        printf("fail %s\n", dlerror());
        return 0;
    }
    base = map->l_addr;
    printf("open 0x%" PRIxPTR "\n", base);
    return 1;
}

static void command(char *line) {
    char *word = strtok(line, " \n"), *one = strtok(NULL, " \n"), *two = strtok(NULL, " \n");
    if (!word) return;
    if (!strcmp(word, "open")) {
        if (!load(strcmp(one, "-") ? one : NULL)) exit(0);
    } else if (!strcmp(word, "slot")) {
        uint64_t value = 0;
        if (peek(base + strtoull(one, NULL, 0), &value, strtoul(two, NULL, 0))) printf("0x%" PRIx64 "\n", value);
        else puts("none");
    } else if (!strcmp(word, "resolve")) {
        void *(*resolver)(void) = (void *(*)(void))(base + strtoull(one, NULL, 0));
        printf("0x%" PRIxPTR "\n", (uintptr_t)resolver());
    } else if (!strcmp(word, "find")) {
        look(RTLD_DEFAULT, one, two);
    } else if (!strcmp(word, "own")) {
        look(module, one, two);
    } else if (!strcmp(word, "call")) {
        uint64_t (*probe)(void) = (uint64_t (*)(void))(uintptr_t)dlsym(module, one);
        if (probe) show(probe());
        else puts("none");
    } else if (!strcmp(word, "close")) {
        printf("%d\n", dlclose(module));
    }
}

static int play(void) {
    static char line[8192];
    const char *path = getenv("SCOLD_SCRIPT");
    FILE *script = path ? fopen(path, "r") : NULL;
    if (!script) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, script)) command(line);
    puts("end");
    fflush(stdout);
    return 0;
}

#ifdef HOOK
__attribute__((constructor)) static void hook(void) { _exit(play()); }
#else
int main(void) { return play(); }
#endif
