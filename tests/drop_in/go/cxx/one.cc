#include "largest.h"

#include <stdexcept>
#include <string>

struct Problem : std::runtime_error {
    int value;
    explicit Problem(int v) : std::runtime_error("problem"), value(v) {}
};

static thread_local std::string words = "ab";

static void fail(int value) {
    std::string guard(value, 'x');
    if (value > 2) throw Problem(value);
}

extern "C" int thrown(int value) {
    try {
        fail(value);
    } catch (const std::exception &problem) {
        return dynamic_cast<const Problem &>(problem).value * 10;
    }
    return -1;
}

extern "C" int perThread(int value) {
    words += std::string(value, 'y');
    return static_cast<int>(words.size());
}

extern "C" int largest(int a, int b) { return largest_of(a, b); }
