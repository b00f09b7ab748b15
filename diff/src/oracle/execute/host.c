/* The execute oracle's host. Built twice from this source: as a program that loads a library, and
 * (HOOK) as a library that is preloaded into an executable and looks at it before it starts.
 * It reads commands, one a line, from the file named by SCOLD_SCRIPT and answers each by a line of the file named by
 * SCOLD_ANSWERS, for standard output is the module's:
 *   open FILE        open 0xBASE | fail MESSAGE
 *   slot 0xADDR LEN  the LEN bytes at base + ADDR, as a number
 *   resolve 0xADDR   what the function at base + ADDR returns
 *   find NAME [VER]  the address that the global scope gives, or none
 *   own NAME [VER]   the address that the module gives, or none
 *   call NAME        value, the object it lies in and the offset there, what is at that address
 *   close
 * Modules of a world, and drills, each in a process of its own:
 *   drill            what follows, up to the next, begins from nothing; `crash N` if it ends by a signal
 *   load K FILE      loaded | fail
 *   unload K         gone | stays
 *   value K EXPR     a number
 *   same K EXPR K EXPR   same | other
 *   log K NAME       what the init functions left behind the function's result: a count, a byte each
 *   list FIRST LAST  the numbers of the modules on module 0's list: `0 2 1 .`; `lost` if LAST is not its end
 * where EXPR is call:FUNCTION, word:DATA (what is in it), name:SYMBOL (its address; +N or -N: so far from it), or null.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static FILE *answers;
static void *module;
static uintptr_t base;

static void say(const char *line) { fprintf(answers, "%s\n", line); }

static void look(void *handle, const char *name, const char *version) {
    void *at;
    dlerror();
    at = version ? dlvsym(handle, name, version) : dlsym(handle, name);
    if (dlerror()) say("none");
    else fprintf(answers, "0x%" PRIxPTR "\n", (uintptr_t)at);
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

/* The last value that is no address: gold puts a program for arm at 0x8000. */
#define LOW 0x7fff

static void show(uint64_t value) {
    Dl_info info;
    struct link_map *map = NULL;
    unsigned char bytes[8];
    fprintf(answers, "0x%" PRIx64, value);
    if (value > LOW && dladdr1((void *)value, &info, (void **)&map, RTLD_DL_LINKMAP) && map) {
        const char *name = strrchr(map->l_name, '/');
        fprintf(answers, " %s 0x%" PRIx64, map->l_addr == base ? "*" : name ? name + 1 : "*main",
               value - (uint64_t)map->l_addr);
    } else {
        fprintf(answers, " - 0x0");
    }
    if (value > LOW && peek(value, bytes, sizeof bytes)) {
        fputc(' ', answers);
        for (unsigned i = 0; i < sizeof bytes; i++) fprintf(answers, "%02x", bytes[i]);
    } else {
        fprintf(answers, " -");
    }
    fputc('\n', answers);
}

static int load(const char *file) {
    struct link_map *map = NULL;
    module = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
    if (!module || dlinfo(module, RTLD_DI_LINKMAP, &map)) {
        fprintf(answers, "fail %s\n", dlerror());
        return 0;
    }
    base = map->l_addr;
    fprintf(answers, "open 0x%" PRIxPTR "\n", base);
    return 1;
}

#define MODULES 8
static void *modules[MODULES];
static char files[MODULES][64];

static uintptr_t evaluate(unsigned k, const char *expression) {
    const char *name = strchr(expression, ':'), *offset = strpbrk(expression, "+-");
    char plain[256] = "";
    if (name) snprintf(plain, sizeof plain, "%.*s", (int)strcspn(name + 1, "+-"), name + 1);
    void *at = name ? dlsym(modules[k], plain) : NULL;
    if (!at) return 0;
    if (!strncmp(expression, "call:", 5)) return ((uintptr_t(*)(void))(uintptr_t)at)();
    if (!strncmp(expression, "word:", 5)) return *(uintptr_t *)at;
    return (uintptr_t)at + (offset ? strtol(offset, NULL, 10) : 0);
}

static void list(const char *first, const char *last) {
    uintptr_t *at = dlsym(modules[0], first), *prior = NULL, **end = dlsym(modules[0], last);
    for (unsigned i = 0; at && i < 64; i++) {
        fprintf(answers, "%u ", (unsigned)at[1]);
        prior = at;
        at = (uintptr_t *)at[0];
    }
    say(!at && prior && end && *end == prior ? "." : "lost");
}

static void unload(unsigned k) {
    if (modules[k]) dlclose(modules[k]);
    modules[k] = NULL;
    void *still = dlopen(files[k], RTLD_NOW | RTLD_NOLOAD);
    say(still ? "stays" : "gone");
    if (still) dlclose(still);
}

