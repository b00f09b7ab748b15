// One file of the library: exceptions thrown, statics with priorities, thread_local objects.
#include "cxx_library.h"
#include <iostream>
#include <sstream>

Failure::~Failure() = default;

struct Noisy {
    const char *name;
    explicit Noisy(const char *name) : name(name) { Registry<std::string>::items().push_back(name); }
    ~Noisy() { std::cout << "~" << name << std::endl; }
};

__attribute__((init_priority(300))) Noisy late("late");
__attribute__((init_priority(200))) Noisy early("early");
Noisy plain("plain");

static thread_local std::vector<int> per_thread{1, 2, 3};

extern "C" void library_throw(int code) {
    if (code == 0) throw 42;
    throw Failure(code, "from the library");
}

extern "C" int library_catch(void (*callback)()) {
    try {
        callback();
    } catch (const Failure &failure) {
        return failure.code;
    } catch (const std::exception &error) {
        return -1;
    }
    return 0;
}

extern "C" int library_sum(int extra) {
    per_thread.push_back(extra);
    int sum = 0;
    for (int x : per_thread) sum += x;
    return sum;
}

extern "C" const char *library_order() {
    static std::string text;
    std::ostringstream out;
    for (const auto &item : Registry<std::string>::items()) out << item << ' ';
    text = out.str();
    return text.c_str();
}

extern "C" int library_counter() { return counter(); }
