/* Loads a Rust cdylib and calls it. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    (void)argc;
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    int (*catch)(int) = (int (*)(int))dlsym(library, "rust_catch");
    int (*count)(void) = (int (*)(void))dlsym(library, "rust_count");
    char *(*text)(void) = (char *(*)(void))dlsym(library, "rust_text");
    if (!catch || !count || !text) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    printf("%d %d %d %d\n", catch(0), catch(1), catch(2), catch(3));
    printf("%d ", count());
    printf("%d\n", count());
    printf("%s\n", text());
    printf("%d\n", dlsym(library, "rust_begin_unwind") == 0);
    return 0;
}
