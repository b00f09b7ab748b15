// Loads the library and throws through it both ways, in two threads.
#include "cxx_library.h"
#include <dlfcn.h>
#include <iostream>
#include <thread>

template <typename F> F *symbol(void *library, const char *name) {
    auto *found = reinterpret_cast<F *>(dlsym(library, name));
    if (!found) throw std::runtime_error(dlerror());
    return found;
}

static int (*host_code)();
static void host_throws() { throw std::out_of_range("from the host"); }

int main(int, char **argv) {
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (!library) return std::cerr << dlerror() << std::endl, 1;
    std::cout << symbol<const char *()>(library, "library_order")() << std::endl;
    auto *thrower = symbol<void(int)>(library, "library_throw");
    try {
        thrower(0);
    } catch (int value) {
        std::cout << "int " << value << std::endl;
    }
    try {
        thrower(7);
    } catch (const std::runtime_error &error) {
        std::cout << error.what() << std::endl;
    }
    auto *catcher = symbol<int(void (*)())>(library, "library_catch");
    std::cout << catcher(host_throws) << ' ' << catcher([] {}) << std::endl;
    auto *sum = symbol<int(int)>(library, "library_sum");
    auto *name = symbol<const char *(const char *)>(library, "library_thread_name");
    name("main");
    sum(10);
    std::thread other([&] { std::cout << sum(100) << ' ' << name(nullptr) << std::endl; });
    other.join();
    std::cout << sum(1) << ' ' << name(nullptr) << std::endl;
    Base *base = symbol<Base *()>(library, "library_make")();
    std::cout << base->name() << ' ' << symbol<int(Base *)>(library, "library_weigh")(base)
              << ' ' << (dynamic_cast<Left *>(base) != nullptr) << std::endl;
    delete base;
    symbol<void(const char *)>(library, "library_print")("shout");
    int one = symbol<int()>(library, "library_counter")();
    int two = symbol<int()>(library, "library_counter_two")();
    std::cout << one << two << std::endl;
    dlclose(library);
    std::cout << "end" << std::endl;
}
