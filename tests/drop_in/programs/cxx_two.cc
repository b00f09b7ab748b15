// The other file: virtual inheritance, a vtable's key function, RTTI across the library.
#include "cxx_library.h"
#include <algorithm>
#include <iostream>
#include <memory>
#include <typeinfo>

std::string Diamond::name() const { return Left::name() + "+diamond"; }
int Diamond::weight() const { return Right::weight() * 10 + shared_value; }

extern "C" Base *library_make() { return new Diamond; }

extern "C" int library_weigh(Base *base) {
    auto *right = dynamic_cast<Right *>(base);
    return right ? right->weight() : -1;
}

extern "C" void library_print(const char *text) {
    std::string upper(text);
    std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) { return toupper(c); });
    std::cout << upper << ' ' << std::hex << 255 << std::dec << ' ' << 1.5 << std::endl;
}

extern "C" const char *library_thread_name(const char *set) {
    if (set) thread_name = set;
    return thread_name.c_str();
}

extern "C" int library_counter_two() { return counter(); }