/* What the probe returns; it may leave anything in registers that are its caller's. */
static uint64_t returned(uint64_t (*probe)(void)) {
    static jmp_buf before;
    static volatile uint64_t value;
    if (!setjmp(before)) {
        value = probe();
        longjmp(before, 1);
    }
    return value;
}

/* Whether it is a command about several modules. */
static int several(const char *word, const char *one, const char *two) {
    unsigned k = one ? strtoul(one, NULL, 10) % MODULES : 0;
    if (!strcmp(word, "load")) {
        const char *file = strcmp(two, "-") ? two : NULL;
        snprintf(files[k], sizeof files[k], "%s", two);
        modules[k] = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
        if (!modules[k]) fprintf(stderr, "%s\n", dlerror());
        say(modules[k] ? "loaded" : "fail");
    } else if (!strcmp(word, "unload")) {
        unload(k);
    } else if (!strcmp(word, "value")) {
        fprintf(answers, "%u\n", (unsigned)evaluate(k, two));
    } else if (!strcmp(word, "same")) {
        char *other = strtok(NULL, " \n"), *expression = strtok(NULL, " \n");
        uintptr_t mine = evaluate(k, two), its = evaluate(strtoul(other, NULL, 10) % MODULES, expression);
        say(mine == its ? "same" : "other");
    } else if (!strcmp(word, "log")) {
        unsigned char *at = (unsigned char *)evaluate(k, two);
        if (!at) say("none");
        for (unsigned i = 0; at && i < *(uint32_t *)at && i < 32; i++) fprintf(answers, "%u ", at[8 + i]);
        if (at) say(".");
    } else if (!strcmp(word, "list")) {
        list(one, two);
    } else {
        return 0;
    }
    return 1;
}

static void command(char *line) {
    char *word = strtok(line, " \n"), *one = strtok(NULL, " \n"), *two = strtok(NULL, " \n");
    if (!word || several(word, one, two)) return;
    if (!strcmp(word, "open")) {
        if (!load(strcmp(one, "-") ? one : NULL)) exit(0);
    } else if (!strcmp(word, "slot")) {
        uint64_t value = 0;
        if (peek(base + strtoull(one, NULL, 0), &value, strtoul(two, NULL, 0))) fprintf(answers, "0x%" PRIx64 "\n", value);
        else say("none");
    } else if (!strcmp(word, "resolve")) {
        void *(*resolver)(void) = (void *(*)(void))(base + strtoull(one, NULL, 0));
        fprintf(answers, "0x%" PRIxPTR "\n", (uintptr_t)resolver());
    } else if (!strcmp(word, "find")) {
        look(RTLD_DEFAULT, one, two);
    } else if (!strcmp(word, "own")) {
        look(module, one, two);
    } else if (!strcmp(word, "call")) {
        uint64_t (*probe)(void) = (uint64_t (*)(void))(uintptr_t)dlsym(module, one);
        if (probe) show(returned(probe));
        else say("none");
    } else if (!strcmp(word, "close")) {
        fprintf(answers, "%d\n", dlclose(module));
    }
}

/* The whole file: a stream's place in it would be shared with children. */
static char *contents(const char *path) {
    FILE *file = path ? fopen(path, "r") : NULL;
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room + 1);
    if (!file || !text) return NULL;
    for (size_t got; (got = fread(text + size, 1, room - size, file)) > 0;) {
        size += got;
        if (size == room && !(text = realloc(text, (room *= 2) + 1))) return NULL;
    }
    fclose(file);
    text[size] = 0;
    return text;
}

static int play(void) {
    /* In memory: a probe need not keep what is in registers. */
    static char *volatile line, *volatile next;
    static volatile int others, child;
    line = contents(getenv("SCOLD_SCRIPT"));
    answers = getenv("SCOLD_ANSWERS") ? fopen(getenv("SCOLD_ANSWERS"), "w") : stdout;
    if (!line || !answers) return 2;
    setvbuf(answers, NULL, _IOLBF, 0);
    for (; *line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        else next = line + strlen(line);
        if (!strcmp(line, "drill")) {
            int status = 0;
            if (child) _exit(0);
            fflush(answers);
            pid_t pid = fork();
            child = !pid;
            others = !child;
            if (child) say("drill");
            else waitpid(pid, &status, 0);
            if (status) fprintf(answers, "crash %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
        } else if (!others) {
            command(line);
        }
    }
    if (child) _exit(0);
    say("end");
    fflush(answers);
    return 0;
}

#ifdef HOOK
__attribute__((constructor)) static void hook(void) { _exit(play()); }
#else
int main(void) { return play(); }
#endif
