/* Loads a Go c-shared library and calls it, from the main thread and another. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void *library;
static void *get(const char *name) {
    void *found = dlsym(library, name);
    if (!found) { fprintf(stderr, "%s\n", dlerror()); exit(1); }
    return found;
}
static int add(int (*f)(int, int), int a, int b) { return f(a, b); }
static int twice(int x) { return 2 * x; }
static void *other(void *unused) {
    (void)unused;
    printf("other %d %d\n", add(get("DemoAdd"), 5, 6), ((int (*)(void))get("DemoC"))());
    return 0;
}

int main(int argc, char **argv) {
    (void)argc;
    library = dlopen(argv[1], RTLD_NOW);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    printf("%d\n", add(get("DemoAdd"), 1, 2));
    printf("%ld\n", ((long (*)(int))get("DemoGoroutines"))(37));
    printf("%s\n", ((char *(*)(void))get("DemoText"))());
    printf("%d\n", ((int (*)(int (*)(int)))get("DemoCallback"))(twice));
    printf("%d\n", ((int (*)(void))get("DemoRecover"))());
    printf("%d\n", ((int (*)(void))get("DemoC"))());
    pthread_t thread;
    pthread_create(&thread, 0, other, 0);
    pthread_join(thread, 0);
    dlclose(library);
    printf("still there: %d\n", dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != 0);
    return 0;
}
