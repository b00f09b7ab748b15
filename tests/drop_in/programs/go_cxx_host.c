#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    void *library = dlopen(argv[argc - 1], RTLD_NOW);
    if (!library) {
        puts(dlerror());
        return 1;
    }
    int (*thrown)(int) = (int (*)(int))dlsym(library, "DemoThrown");
    int (*per_thread)(int) = (int (*)(int))dlsym(library, "DemoPerThread");
    int (*largest)(int, int) = (int (*)(int, int))dlsym(library, "DemoLargest");
    printf("%d %d\n", thrown(1), thrown(7));
    int first = per_thread(3);
    printf("%d %d\n", first, per_thread(4));
    printf("%d\n", largest(3, 5));
    return 0;
}
