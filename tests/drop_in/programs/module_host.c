/* A host with a runtime: its list of modules, and a loader of guests. Prints what it sees of each.
 * Arguments: plugins in the order in which they are loaded; `c:FILE` is a C library, `again` means: load all of
 * them once more. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct module {
    struct module *next;
    const char *name;
};

struct module first __asm__("runtime.firstmoduledata") = {0, "host"};
#ifdef APART
/* The runtime is in an archive that only the mode asks for: the list's end is where nothing follows. */
#define IS_LAST(module) (!(module)->next)
#else
/* The build mode sets it. */
struct module *volatile last __asm__("runtime.lastmoduledatap");
struct module *volatile last = 0;

void add(struct module *) __asm__("runtime.addmoduledata");
void add(struct module *module) {
    last->next = module;
    last = module;
}
#define IS_LAST(module) ((module) == last)
#endif

/* Every module has it; the host's counts. */
char type[16] __asm__("type.T") = "host";
int counter = 0;

static void list(void) {
    int ends = 0;
    for (struct module *at = &first; at; at = at->next) {
        printf("%s ", at->name);
        ends += IS_LAST(at);
    }
    puts(ends == 1 ? "." : "and the end is lost");
}

static void plugin(const char *file) {
    void *handle = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
    if (!handle) {
        puts(dlerror());
        return;
    }
    const char *(*name)(void) = (const char *(*)(void))dlsym(handle, "name");
    char *(*types)(void) = (char *(*)(void))dlsym(handle, "types");
    int (*count)(void) = (int (*)(void))dlsym(handle, "count");
    int (*inits)(void) = (int (*)(void))dlsym(handle, "inits");
    int (*peer)(void) = (int (*)(void))dlsym(handle, "peer");
    printf("%s type %d count %d inits %d peer %d\n", name(), types() == type, count(), inits(), peer());
}

static void library(const char *file) {
    for (int i = 0; i < 2; i++) {
        void *handle = dlopen(file, RTLD_NOW);
        if (!handle) {
            puts(dlerror());
            return;
        }
        int (*starts)(void) = (int (*)(void))dlsym(handle, "starts");
        char *(*types)(void) = (char *(*)(void))dlsym(handle, "types");
        int (*bump)(void) = (int (*)(void))dlsym(handle, "bump");
        const char *(*own)(void) = (const char *(*)(void))dlsym(handle, "own");
        printf("starts %d type %d bump %d list %s", starts(), types() == type, bump(), own());
        dlclose(handle);
        handle = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
        printf(" %s\n", handle ? "stays" : "gone");
        if (handle) dlclose(handle);
    }
}

int main(int argc, char **argv) {
    int rounds = !strcmp(argv[argc - 1], "again") ? 2 : 1;
    argc -= rounds - 1;
    list();
    for (int round = 0; round < rounds; round++)
        for (int i = 1; i < argc; i++)
            if (!strncmp(argv[i], "c:", 2)) library(argv[i] + 2);
            else plugin(argv[i]);
    list();
    return 0;
}
